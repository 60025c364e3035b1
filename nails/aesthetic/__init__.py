"""Aesthetic quality (paper Q): tags, stored image tokens, and the rule that reranks a list of hits."""
