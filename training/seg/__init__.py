"""nail_seg: which pixels of a photo are nail, and which belong to which nail.

`python -m training.seg.train` learns it from synthetic photos, `python -m training.seg.export` serves it.
"""
