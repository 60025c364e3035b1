"""Commands about aesthetic scores: paper Q's table, trends over settings, weights of reranking."""
