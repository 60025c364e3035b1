"""Commands that measure nail segmentation, hands and crops on labelled photos."""
