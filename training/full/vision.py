"""SigLIP 2, CLIP, DINOv2 and DINOv3: image encoders of transformers behind the contract's tensors.

SigLIP 2 and CLIP are `image_align`: their pooled vector, and their patch tokens. DINOv2 and DINOv3 are
`image_style`: their CLS after the last norm. Configurations are written out, so that only files of weights
are ever read. transformers is imported where it is used: it takes seconds, and a list of models needs none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.full.interface import (
    HALF,
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    Encoder,
    Facts,
    ImageInput,
    OwnScale,
    Triple,
)
from training.kit.weights import build, fill, read_state

CLIP_MEAN: Triple = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION: Triple = (0.26862954, 0.26130258, 0.27577711)
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Sizes:
    """`trained`: image size of the published position table, where it differs from the served one."""

    width: int
    layers: int
    heads: int
    feed: int
    patch: int
    trained: int
    projection: int = 0
    registers: int = 0

    def common(self) -> dict[str, Any]:
        """The settings that all four architectures name alike."""
        return {
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "image_size": self.trained,
            "patch_size": self.patch,
        }


TINY = Sizes(width=32, layers=2, heads=4, feed=64, patch=8, trained=32, projection=16, registers=2)


class Served(nn.Module):
    """`body` between the served images and the contract's outputs.

    `body` gives (pooled f32 [N,D], patch tokens f32 [N,T,D_t]).
    """

    def __init__(self, body: nn.Module, facts: Facts) -> None:
        super().__init__()
        assert facts.image is not None
        self.scale = OwnScale(facts.image)
        self.body = body
        self.with_tokens = facts.tokens is not None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        """images f32 [N,3,S,S] -> embedding f32 [N,D] unit (and tokens f16 [N,T,D_t])."""
        pooled, tokens = self.body(self.scale(images))
        embedding = functional.normalize(pooled, dim=-1)
        return (embedding, tokens.half()) if self.with_tokens else embedding


class Body(nn.Module):
    """A vision network of transformers: what is pooled, and its patch tokens without CLS and registers."""

    def __init__(self, network: nn.Module, *, pooled: str, skip: int) -> None:
        super().__init__()
        self.network, self.pooled, self.skip = network, pooled, skip

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = self.network(pixel_values=images)
        return getattr(found, self.pooled), found.last_hidden_state[:, self.skip :]


@dataclass(frozen=True)
class Siglip2:
    """The vision tower of a SigLIP 2 model of fixed resolution, pooled by its attention head."""

    name: str
    sizes: Sizes

    @property
    def facts(self) -> Facts:
        return align_facts(self.name, "SigLIP 2", self.sizes, self.sizes.width, HALF, HALF)

    def tiny(self) -> Encoder:
        return replace(self, sizes=TINY)

    def network(self) -> tuple[type[Any], Any]:
        from transformers import SiglipVisionConfig, SiglipVisionModel

        config = SiglipVisionConfig(**self.sizes.common(), intermediate_size=self.sizes.feed)
        return SiglipVisionModel, config

    def build(self) -> nn.Module:
        return self._served(build(*self.network()))

    def load(self, folder: Path) -> nn.Module:
        state = read_state(folder / WEIGHTS)
        return self._served(fill(*self.network(), state, unused=("text_model.", "logit_")))

    def _served(self, network: nn.Module) -> nn.Module:
        return Served(Body(network, pooled="pooler_output", skip=0), self.facts).eval()


@dataclass(frozen=True)
class Clip:
    """The vision tower of OpenAI's CLIP with its projection."""

    name: str
    sizes: Sizes

    @property
    def facts(self) -> Facts:
        return align_facts(self.name, "CLIP", self.sizes, self.sizes.projection, CLIP_MEAN, CLIP_DEVIATION)

    def tiny(self) -> Encoder:
        return replace(self, sizes=TINY)

    def network(self) -> tuple[type[Any], Any]:
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        config = CLIPVisionConfig(
            **self.sizes.common(), intermediate_size=self.sizes.feed, projection_dim=self.sizes.projection
        )
        return CLIPVisionModelWithProjection, config

    def build(self) -> nn.Module:
        return self._served(build(*self.network()))

    def load(self, folder: Path) -> nn.Module:
        state = read_state(folder / WEIGHTS)
        return self._served(
            fill(*self.network(), state, unused=("text_model.", "text_projection.", "logit_"))
        )

    def _served(self, network: nn.Module) -> nn.Module:
        return Served(Body(network, pooled="image_embeds", skip=1), self.facts).eval()


@dataclass(frozen=True)
class Dinov2:
    """DINOv2 at `size` pixels: its position table is resampled once, when the network is made."""

    name: str
    sizes: Sizes
    size: int

    @property
    def facts(self) -> Facts:
        return style_facts(self.name, "DINOv2", self.sizes, self.size)

    def tiny(self) -> Encoder:
        return replace(self, sizes=replace(TINY, trained=48), size=32)

    def network(self) -> tuple[type[Any], Any]:
        from transformers import Dinov2Config, Dinov2Model

        return Dinov2Model, Dinov2Config(**self.sizes.common(), mlp_ratio=self.sizes.feed // self.sizes.width)

    def build(self) -> nn.Module:
        return self._served(build(*self.network()))

    def load(self, folder: Path) -> nn.Module:
        return self._served(fill(*self.network(), read_state(folder / WEIGHTS)))

    def _served(self, network: nn.Module) -> nn.Module:
        fix_positions(network.embeddings, self.size, self.sizes.patch)
        return Served(Body(network, pooled="pooler_output", skip=1), self.facts).eval()


@dataclass(frozen=True)
class Dinov3:
    """DINOv3's plain ViT; its rotary positions fit any size."""

    name: str
    sizes: Sizes
    size: int

    @property
    def facts(self) -> Facts:
        return style_facts(self.name, "DINOv3", self.sizes, self.size)

    def tiny(self) -> Encoder:
        return replace(self, sizes=TINY, size=32)

    def network(self) -> tuple[type[Any], Any]:
        from transformers import DINOv3ViTConfig, DINOv3ViTModel

        config = DINOv3ViTConfig(
            **self.sizes.common(),
            intermediate_size=self.sizes.feed,
            num_register_tokens=self.sizes.registers,
        )
        return DINOv3ViTModel, config

    def build(self) -> nn.Module:
        return self._served(build(*self.network()))

    def load(self, folder: Path) -> nn.Module:
        return self._served(fill(*self.network(), read_state(folder / WEIGHTS)))

    def _served(self, network: nn.Module) -> nn.Module:
        body = Body(network, pooled="pooler_output", skip=1 + self.sizes.registers)
        return Served(body, self.facts).eval()


def fix_positions(embeddings: Any, size: int, patch: int) -> None:
    """Gives Dinov2Embeddings the position table of images of `size` pixels for good.

    Otherwise it would be resampled for every batch, and the exported graph with it.
    """
    cells = (size // patch) ** 2
    with torch.no_grad():
        width = embeddings.position_embeddings.shape[2]
        table = embeddings.interpolate_pos_encoding(torch.zeros(1, 1 + cells, width), size, size).clone()
    embeddings.position_embeddings = nn.Parameter(table)
    embeddings.interpolate_pos_encoding = lambda *_: embeddings.position_embeddings


def align_facts(
    name: str, family: str, sizes: Sizes, embedding: int, mean: Triple, deviation: Triple
) -> Facts:
    """Facts of an `image_align` that is served at the size it was trained at."""
    cells = (sizes.trained // sizes.patch) ** 2
    return Facts(
        name=name,
        kind="image_align",
        description=f"{family}, {sizes.layers} layers of {sizes.width}, patches of {sizes.patch} pixels",
        embedding=embedding,
        tokens=(cells, sizes.width),
        image=ImageInput(sizes.trained, mean, deviation),
    )


def style_facts(name: str, family: str, sizes: Sizes, size: int) -> Facts:
    """Facts of an `image_style`."""
    return Facts(
        name=name,
        kind="image_style",
        description=f"{family}, {sizes.layers} layers of {sizes.width}, patches of {sizes.patch} pixels",
        embedding=sizes.width,
        image=ImageInput(size, IMAGENET_MEAN, IMAGENET_DEVIATION),
    )
