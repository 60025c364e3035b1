"""hand_detect and hand_pose: where the hands of a photo are, and their 21 joints.

`python -m training.hand.train_detect` and `train_pose` learn them from synthetic photos, `export` serves
them.
"""
