"""Paper Q: the aesthetic quality of a photo, scored for what its tags say it is meant to be.

`python -m training.aesthetic` (lunula train aesthetic) does the steps of `steps`: features of the served
encoders, training of heads on them, packing of the stored tokens, export to triton_models/aesthetic.
"""
