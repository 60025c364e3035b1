"""Artist identification from a photo and from words, after paper A.

`lunula train artist STEP` (`steps` lists them): folds, features, base models through nested cross-validation,
their fusion, unknown artists and new artists, and the export of what is served. docs/artists.md explains it.
"""
