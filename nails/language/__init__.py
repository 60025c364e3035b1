"""Language: scripts, words and word pieces of any text, and the phrases of a request.

Add a language here; `docs/architecture.md` says how.
"""
