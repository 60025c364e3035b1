"""Photos of designs: the store, and the blobs that it stands on."""
