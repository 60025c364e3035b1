"""image_align and image_style as one network on a shared backbone, and what only their training needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nails.vocabulary import COLOURS
from training.kit.losses import Temperature
from training.kit.networks.backbone import EfficientNetLite0, imagenet_backbone
from training.kit.networks.folded import fold_backbone
from training.kit.networks.image_align import ALIGN_DIM, AlignHead
from training.kit.networks.image_style import STYLE_DIM, StyleHead


class Encoders(nn.Module):
    """The backbone, both heads, and what only training needs. Takes the backbone over and folds it."""

    def __init__(self, backbone: EfficientNetLite0, facts: int) -> None:
        super().__init__()
        self.backbone = fold_backbone(backbone)
        self.align = AlignHead()
        self.style = StyleHead()
        self.style_to_text = nn.Linear(STYLE_DIM, ALIGN_DIM)
        self.align_facts = nn.Linear(ALIGN_DIM, facts)
        self.style_facts = nn.Linear(STYLE_DIM, facts)
        self.align_palette = nn.Linear(ALIGN_DIM, len(COLOURS))
        self.style_palette = nn.Linear(STYLE_DIM, len(COLOURS))
        self.temperature = Temperature(ceiling=100)
        self.style_temperature = Temperature(ceiling=100)

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images f32 [N,3,S,S] -> align f32 [N,512], style f32 [N,256], both unit."""
        return self.look(images)[:2]

    def look(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """images f32 [N,3,S,S] -> align [N,512], style [N,256], facts [N,F] in [0, 1], tokens [N,T,112].

        The tokens are those of stride 16, averaged by two: 49 at 224 pixels.
        """
        levels = self.backbone.levels(images)
        _, align = self.align(self.align.describe(images, levels)[0])
        _, style = self.style(self.style.describe(images, levels)[0])
        logits = self.align_facts(align * ALIGN_DIM**0.5) + self.style_facts(style * STYLE_DIM**0.5)
        tokens = functional.avg_pool2d(levels[16], 2).flatten(2).transpose(1, 2)
        return align, style, (logits / 2).sigmoid(), tokens


def pretrained_encoders(facts: int) -> Encoders:
    """Heads at random, backbone from ImageNet."""
    return Encoders(imagenet_backbone(), facts)


def load_encoders(path: Path) -> tuple[Encoders, dict[str, Any]]:
    """The model of a checkpoint and what the checkpoint says about itself."""
    stored = torch.load(path, map_location="cpu", weights_only=True)
    model = Encoders(EfficientNetLite0(), len(stored["facts"]))
    model.load_state_dict(stored.pop("state"))
    return model.eval(), stored
