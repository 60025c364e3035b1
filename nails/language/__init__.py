"""Language: scripts, words and word pieces of any text, and the phrases that a request is made of.

Add a language here; `docs/architecture.md` says how.
"""
