"""What stands behind and beside the hands: procedural surfaces, parts of real photos, clutter."""
