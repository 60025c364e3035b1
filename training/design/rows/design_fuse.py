"""design_fuse: CVFIM, which makes one vector of what the encoders say about a design (paper N, section a).

    style f32 [N,256], align f32 [N,512], crop f32 [N,512], text f32 [N,512] -> embedding f32 [N,256] unit

v = MLP(mean(Transformer([v_s; v_a; v_crop; v_n]))), four tokens with a type embedding each. An all-zero
input is an absent token: it is masked from attention and from the mean, so a design without a description,
or without a crop, is embedded by what there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.kit.networks.attention import Block, is_present, masked_mean
from training.kit.networks.image_align import ALIGN_DIM
from training.kit.networks.image_style import STYLE_DIM

DESIGN_DIM = 256
INPUTS = (("style", STYLE_DIM), ("align", ALIGN_DIM), ("crop", ALIGN_DIM), ("text", 512))


@dataclass(frozen=True)
class DesignFuseConfig:
    """Sizes of the fusion."""

    width: int = 256  # of a token
    layers: int = 2
    heads: int = 8
    feed: int = 512
    drop: float = 0.2


class DesignFuse(nn.Module):
    """Four typed tokens, a pre-norm Transformer encoder, their mean, an MLP, L2."""

    def __init__(self, config: DesignFuseConfig | None = None) -> None:
        super().__init__()
        config = config or DesignFuseConfig()
        self.project = nn.ModuleList([nn.Linear(size, config.width) for _, size in INPUTS])
        self.types = nn.Parameter(torch.randn(len(INPUTS), config.width) * 0.02)
        self.blocks = nn.ModuleList(
            [Block(config.width, config.heads, config.feed, config.drop) for _ in range(config.layers)]
        )
        self.norm = nn.LayerNorm(config.width)
        self.hidden = nn.Linear(config.width, config.feed)
        self.out = nn.Linear(config.feed, DESIGN_DIM)
        self.skip = nn.Linear(config.width, DESIGN_DIM)

    def forward(self, style: Tensor, align: Tensor, crop: Tensor, text: Tensor) -> Tensor:
        """style [N,256], align [N,512], crop [N,512], text [N,512] -> f32 [N,256] unit."""
        inputs = (style, align, crop, text)
        present = torch.stack([is_present(x) for x in inputs], dim=1)  # [N,4]
        # unit vectors have entries near 1/sqrt(d): scale them to the size that layer norm expects
        projected = [layer(x * x.shape[1] ** 0.5) for layer, x in zip(self.project, inputs, strict=True)]
        tokens = torch.stack(projected, dim=1) + self.types  # [N,4,d]
        mixed = tokens
        for block in self.blocks:
            mixed = block(mixed, present)
        pooled = self.norm(masked_mean(mixed, present))
        fused = self.out(functional.gelu(self.hidden(pooled))) + self.skip(masked_mean(tokens, present))
        return functional.normalize(fused, dim=1)
