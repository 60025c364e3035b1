"""Processes: `lunula up`, `lunula demo`, `lunula doctor`."""
