"""Sentences, requests and stories about designs, in English and Japanese, with the claims that they make."""
