"""Aesthetic quality (paper Q): photos with votes, metrics of scores, and what reranking costs and gives."""
