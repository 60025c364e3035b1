"""query_fuse: LIFM with IPFM's palette, which makes one vector of a request (paper N, section a).

    text f32 [N,512], mdd f32 [N,512], nnp f32 [N,16,512], nnp_mask f32 [N,16],
    palette f32 [N,12,3] CIELAB, palette_mask f32 [N,12] -> embedding f32 [N,256] unit

The sentence, its multi-level description (MDD) and its noun phrases (NNP) are the tokens of a Transformer.
The palette, as CIELAB and as soft counts of the named colours, goes through a small Transformer of its own
and asks the text tokens by cross-attention; what it learns is added to the text's vector, so a request
without a palette is the text's vector alone. All-zero text or mdd is absent and masked.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nails.vocabulary import COLOURS
from training.design.rows.design_fuse import DESIGN_DIM
from training.kit.networks.attention import Attention, Block, is_present, masked_mean
from training.kit.networks.nail_colour import NamedColourBins

TEXT_DIM = 512


@dataclass(frozen=True)
class QueryFuseConfig:
    """Sizes of the fusion."""

    width: int = 192  # of a token
    layers: int = 2
    palette_layers: int = 1
    heads: int = 6
    feed: int = 384
    drop: float = 0.2


class QueryFuse(nn.Module):
    """Text tokens through a Transformer; palette as queries over them; residual; MLP; L2."""

    def __init__(self, config: QueryFuseConfig | None = None) -> None:
        super().__init__()
        config = config or QueryFuseConfig()
        self.project = nn.ModuleList([nn.Linear(TEXT_DIM, config.width) for _ in range(3)])  # text, mdd, nnp
        self.types = nn.Parameter(torch.randn(3, config.width) * 0.02)
        self.blocks = nn.ModuleList(
            [Block(config.width, config.heads, config.feed, config.drop) for _ in range(config.layers)]
        )
        self.norm_text = nn.LayerNorm(config.width)
        self.bins = NamedColourBins()
        self.colour = nn.Sequential(
            nn.Linear(3 + len(COLOURS), config.width), nn.GELU(), nn.Linear(config.width, config.width)
        )
        self.palette_blocks = nn.ModuleList(
            [
                Block(config.width, config.heads, config.feed, config.drop)
                for _ in range(config.palette_layers)
            ]
        )
        self.norm_palette = nn.LayerNorm(config.width)
        self.ask = Attention(config.width, config.heads)
        self.hidden = nn.Linear(config.width, config.feed)
        self.out = nn.Linear(config.feed, DESIGN_DIM)
        self.skip = nn.Linear(config.width, DESIGN_DIM)

    def read_text(
        self, text: Tensor, mdd: Tensor, nnp: Tensor, nnp_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens after the Transformer [N,18,d], their presence [N,18], and the projected sentence [N,d]."""
        phrase_present = nnp_mask * is_present(nnp)
        present = torch.cat([is_present(text)[:, None], is_present(mdd)[:, None], phrase_present], dim=1)
        inputs = (text[:, None], mdd[:, None], nnp)
        scale = TEXT_DIM**0.5
        projected = [
            layer(x * scale) + self.types[kind]
            for kind, (layer, x) in enumerate(zip(self.project, inputs, strict=True))
        ]
        tokens = torch.cat(projected, dim=1)  # [N,2+16,d]
        plain = masked_mean(tokens[:, :2], present[:, :2])
        for block in self.blocks:
            tokens = block(tokens, present)
        return tokens, present, plain

    def read_palette(self, palette: Tensor, palette_mask: Tensor, tokens: Tensor, present: Tensor) -> Tensor:
        """What the palette adds: f32 [N,d], exactly zero where no colour is given."""
        # L in [0, 100] to [-1, 1]; a and b by the same factor
        scaled = torch.cat([palette[:, :, :1] - 50, palette[:, :, 1:]], dim=2) / 50
        colours = self.colour(torch.cat([scaled, self.bins.soften(palette)], dim=2))  # [N,P,d]
        for block in self.palette_blocks:
            colours = block(colours, palette_mask)
        colours = self.norm_palette(colours)
        asked = self.ask(colours, tokens, present) * present.amax(dim=1)[:, None, None]
        return masked_mean(colours + asked, palette_mask)

    def forward(
        self, text: Tensor, mdd: Tensor, nnp: Tensor, nnp_mask: Tensor, palette: Tensor, palette_mask: Tensor
    ) -> Tensor:
        """See the module's docstring for shapes."""
        tokens, present, plain = self.read_text(text, mdd, nnp, nnp_mask)
        tokens = self.norm_text(tokens)
        pooled = masked_mean(tokens, present) + self.read_palette(palette, palette_mask, tokens, present)
        fused = self.out(functional.gelu(self.hidden(pooled))) + self.skip(plain)
        return functional.normalize(fused, dim=1)
