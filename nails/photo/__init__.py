"""Photos: bytes to upright RGB arrays and back, what a file's header says, and the tensors that models take.

Every reader of a photo, in training, evaluation and serving, goes through here, so that they cannot disagree.
"""
