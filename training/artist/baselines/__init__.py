"""What the models are compared with: nearest neighbours, trees over labels, the largest class."""
