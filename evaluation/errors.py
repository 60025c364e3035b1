"""The error of every file or folder of labelled data that cannot be read."""

from __future__ import annotations


class DataError(ValueError):
    """A file that is not in its form; the message names the file, the line or field, and what is wrong."""
