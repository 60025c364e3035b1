"""Perception: nails and hands in a photo, from the models' maps to masks, joints and the crop of one hand.

Pure functions; the models are run by CropService and by the evaluation.
"""
