"""Commands that call a running stack: index, search, crop, identify, aesthetic scores, artists, models."""
