"""Hands and feet as bodies: bones and poses, what a hand wears and holds, skin."""
