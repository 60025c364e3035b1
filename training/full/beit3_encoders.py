"""BEiT-3's two ways as encoders of the contract: its images as `image_align`, its texts as `text_encode`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from training.full.beit3_weights import load_official
from training.full.interface import HALF, Encoder, Facts, ImageInput, OwnScale, TextInput
from training.kit.networks.beit3 import IMAGE, TEXT, Beit3, Beit3Config
from training.kit.weights import read_state

LONGEST = 64  # tokens of a text in the released fine-tunings


@dataclass(frozen=True)
class _Way(ABC):
    """What both ways share: one network, one checkpoint."""

    name: str
    config: Beit3Config
    checkpoint: str

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What the way takes and gives."""

    @abstractmethod
    def served(self, model: Beit3) -> nn.Module:
        """The way of a network as it is exported."""

    def tiny(self) -> Encoder:
        return replace(self, config=Beit3Config.tiny())

    def build(self) -> nn.Module:
        return self.served(Beit3(self.config)).eval()

    def load(self, folder: Path) -> nn.Module:
        model = Beit3(self.config)
        load_official(model, read_state(folder / self.checkpoint))
        return self.served(model).eval()


@dataclass(frozen=True)
class Beit3Image(_Way):
    """Images: unit CLS through the vision head, and the patch tokens after the last norm."""

    @property
    def facts(self) -> Facts:
        config = self.config
        return Facts(
            name=self.name,
            kind="image_align",
            description=f"BEiT-3 for retrieval, images, {config.layers} layers of {config.width}",
            embedding=config.width,
            tokens=(config.visual_tokens, config.width),
            image=ImageInput(config.image_size, HALF, HALF),
        )

    def served(self, model: Beit3) -> nn.Module:
        return Beit3ImageServed(model, self.facts)


@dataclass(frozen=True)
class Beit3Text(_Way):
    """Texts: unit BOS through the language head, in the space of `Beit3Image`; ids are those of
    `training.full.words`."""

    @property
    def facts(self) -> Facts:
        config = self.config
        return Facts(
            name=self.name,
            kind="text_encode",
            description=f"BEiT-3 for retrieval, texts, {config.layers} layers of {config.width}",
            embedding=config.width,
            tokens=(-1, config.width),
            text=TextInput(min(LONGEST, config.max_text), config.vocabulary),
        )

    def served(self, model: Beit3) -> nn.Module:
        return Beit3TextServed(model)


class Beit3ImageServed(nn.Module):
    """The image way as it is exported."""

    def __init__(self, model: Beit3, facts: Facts) -> None:
        super().__init__()
        assert facts.image is not None
        self.scale = OwnScale(facts.image)
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images f32 [N,3,S,S] -> embedding f32 [N,d] unit, tokens f16 [N,T,d]."""
        tokens = self.model.image_tokens(self.scale(images))
        embedding = functional.normalize(self.model.heads[IMAGE](tokens[:, 0]), dim=-1)
        return embedding, tokens[:, 1:].half()


class Beit3TextServed(nn.Module):
    """The text way as it is exported."""

    def __init__(self, model: Beit3) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """i64 [N,L], i64 [N,L] in {0, 1} -> embedding f32 [N,d] unit, tokens f32 [N,L,d]."""
        tokens = self.model.text_tokens(input_ids, attention_mask.float())
        return functional.normalize(self.model.heads[TEXT](tokens[:, 0]), dim=-1), tokens
