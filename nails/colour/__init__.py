"""Colour: CIELAB and CIEDE2000, palettes of nails, and how well one palette matches another.

Nothing here reads a photo's bytes; colours come in as arrays.
"""
