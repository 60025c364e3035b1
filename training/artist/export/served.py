"""artist_image as it is served: one backbone, the heads of five folds, one distribution and one vector.

    images f32 [N,3,224,224] -> logits f32 [N,A], embedding f32 [N,D] of length 1

`logits` are the mean of the heads' log-probabilities: the numbers of the calibration are fitted on single
heads, and the plain mean of five is blunter than each of them, so that its probabilities would come out too
low; the geometric mean keeps their sharpness (docs/artists.md, "The ladder"). `embedding` is what photos of
enrolled artists are compared by: the heads' embeddings side by side, the encoders' align and style less what
all photos have in common, or both (training.artist.openset.models.SPACES).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.artist.image.feature_step import Description
from training.artist.image.network import ArtistHead
from training.artist.openset.models import EMBEDDING, FEATURES
from training.kit.networks.encoders import Encoders


class FoldedArtistImage(nn.Module):
    """The whole model as it is exported."""

    centre: Tensor

    def __init__(self, encoders: Encoders, heads: Sequence[ArtistHead], space: str, centre: Tensor) -> None:
        """centre: f32 [G], mean of align and style over the photos trained on."""
        super().__init__()
        self.described = Description(encoders)
        self.heads = nn.ModuleList(heads)
        self.space = space
        self.register_buffer("centre", centre)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See the module."""
        description, align, style, _ = self.described(images)
        answers = [head(description) for head in self.heads]
        mean = torch.stack([functional.log_softmax(logits, dim=1) for logits, _ in answers]).mean(dim=0)
        embeddings = torch.cat([embedding for _, embedding in answers], dim=1)
        return mean, self.vector(embeddings, align, style)

    def vector(self, embeddings: Tensor, align: Tensor, style: Tensor) -> Tensor:
        """The vectors of the space, f32 [N,D] of length 1."""
        if self.space == EMBEDDING:
            return functional.normalize(embeddings, dim=1)
        generic = torch.cat([functional.normalize(align, dim=1), functional.normalize(style, dim=1)], dim=1)
        own = functional.normalize(generic - self.centre, dim=1)
        if self.space == FEATURES:
            return own
        return functional.normalize(torch.cat([functional.normalize(embeddings, dim=1), own], dim=1), dim=1)
