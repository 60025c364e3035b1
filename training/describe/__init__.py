"""Words for photos and requests, and judgements of both, by vision-language models or without one.

`describers` and `judges` hold the two interfaces; `python -m training.describe` is the command.
"""
