"""EmbedService: turns designs and requests into vectors of one space, and names the space.

`designs` and `queries` are the pipelines, `spaces` the fingerprints, `text_model` and the tokenizer the
sentence encoder's two halves, `validate` the checks, `servicer` the translation between messages and these.
"""
