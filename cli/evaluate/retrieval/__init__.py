"""Commands that measure retrieval: hit rates, paper N's table and its failures, weights of the channels."""
