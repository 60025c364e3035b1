"""Photos: bytes to upright RGB arrays and back, a file's header, and the tensors that models take.

Every reader of a photo, in training, evaluation and serving, goes through here, so that they cannot disagree.
"""
