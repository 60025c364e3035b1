"""A candidate for nail_seg: a U-Net of plain 3x3 convolutions (Ronneberger et al., 2015), from scratch.

The nail and interior maps of `training.seg.model.NailSeg`, at half the input's resolution, so that loss and
decoder are the same; no weights from anywhere. Compared in docs/segmentation.md by `training.seg.compare`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.kit.networks.backbone import batch_norm

# Nail and interior, as channels 0 and 1 of `NailSeg`.
MAPS = 2


def _double(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions, each normalised, ReLU6."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        batch_norm(outputs),
        nn.ReLU6(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        batch_norm(outputs),
        nn.ReLU6(),
    )


class PlainUNet(nn.Module):
    """f32 [N,3,S,S] in (x-127)/128 -> logits f32 [N,2,S/2,S/2]; S a multiple of 32.

    `widths` are the channels at strides 2, 4, 8, 16 and 32.
    """

    def __init__(self, *, widths: tuple[int, ...] = (16, 32, 64, 128, 192)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False), batch_norm(widths[0]), nn.ReLU6()
        )
        inputs = (widths[0], *widths[:-1])
        self.down = nn.ModuleList(_double(a, b) for a, b in zip(inputs, widths, strict=True))
        coarse, fine = widths[:0:-1], widths[-2::-1]
        self.up = nn.ModuleList(_double(a + b, b) for a, b in zip(coarse, fine, strict=True))
        self.head = nn.Conv2d(widths[0], MAPS, 1)
        # Nails cover a few per cent of a photo: start there instead of at one half.
        nn.init.constant_(self.head.bias, -3.0)  # type: ignore[arg-type]  # a Conv2d has one

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            wider = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = block(torch.cat([wider, skip], dim=1))
        logits: Tensor = self.head(x)
        return logits
