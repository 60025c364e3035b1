"""From a trained network to a served model, and ONNX Runtime sessions of frozen networks."""
