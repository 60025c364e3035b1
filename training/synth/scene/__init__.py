"""A whole scene: where hands and nails stand, its rendering, and the record of what it shows."""
