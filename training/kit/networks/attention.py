"""The masked pre-norm Transformer block that both fusion models are made of.

Written out rather than taken from torch.nn, so that the exported graph is plain matrix products with an
additive mask: absent tokens get exactly no weight, and no operation looks across the batch.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

ABSENT = -1e4  # added to the attention logit of an absent key; exp() of it is 0 in f32


class Attention(nn.Module):
    """Multi-head attention of queries over keys, some of which are absent."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor, present: Tensor, *, soft: bool = False) -> Tensor:
        """queries f32 [N,Q,d], keys f32 [N,K,d], present f32 [N,K] in {0, 1} -> f32 [N,Q,d].

        A row without any present key attends evenly; mask what it returns. `soft`: present is in (0, 1] and
        scales each key's weight.
        """
        width = queries.shape[2]
        size = width // self.heads
        q = self.query(queries).unflatten(2, (self.heads, size)).transpose(1, 2)  # [N,h,Q,s]
        k = self.key(keys).unflatten(2, (self.heads, size)).transpose(1, 2)  # [N,h,K,s]
        v = self.value(keys).unflatten(2, (self.heads, size)).transpose(1, 2)  # [N,h,K,s]
        bias = present.log() if soft else (1 - present) * ABSENT
        logits = q @ k.transpose(2, 3) / math.sqrt(size) + bias[:, None, None, :]
        mixed = (logits.softmax(dim=3) @ v).transpose(1, 2).flatten(2)  # [N,Q,d]
        result: Tensor = self.out(mixed)
        return result


class Block(nn.Module):
    """Pre-norm self-attention and feed-forward, each with a residual."""

    def __init__(self, width: int, heads: int, feed: int, drop: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_feed = nn.LayerNorm(width)
        self.widen = nn.Linear(width, feed)
        self.narrow = nn.Linear(feed, width)
        self.drop = nn.Dropout(drop)

    def forward(self, tokens: Tensor, present: Tensor, *, soft: bool = False) -> Tensor:
        """tokens f32 [N,T,d], present f32 [N,T] (see `Attention`) -> f32 [N,T,d]."""
        normed = self.norm_attention(tokens)
        tokens = tokens + self.drop(self.attention(normed, normed, present, soft=soft))
        feed = self.narrow(self.drop(functional.gelu(self.widen(self.norm_feed(tokens)))))
        return tokens + self.drop(feed)


def masked_mean(tokens: Tensor, present: Tensor) -> Tensor:
    """Mean of the present tokens: f32 [N,T,d], f32 [N,T] -> f32 [N,d]; zero where none is present."""
    return (tokens * present.unsqueeze(2)).sum(dim=1) / present.sum(dim=1, keepdim=True).clamp(min=1)


def is_present(vectors: Tensor) -> Tensor:
    """1 where a vector is not all zero: f32 [...,d] -> f32 [...]."""
    return (vectors.abs().amax(dim=-1) > 0).to(vectors.dtype)
