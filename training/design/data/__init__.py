"""Designs and requests as arrays: records, claims, the corpus, features, texts of the compact describer."""
