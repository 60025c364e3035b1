"""The rows of paper N's table: fusion networks, their training, their evaluation; `__main__` is the command."""
