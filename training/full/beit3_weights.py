"""Released BEiT-3 retrieval weights into the network of beit3.py: a rename for each parameter.

    load_official(model, torch.load(FILE, weights_only=True)["model"])

Fits the checkpoints fine-tuned on COCO and Flickr30k (384 x 384) and the contrastively tuned "itc" ones
(224 x 224), of both sizes; names and shapes as torchscale 0.2.0 writes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from training.kit.networks.beit3 import FIRST_POSITION, Beit3


class Beit3LoadError(ValueError):
    """A state dict that is not this network's: every name that is missing, unexpected or of a wrong shape."""

    def __init__(self, missing: list[str], unexpected: list[str], misshaped: list[str]) -> None:
        self.missing, self.unexpected, self.misshaped = missing, unexpected, misshaped
        lists = (("missing", missing), ("unexpected", unexpected), ("wrong shape", misshaped))
        lines = [f"  {what} ({len(names)}): {', '.join(names)}" for what, names in lists if names]
        super().__init__("\n".join(["not the weights of this BEiT-3:", *lines]))


class OfficialNames:
    """How the released checkpoints name this network's parameters; A is the image way and B the text way."""

    WHOLE: ClassVar = {
        "visual.weight": "beit3.vision_embed.proj.weight",
        "visual.bias": "beit3.vision_embed.proj.bias",
        "cls": "beit3.vision_embed.cls_token",
        "words.weight": "beit3.text_embed.weight",
        "positions.0": "beit3.encoder.embed_positions.A.weight",
        "positions.1": "beit3.encoder.embed_positions.B.weight",
        "heads.0.weight": "vision_head.weight",
        "heads.1.weight": "language_head.weight",
        "logit_scale": "logit_scale",
    }
    # where the way's letter goes: {}
    INSIDE: ClassVar = {
        "norm_attention": "self_attn_layer_norm.{}",
        "attention.query": "self_attn.q_proj.{}",
        "attention.key": "self_attn.k_proj.{}",
        "attention.value": "self_attn.v_proj.{}",
        "attention.norm": "self_attn.inner_attn_ln.{}",
        "attention.out": "self_attn.out_proj.{}",
        "norm_feed": "final_layer_norm.{}",
        "feed.widen": "ffn.{}.fc1",
        "feed.norm": "ffn.{}.ffn_layernorm",
        "feed.narrow": "ffn.{}.fc2",
    }
    # Written by masked pre-training and read by nothing here.
    UNUSED: ClassVar = frozenset({"beit3.vision_embed.mask_token"})

    @classmethod
    def of(cls, name: str) -> str:
        """`layers.3.attention.1.query.bias` -> `beit3.encoder.layers.3.self_attn.q_proj.B.bias`."""
        if name in cls.WHOLE:
            return cls.WHOLE[name]
        *path, kind = name.split(".")
        if path[0] == "norm":
            return f"beit3.encoder.layer_norm.{'AB'[int(path[1])]}.{kind}"
        _, number, part, way, *rest = path
        inside = cls.INSIDE[".".join([part, *rest])].format("AB"[int(way)])
        return f"beit3.encoder.layers.{number}.{inside}.{kind}"


def load_official(model: Beit3, state: Mapping[str, Tensor], *, resample_positions: bool = False) -> None:
    """Fills `model` from the state dict of a released retrieval checkpoint (its "model" entry).

    `resample_positions`: let image positions of another image size be resampled bicubically, as is done
    before fine-tuning at a larger size. Raises Beit3LoadError naming every name that does not fit; the model
    is then left as it was.
    """
    config = model.config
    if config.shared_attention or config.ready_tokens:
        raise ValueError("released weights have attention for each modality and patches of pixels")
    own = dict(model.named_parameters())
    names = {OfficialNames.of(name): name for name in own}
    found = {name: tensor for name, tensor in state.items() if name not in OfficialNames.UNUSED}
    positions = OfficialNames.WHOLE["positions.0"]
    if resample_positions and positions in found:
        found[positions] = resampled(found[positions], config.visual_tokens)
    misshaped = [
        f"{name} is {tuple(found[name].shape)}, expected {tuple(own[names[name]].shape)}"
        for name in sorted(names.keys() & found.keys())
        if found[name].shape != own[names[name]].shape
    ]
    missing, unexpected = sorted(names.keys() - found.keys()), sorted(found.keys() - names.keys())
    if missing or unexpected or misshaped:
        raise Beit3LoadError(missing, unexpected, misshaped)
    with torch.no_grad():
        for official, name in names.items():
            own[name].copy_(found[official])


def resampled(positions: Tensor, patches: int) -> Tensor:
    """Position rows f32 [2+1+T,d] of a square of T patches -> the same for `patches` patches."""
    first = FIRST_POSITION + 1  # two unread rows and CLS stay as they are
    kept, grid = positions[:first], positions[first:]
    before, after = math.isqrt(grid.shape[0]), math.isqrt(patches)
    if before == after or before**2 != grid.shape[0]:
        return positions
    square = grid.reshape(1, before, before, -1).permute(0, 3, 1, 2).float()
    square = functional.interpolate(square, size=(after, after), mode="bicubic", align_corners=False)
    return torch.cat([kept, square.permute(0, 2, 3, 1).flatten(1, 2)[0].to(kept.dtype)])
