"""The rows of paper N's table: fusion networks, their training and evaluation; `__main__` is the command."""
