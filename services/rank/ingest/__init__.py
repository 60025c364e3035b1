"""A design on its way in: checked, stored, cropped, embedded, written, and only then acknowledged."""
