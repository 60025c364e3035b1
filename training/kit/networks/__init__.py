"""Networks and blocks that several packages are built on: EfficientNet-Lite0, BEiT-3, the image encoders."""
