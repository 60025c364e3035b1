"""From the features of a work to candidate artists: calibrated probabilities, and evidence for people."""
