"""The nail domain in NumPy: photos, masks, hands, crop rules, colours, palettes, phrases, score fusion.

Pure functions without gRPC, torch or I/O beyond bytes. Training, evaluation and serving share this code,
so that they cannot disagree about preprocessing or decoding.
"""
