"""What several training packages share: the run and its loop, steps and commands, losses, pins of published
files.

Rooms: `networks` (backbones, heads, blocks), `data` (photos, texts and pairs to learn from), `export` (to
ONNX and `triton_models/`). Nothing here imports a training package.
"""
