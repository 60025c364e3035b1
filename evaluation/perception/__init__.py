"""Perception: how well nails and hands are found in labelled photos."""
