"""Design retrieval: the models, their data and their training.

`image_align`, `image_style`, `design_fuse` and `query_fuse` hold one model each; `train` is the command.
"""
