"""What every full encoder is: its facts, a tiny twin, a network with the contract's tensors, and its weights.

    image_align   images f32 [N,3,S,S]             -> embedding f32 [N,D] unit, tokens f16 [N,T,D_t]
    image_style   images f32 [N,3,S,S]             -> embedding f32 [N,D] unit
    text_encode   input_ids, attention_mask i64 [N,L] -> embedding f32 [N,D] unit, tokens f32 [N,L,D_t]

`images` are what `nails.photo.preprocess.backbone_input` makes of a photo, for every model alike: the
network's first operation turns them into the mean and deviation that its weights were trained with. So a full
model takes the compact one's place without another preprocessing in the services, and what it changes is part
of its weights, hence of its fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from training.kit.export.card import ModelCard, TensorCard

Kind = Literal["image_align", "image_style", "text_encode"]
Triple = tuple[float, float, float]

HALF: Triple = (0.5, 0.5, 0.5)
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageInput:
    """`size`: S in pixels. `mean`, `deviation`: of RGB in [0, 1], as the weights were trained."""

    size: int
    mean: Triple
    deviation: Triple


@dataclass(frozen=True)
class TextInput:
    """`longest`: tokens of a text, at most. `query_prompt`: put before requests, and never before documents.
    `vocabulary`: number of ids."""

    longest: int
    vocabulary: int
    query_prompt: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of an encoder without its weights.

    `embedding`: D. `tokens`: (T, D_t), with T = -1 for texts; None where the contract has no tokens.
    """

    name: str
    kind: Kind
    description: str
    embedding: int
    tokens: tuple[int, int] | None = None
    image: ImageInput | None = None
    text: TextInput | None = None


class Encoder(Protocol):
    """One architecture at one size. Networks come in eval mode, fp32, on the CPU."""

    @property
    def facts(self) -> Facts: ...

    def tiny(self) -> Encoder:
        """The same architecture at a size for tests."""

    def build(self) -> nn.Module:
        """The network for export, random weights."""

    def load(self, folder: Path) -> nn.Module:
        """The network for export with the published weights in `folder`, whose checksums the caller has
        verified. Raises WeightsError where a name or shape does not fit, naming every one."""


class OwnScale(nn.Module):
    """Served images to the network's own: f32 [N,3,S,S], (x - 127) / 128 of 8-bit RGB -> (x / 255 - mean) /
    deviation."""

    def __init__(self, image: ImageInput) -> None:
        super().__init__()
        mean, deviation = torch.tensor(image.mean), torch.tensor(image.deviation)
        self.factor: Tensor
        self.shift: Tensor
        self.register_buffer("factor", (128 / 255 / deviation).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", ((127 / 255 - mean) / deviation).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return images * self.factor + self.shift


def card(facts: Facts, *, licence: str) -> ModelCard:
    """The contract of an encoder's kind at its sizes, for `training.kit.export.model.export_model`."""
    outputs = [TensorCard("embedding", "f32", (facts.embedding,))]
    if facts.kind == "text_encode":
        inputs: tuple[TensorCard, ...] = (
            TensorCard("input_ids", "i64", (-1,)),
            TensorCard("attention_mask", "i64", (-1,)),
        )
    else:
        assert facts.image is not None
        inputs = (TensorCard("images", "f32", (3, facts.image.size, facts.image.size)),)
    if facts.tokens is not None:
        outputs.append(TensorCard("tokens", "f32" if facts.text else "f16", facts.tokens))
    return ModelCard(
        name=facts.kind,
        description=facts.description,
        inputs=inputs,
        outputs=tuple(outputs),
        licence=licence,
        parameters={"encoder": facts.name}
        | ({"query_prompt": facts.text.query_prompt} if facts.text and facts.text.query_prompt else {}),
    )


def example(facts: Facts, seed: int = 3) -> tuple[Tensor, ...]:
    """Three different inputs: smooth coloured images in the served range, or texts of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    if facts.text is not None:
        longest = min(9, facts.text.longest)
        ids = torch.randint(4, facts.text.vocabulary, (3, longest), generator=generator)
        lengths = torch.tensor([longest, longest - 3, longest - 5])
        mask = (torch.arange(longest)[None] < lengths[:, None]).long()
        return ids * mask + (1 - mask), mask
    assert facts.image is not None
    coarse = torch.rand(3, 3, 7, 7, generator=generator) * 2 - 1
    size = (facts.image.size, facts.image.size)
    return (nn.functional.interpolate(coarse, size=size, mode="bilinear").contiguous(),)
