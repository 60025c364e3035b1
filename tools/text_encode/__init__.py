"""Builds the ONNX of `text_encode` (Universal Sentence Encoder) from a pinned package, without torch."""
