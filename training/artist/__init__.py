"""Artist identification from a photo and from words, after paper A in compact form.

`train_text` and `train_image` train one modality each; `export` calibrates both together and ships them.
"""
