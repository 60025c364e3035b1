"""image_align: EfficientNet-Lite0 whose image embedding lives in the sentence encoder's space.

    images f32 [N,3,224,224] -> embedding f32 [N,512] unit, tokens f16 [N,49,320]

An image is described by averages of backbone features, over the photo and under the nail map, and by the
soft counts of named colours under that map; two linear layers turn this into a sentence embedding. Trained
against the frozen embeddings of `text_encode`, so a photo and a sentence can be compared directly (the role
of BEiT-3 in paper N).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nails.vocabulary import COLOURS
from training.kit.networks.backbone import PYRAMID_CHANNELS, EfficientNetLite0
from training.kit.networks.nail_colour import NamedColourBins, srgb_to_lab, weighted_mean
from training.kit.networks.nail_map import NailMap

ALIGN_DIM = 512
TOKEN_DIM = PYRAMID_CHANNELS[32]
# nail-weighted strides 8, 16 and 32, plain mean and attended mean of stride 32, colours
DESCRIPTION = PYRAMID_CHANNELS[8] + PYRAMID_CHANNELS[16] + 3 * TOKEN_DIM + len(COLOURS)


class AlignHead(nn.Module):
    """From backbone levels to the unit embedding. Reads no pixel but through the colour bins."""

    def __init__(self, hidden: int = 640, drop: float = 0.1) -> None:
        super().__init__()
        self.nails = NailMap()
        self.colours = NamedColourBins()
        self.attend = nn.Linear(TOKEN_DIM, 1)
        self.standardise = nn.BatchNorm1d(DESCRIPTION, eps=1e-2)
        self.hidden = nn.Linear(DESCRIPTION, hidden)
        self.drop = nn.Dropout(drop)
        self.out = nn.Linear(hidden, ALIGN_DIM)

    def describe(self, images: Tensor, levels: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        """images f32 [N,3,S,S], levels 8, 16, 32 -> description f32 [N,D], nail logits [N,1,S/8,S/8]."""
        logits = self.nails(levels[8], levels[16])
        nail8 = logits.sigmoid()
        nail16 = functional.avg_pool2d(nail8, 2)
        nail32 = functional.avg_pool2d(nail8, 4)
        tokens = levels[32].flatten(2).transpose(1, 2)  # [N,T,320]
        attention = self.attend(tokens).softmax(dim=1)  # [N,T,1]
        rgb = functional.avg_pool2d(images * (128 / 255) + 127 / 255, 4)
        nail4 = functional.interpolate(nail8, scale_factor=2.0, mode="nearest")
        parts = [
            weighted_mean(levels[8], nail8),
            weighted_mean(levels[16], nail16),
            weighted_mean(levels[32], nail32),
            tokens.mean(dim=1),
            (attention * tokens).sum(dim=1),
            (self.colours(srgb_to_lab(rgb), nail4) + 1e-4).sqrt(),
        ]
        return torch.cat(parts, dim=1), logits

    def forward(self, description: Tensor) -> tuple[Tensor, Tensor]:
        """f32 [N,D] -> hidden f32 [N,640], embedding f32 [N,512] unit."""
        hidden = functional.gelu(self.hidden(self.standardise(description)))
        return hidden, functional.normalize(self.out(self.drop(hidden)), dim=1)


class ImageAlign(nn.Module):
    """The whole model as it is exported."""

    def __init__(self, backbone: EfficientNetLite0, head: AlignHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images f32 [N,3,224,224] -> embedding f32 [N,512] unit, tokens f16 [N,49,320]."""
        levels = self.backbone.levels(images)
        description, _ = self.head.describe(images, levels)
        _, embedding = self.head(description)
        tokens = levels[32].flatten(2).transpose(1, 2)
        return embedding, tokens.half()
