"""The image input that most exported models share, and example images to check an export with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.kit.export.card import TensorCard

IMAGES = TensorCard("images", "f32", (3, 224, 224))


def example_images(count: int = 3, size: int = 224) -> Tensor:
    """Four painted ovals on smooth random colours, in the range of `backbone_input`: f32 [count,3,size,size].

    Something nail-like must be there: with an empty nail map, its averages are rounding errors over nothing.
    """
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(count, 3, 7, 7, generator=generator) * 0.8 - 0.2
    images = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    paint = torch.rand(count, 4, 3, generator=generator) * 2 - 1
    line = torch.linspace(0, 1, size)
    y, x = torch.meshgrid(line, line, indexing="ij")
    for nail in range(4):
        inside = ((x - 0.17 - 0.22 * nail) / 0.07) ** 2 + ((y - 0.45) / 0.13) ** 2 < 1  # [size,size]
        images = torch.where(inside, paint[:, nail, :, None, None], images)
    return images.contiguous()
