"""Synthetic nail photographs: a program that draws hands and nails and knows everything about them.

`draw` makes one photo from a seed; `write` fills a folder; `python -m training.synth` is the command.
"""

from training.synth.image import Sample, draw
from training.synth.run.writer import write

__all__ = ["Sample", "draw", "write"]
