"""Retrieval (paper N): NAIL-STAR's form, the benchmark, its table, and the weights of a search's channels."""
