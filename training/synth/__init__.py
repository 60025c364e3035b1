"""Synthetic images of hands and nails, with masks, joints and texts that are exact because they are the
source.

`generate` makes one image from a seed; `write` fills a folder; `python -m training.synth` is the command. The
other modules here are commands too, or the ground of all rooms (`holdout`, `facts`, `ingredients`, `picking`,
`command`). Rooms, from the ground up: `design`, `hand`, `graphics`, `background` and `nail`, `scene` and
`text`, `kinds`, then `image`, which composes one image, and `run`, which writes folders of them.
"""

from training.synth.image import Sample, generate
from training.synth.run.writer import write

__all__ = ["Sample", "generate", "write"]
