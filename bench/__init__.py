"""What costs what, measured beside a named reference in the same run.

Every module is a command: `python -m bench.NAME` prints its table and, with --json, writes its figures.
"""
