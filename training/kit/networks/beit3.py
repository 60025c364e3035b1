"""BEiT-3 for retrieval in plain torch: one multiway Transformer that embeds images and texts.

    encode_image  images f32 [N,3,S,S] (or ready-made tokens f32 [N,T,D_in])  -> f32 [N,d] unit
    encode_text   ids i64 [N,L], mask f32 [N,L] (1 = a token, 0 = padding)    -> f32 [N,d] unit

One file, read from top to bottom. Every layer has an image way and a text way (Wang et al., Image as a
Foreign Language, 2022); in each way the layer norms stand as in Magneto's sub-LN (Wang et al., 2022): one
before the projections as in any pre-norm Transformer, and a second one inside, before the attention's output
projection and before the feed-forward's second matrix.

    x = x + out(norm(attend(query, key, value of norm(x))))
    x = x + narrow(norm(gelu(widen(norm(x)))))

The paper draws self-attention that both modalities share. The released checkpoints have attention weights of
their own for each modality too; `shared_attention` chooses between the two, and a network that shares cannot
load them (beit3_weights.py).

Invariants
- No operation looks across the batch, and padding gets exactly no attention: an embedding depends on its own
  item alone, however long the batch is padded.
- Positions are counted from 2, so that weights load as published; rows 0 and 1 are never read.
- Images are RGB scaled to [-1, 1] (mean 0.5, std 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

IMAGE, TEXT = 0, 1  # index of a way wherever a layer holds one module for each
FIRST_POSITION = 2
ABSENT = -1e4  # added to the attention logit of padding; exp() of it is 0 in f32
EPSILON = 1e-5


@dataclass(frozen=True)
class Beit3Config:
    """Sizes of the network.

    `width`: d of the embeddings and tokens; `feed`: hidden size of the feed-forwards; `vocabulary`: number of
    text ids; `text_positions`: rows of the text position table, two more than the longest text.
    `ready_tokens`: (T, D_in) where the visual input is tokens f32 [N,T,D_in] made elsewhere: a linear
    projection then stands in place of the patch embedding, and `image_size` and `patch` mean nothing.
    `drop`: dropout after attention and feed-forward; `drop_path`: chance that a sample skips a residual
    branch, from 0 in the first layer to this in the last. Both only in training mode.
    """

    width: int
    layers: int
    heads: int
    feed: int
    image_size: int = 224
    patch: int = 16
    vocabulary: int = 64010
    text_positions: int = 1024
    ready_tokens: tuple[int, int] | None = None
    shared_attention: bool = False
    drop: float = 0.0
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.ready_tokens is None and self.image_size % self.patch:
            raise ValueError(f"image_size {self.image_size} is not a multiple of patch {self.patch}")

    @property
    def visual_tokens(self) -> int:
        """T: visual tokens without CLS."""
        return self.ready_tokens[0] if self.ready_tokens else (self.image_size // self.patch) ** 2

    @property
    def max_text(self) -> int:
        """The longest text, in tokens."""
        return self.text_positions - FIRST_POSITION

    @classmethod
    def large(cls, image_size: int = 384, **changes: Any) -> Beit3Config:
        """675 M parameters; the retrieval checkpoints of COCO and Flickr30k are at 384."""
        return cls(
            **({"width": 1024, "layers": 24, "heads": 16, "feed": 4096, "image_size": image_size} | changes)
        )

    @classmethod
    def base(cls, image_size: int = 384, **changes: Any) -> Beit3Config:
        """222 M parameters."""
        return cls(
            **({"width": 768, "layers": 12, "heads": 12, "feed": 3072, "image_size": image_size} | changes)
        )

    @classmethod
    def small(cls, **changes: Any) -> Beit3Config:
        """The same architecture at a size that two cores can train; no published weights."""
        return cls(**({"width": 256, "layers": 4, "heads": 4, "feed": 1024, "text_positions": 130} | changes))

    @classmethod
    def tiny(cls, **changes: Any) -> Beit3Config:
        """For tests."""
        sizes = {"width": 32, "layers": 2, "heads": 4, "feed": 64, "image_size": 32, "patch": 8}
        return cls(**(sizes | {"vocabulary": 60, "text_positions": 20} | changes))


def layer_norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=EPSILON)


class Attention(nn.Module):
    """Self-attention with sub-LN: a norm over the mixed values before the output projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.norm = layer_norm(width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor, bias: Tensor | None) -> Tensor:
        """tokens f32 [N,T,d], bias f32 [N,1,1,T] added to the logits -> f32 [N,T,d]."""
        size = tokens.shape[2] // self.heads
        q = self.query(tokens).unflatten(2, (self.heads, size)).transpose(1, 2)  # [N,h,T,s]
        k = self.key(tokens).unflatten(2, (self.heads, size)).transpose(1, 2)  # [N,h,T,s]
        v = self.value(tokens).unflatten(2, (self.heads, size)).transpose(1, 2)  # [N,h,T,s]
        logits = (q / math.sqrt(size)) @ k.transpose(2, 3)  # [N,h,T,T]
        if bias is not None:
            logits = logits + bias
        mixed = (logits.softmax(dim=3) @ v).transpose(1, 2).flatten(2)  # [N,T,d]
        result: Tensor = self.out(self.norm(mixed))
        return result


class Feed(nn.Module):
    """Feed-forward with sub-LN: a norm after the activation, before the second matrix."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.widen = nn.Linear(width, hidden)
        self.norm = layer_norm(hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """f32 [N,T,d] -> f32 [N,T,d]."""
        result: Tensor = self.narrow(self.norm(functional.gelu(self.widen(tokens))))
        return result


class Skip(nn.Module):
    """Stochastic depth: in training, drops a sample's whole branch with a chance and rescales the others."""

    def __init__(self, chance: float) -> None:
        super().__init__()
        self.chance = chance

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training or self.chance == 0:
            return branch
        kept = torch.rand(branch.shape[0], 1, 1, device=branch.device) >= self.chance
        return branch * kept / (1 - self.chance)


class Layer(nn.Module):
    """One multiway layer: a tensor of one modality passes through that modality's way."""

    def __init__(self, config: Beit3Config, drop_path: float) -> None:
        super().__init__()
        d = config.width
        attentions = 1 if config.shared_attention else 2
        self.norm_attention = nn.ModuleList(layer_norm(d) for _ in range(2))
        self.attention = nn.ModuleList(Attention(d, config.heads) for _ in range(attentions))
        self.norm_feed = nn.ModuleList(layer_norm(d) for _ in range(2))
        self.feed = nn.ModuleList(Feed(d, config.feed) for _ in range(2))
        self.drop = nn.Sequential(nn.Dropout(config.drop), Skip(drop_path))

    def forward(self, tokens: Tensor, bias: Tensor | None, way: int) -> Tensor:
        """tokens f32 [N,T,d], bias f32 [N,1,1,T] or None, way IMAGE or TEXT -> f32 [N,T,d]."""
        attention = self.attention[way if len(self.attention) > 1 else 0]
        tokens = tokens + self.drop(attention(self.norm_attention[way](tokens), bias))
        result: Tensor = tokens + self.drop(self.feed[way](self.norm_feed[way](tokens)))
        return result


class Beit3(nn.Module):
    """The dual encoder. `logit_scale` is the logarithm of the inverse temperature."""

    def __init__(self, config: Beit3Config) -> None:
        super().__init__()
        self.config = config
        d = config.width
        self.visual: nn.Module
        if config.ready_tokens:
            self.visual = nn.Linear(config.ready_tokens[1], d)
        else:
            self.visual = nn.Conv2d(3, d, config.patch, stride=config.patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, d))
        self.words = nn.Embedding(config.vocabulary, d)
        rows = (config.visual_tokens + 1 + FIRST_POSITION, config.text_positions)
        self.positions = nn.ParameterList(nn.Parameter(torch.zeros(n, d)) for n in rows)
        depth = max(config.layers - 1, 1)
        self.layers = nn.ModuleList(Layer(config, config.drop_path * i / depth) for i in range(config.layers))
        self.norm = nn.ModuleList(layer_norm(d) for _ in range(2))
        self.heads = nn.ModuleList(nn.Linear(d, d, bias=False) for _ in range(2))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Random weights: normal, cut at one deviation of 0.02; with Magneto's factor inside the layers."""
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                cut_normal(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        factor = math.sqrt(math.log(2 * self.config.layers))
        for layer in self.modules():
            if isinstance(layer, Attention):
                scaled = (layer.value, layer.out)
            elif isinstance(layer, Feed):
                scaled = (layer.widen, layer.narrow)
            else:
                continue
            for linear in scaled:
                linear.weight.data.mul_(factor)
        nn.init.normal_(self.words.weight, std=self.config.width**-0.5)
        for table in (self.cls, *self.positions):
            cut_normal(table)

    def image_tokens(self, images: Tensor) -> Tensor:
        """images f32 [N,3,S,S], or tokens f32 [N,T,D_in] -> f32 [N,1+T,d], CLS first, after the last norm."""
        self._check_visual(images)
        if self.config.ready_tokens:
            patches = self.visual(images)  # [N,T,d]
        else:
            patches = self.visual(images).flatten(2).transpose(1, 2)  # [N,T,d]
        tokens = torch.cat([self.cls.expand(images.shape[0], -1, -1), patches], dim=1)
        return self._encode(tokens, None, IMAGE)

    def text_tokens(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids i64 [N,L], mask f32 [N,L] in {0, 1} -> f32 [N,L,d]; values at padding mean nothing.

        ids start with the BOS token, whose place serves as CLS. L is at most `config.max_text`.
        """
        if not torch.jit.is_tracing() and ids.shape[1] > self.config.max_text:
            raise ValueError(
                f"texts of {ids.shape[1]} tokens, the model takes at most {self.config.max_text}"
            )
        bias = (1 - mask.to(self.cls.dtype))[:, None, None, :] * ABSENT
        return self._encode(self.words(ids), bias, TEXT)

    def encode_image(self, images: Tensor) -> Tensor:
        """images f32 [N,3,S,S], or tokens f32 [N,T,D_in] where `ready_tokens` -> f32 [N,d] unit."""
        return functional.normalize(self.heads[IMAGE](self.image_tokens(images)[:, 0]), dim=-1)

    def encode_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids i64 [N,L], mask f32 [N,L] (1 = a token, 0 = padding) -> f32 [N,d] unit."""
        return functional.normalize(self.heads[TEXT](self.text_tokens(ids, mask)[:, 0]), dim=-1)

    def forward(self, images: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Both embeddings f32 [N,d] unit, and exp(logit_scale): what a contrastive loss needs."""
        return self.encode_image(images), self.encode_text(ids, mask), self.logit_scale.exp()

    def _encode(self, tokens: Tensor, bias: Tensor | None, way: int) -> Tensor:
        length = tokens.shape[1]
        tokens = tokens + self.positions[way][FIRST_POSITION : FIRST_POSITION + length]
        for layer in self.layers:
            tokens = layer(tokens, bias, way)
        result: Tensor = self.norm[way](tokens)
        return result

    def _check_visual(self, images: Tensor) -> None:
        if torch.jit.is_tracing():
            return
        side = self.config.image_size
        wanted = self.config.ready_tokens or (3, side, side)
        if tuple(images.shape[1:]) != wanted:
            raise ValueError(f"visual input has shape {tuple(images.shape)}, expected {('N', *wanted)}")


def cut_normal(weight: Tensor, deviation: float = 0.02) -> None:
    nn.init.trunc_normal_(weight, std=deviation, a=-deviation, b=deviation)
