"""Where are the nails: a small head over two backbone levels, trained on the synthetic masks.

Both image models weigh what they see with this map, because paint is what requests speak of and most of a
photo is skin and background.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from training.kit.networks.backbone import PYRAMID_CHANNELS


class NailMap(nn.Module):
    """Nail logits at stride 8 from the features at strides 8 and 16."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.fine = nn.Conv2d(PYRAMID_CHANNELS[8], width, 1)
        self.coarse = nn.Conv2d(PYRAMID_CHANNELS[16], width, 1)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, stride8: Tensor, stride16: Tensor) -> Tensor:
        """f32 [N,40,H/8,W/8], f32 [N,112,H/16,W/16] -> logits f32 [N,1,H/8,W/8]."""
        coarse = functional.interpolate(self.coarse(stride16), scale_factor=2.0, mode="nearest")
        x = functional.relu(self.fine(stride8) + coarse)
        x = functional.relu(self.mix(x))
        logits: Tensor = self.out(x)
        return logits
