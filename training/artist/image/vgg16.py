"""VGG16 as paper A has it: thirteen convolutions, then 7·7·512 -> 4096 (ReLU) -> artists.

Written out in plain torch with the parameter names of the published ImageNet checkpoint, which is the only
thing taken from elsewhere and is read after its pinned checksum alone. `LAYERS` may be made small for tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from training.kit.pins import PinError, read_pins, verify
from training.kit.weights import WeightsError, read_state

PINS: Final = Path(__file__).with_name("pins.toml")
LAYERS: Final[tuple[int, ...]] = (
    64,
    64,
    0,
    128,
    128,
    0,
    256,
    256,
    256,
    0,
    512,
    512,
    512,
    0,
    512,
    512,
    512,
    0,
)
"""Channels of a convolution of 3 x 3; 0 is a maximum over 2 x 2."""
WIDTH: Final = 4096
CELLS: Final = 7  # each way, at 224 pixels
MEAN: Final = (0.485, 0.456, 0.406)  # of ImageNet, sRGB in 0..1
DEVIATION: Final = (0.229, 0.224, 0.225)


class Vgg16(nn.Module):
    """The network up to its first dense layer.

    images f32 [N,3,S,S] as nails.photo.preprocess.backbone_input gives them ((x - 127) / 128), S = 32 * cells
    -> pooled f32 [N, C*cells*cells], dense f32 [N,width] after its ReLU.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: Sequence[int] = LAYERS, width: int = WIDTH, cells: int = CELLS) -> None:
        super().__init__()
        self.features = _convolutions(layers)
        self.inputs = [channels for channels in layers if channels][-1] * cells * cells
        # its place in the published checkpoint is classifier.0
        self.classifier = nn.Sequential(nn.Linear(self.inputs, width), nn.ReLU())
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        rgb = (images * 128 + 127) / 255
        pooled = self.features((rgb - self.mean) / self.deviation).flatten(1)
        return pooled, self.classifier(pooled)


class VggHead(nn.Module):
    """What is trained: 7·7·512 -> 4096 (ReLU) -> artists, the first layer from ImageNet."""

    def __init__(self, artists: int, inputs: int, width: int = WIDTH) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, width)
        self.out = nn.Linear(width, artists)

    @classmethod
    def after(cls, network: Vgg16, artists: int) -> VggHead:
        """A head whose first layer is that of `network`."""
        dense = network.classifier[0]
        assert isinstance(dense, nn.Linear)
        head = cls(artists, dense.in_features, dense.out_features)
        head.dense.load_state_dict(dense.state_dict())
        return head

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """pooled f32 [N,D] -> logits f32 [N,A], dense f32 [N,width]."""
        dense = self.dense(pooled).relu()
        return self.out(dense), dense


class VggArtist(nn.Module):
    """The whole model as it is exported: images f32 [N,3,224,224] -> logits f32 [N,A], embedding unit."""

    def __init__(self, network: Vgg16, head: VggHead) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pooled, _ = self.network(images)
        logits, dense = self.head(pooled)
        return logits, nn.functional.normalize(dense, dim=1)


def load_vgg16(folder: Path) -> Vgg16:
    """VGG16 with the published weights in `folder`. Raises PinError or WeightsError."""
    pin = read_pins(PINS)["vgg16"]
    verify(pin, folder)
    (name,) = pin.files
    return from_state(Vgg16(), read_state(folder / name), str(folder / name))


def from_state(network: Vgg16, state: dict[str, Tensor], where: str) -> Vgg16:
    """`network` with the weights of a published state dict, whose later dense layers are left out.

    Raises WeightsError naming what is missing or of another shape.
    """
    own = {
        name: value for name, value in state.items() if not name.startswith(("classifier.3", "classifier.6"))
    }
    wanted = network.state_dict()
    missing = sorted(wanted.keys() - own.keys())
    unexpected = sorted(own.keys() - wanted.keys())
    shapes = sorted(name for name in wanted.keys() & own.keys() if wanted[name].shape != own[name].shape)
    if missing or unexpected or shapes:
        raise WeightsError(
            f"{where}: no VGG16: missing {missing}, unexpected {unexpected}, other shapes {shapes}"
        )
    network.load_state_dict(own)
    return network.eval()


def _convolutions(layers: Sequence[int]) -> nn.Sequential:
    stack: list[nn.Module] = []
    channels = 3
    for wide in layers:
        if wide:
            stack += [nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU(inplace=True)]
            channels = wide
        else:
            stack.append(nn.MaxPool2d(2))
    return nn.Sequential(*stack)


__all__ = ["PinError", "Vgg16", "VggArtist", "VggHead", "WeightsError", "from_state", "load_vgg16"]
