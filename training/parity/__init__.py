"""Whether a network of another precision answers as the served one does: make variants, compare them."""
