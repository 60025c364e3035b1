"""What the aesthetic score adds to a search, and what image tokens take of a disk."""
