"""Few-shot artists, added from a few works without training: their files, their gallery, their listing."""
