"""The full encoders by name. Sizes are those of the published configurations."""

from __future__ import annotations

from training.full.beit3_encoders import Beit3Image, Beit3Text
from training.full.interface import Encoder
from training.full.stella import Stella
from training.full.vision import Clip, Dinov2, Dinov3, Siglip2, Sizes
from training.kit.networks.beit3 import Beit3Config

BEIT3_BASE = "beit3_base_patch16_384_coco_retrieval.pth"
BEIT3_LARGE = "beit3_large_patch16_384_coco_retrieval.pth"

_ENCODERS: tuple[Encoder, ...] = (
    Beit3Image("beit3-base", Beit3Config.base(), BEIT3_BASE),
    Beit3Text("beit3-base-text", Beit3Config.base(), BEIT3_BASE),
    Beit3Image("beit3-large", Beit3Config.large(), BEIT3_LARGE),
    Beit3Text("beit3-large-text", Beit3Config.large(), BEIT3_LARGE),
    Siglip2("siglip2-base", Sizes(768, 12, 12, 3072, patch=16, trained=224)),
    Siglip2("siglip2-so400m", Sizes(1152, 27, 16, 4304, patch=14, trained=384)),
    Clip("clip-large", Sizes(1024, 24, 16, 4096, patch=14, trained=224, projection=768)),
    Dinov2("dinov2-large", Sizes(1024, 24, 16, 4096, patch=14, trained=518), size=224),
    Dinov3("dinov3-large", Sizes(1024, 24, 16, 4096, patch=16, trained=224, registers=4), size=224),
    Stella("stella-1.5b"),
)
ENCODERS: dict[str, Encoder] = {encoder.facts.name: encoder for encoder in _ENCODERS}


class UnknownEncoder(KeyError):
    """No encoder of this name."""

    def __str__(self) -> str:
        return f"no encoder {self.args[0]!r}; there are {', '.join(ENCODERS)}"


def encoder(name: str) -> Encoder:
    """Raises UnknownEncoder naming those there are."""
    if name not in ENCODERS:
        raise UnknownEncoder(name)
    return ENCODERS[name]
