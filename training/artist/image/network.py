"""artist_image: who made the design in this nail crop (the role of VGG16 in paper A).

    images f32 [N,3,224,224] -> logits f32 [N,A], embedding f32 [N,256] unit

The fine-tuned backbone of the design encoders with the statistics that their heads start from, and a cosine
classifier over a 256-number embedding. The statistics still hold what the design heads learn to overlook:
skin, table and light, by which an artist's photos are known. The embedding compares works of artists that
the classifier never saw.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.kit.networks import image_align, image_style
from training.kit.networks.backbone import EfficientNetLite0
from training.kit.networks.encoders import Encoders
from training.kit.networks.image_align import AlignHead
from training.kit.networks.image_style import StyleHead

EMBEDDING = 256
DESCRIPTION = image_align.DESCRIPTION + image_style.DESCRIPTION


class ArtistHead(nn.Module):
    """From both descriptions to logits and embedding."""

    def __init__(self, artists: int, inputs: int = DESCRIPTION, hidden: int = 512, drop: float = 0.4) -> None:
        super().__init__()
        self.standardise = nn.BatchNorm1d(inputs)
        self.hidden = nn.Linear(inputs, hidden)
        self.drop = nn.Dropout(drop)
        self.embed = nn.Linear(hidden, EMBEDDING)
        self.classes = nn.Parameter(torch.randn(artists, EMBEDDING) * 0.05)
        self.log_scale = nn.Parameter(torch.tensor(16.0).log())

    def forward(self, description: Tensor) -> tuple[Tensor, Tensor]:
        """f32 [N,D] -> logits f32 [N,A], embedding f32 [N,256] unit."""
        hidden = functional.gelu(self.hidden(self.drop(self.standardise(description))))
        embedding = functional.normalize(self.embed(self.drop(hidden)), dim=1)
        logits = self.log_scale.exp() * embedding @ functional.normalize(self.classes, dim=1).T
        return logits, embedding


class ArtistImage(nn.Module):
    """The whole model as it is exported."""

    def __init__(self, encoders: Encoders, head: ArtistHead) -> None:
        super().__init__()
        self.backbone: EfficientNetLite0 = encoders.backbone
        self.align: AlignHead = encoders.align
        self.style: StyleHead = encoders.style
        self.head = head

    def describe(self, images: Tensor) -> Tensor:
        """What the head reads: f32 [N,3,S,S] -> f32 [N,D]."""
        levels = self.backbone.levels(images)
        align, _ = self.align.describe(images, levels)
        style, _ = self.style.describe(images, levels)
        return torch.cat([align, style], dim=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images f32 [N,3,224,224] -> logits f32 [N,A], embedding f32 [N,256] unit."""
        logits, embedding = self.head(self.describe(images))
        return logits, embedding
