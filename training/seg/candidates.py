"""The architectures that `training.seg.compare` compares for nail_seg: network, loss, export, decoder.

All learn from the same views and instance labels; the forward pass runs in bfloat16 where it counts, losses
in float32. Ultralytics is imported only when its candidate is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nails.perception.nail_decode import NailInstance, decode_interior, decode_yolo_seg
from nails.photo.preprocess import Letterbox
from training.kit.compute import Compute
from training.kit.networks.backbone import EfficientNetLite0, fold_batch_norm, freeze, imagenet_backbone
from training.seg.centres import CentreMaps, CentreSeg, centre_loss, decode_centres
from training.seg.data import SegBatch, target_maps
from training.seg.loss import seg_loss
from training.seg.model import NailMaps, NailSeg
from training.seg.plain_unet import PlainUNet

Labels = NDArray[np.uint8]
Outputs = Mapping[str, NDArray[np.float32]]
Decoder = Callable[[Outputs, Letterbox, tuple[int, int]], list[NailInstance]]

FROZEN_STRIDE = 8
# Decoders give what scores at least this; where the cut lies is settled on synthetic photos.
LEAST_SCORE = 0.1


@dataclass(frozen=True)
class Candidate:
    """One architecture. slow: the part that starts from ImageNet and learns at a slower rate, if any.

    loss(network, images, labels, compute): images are on the device. served(network): what is exported;
    outputs: its tensors' names.
    """

    title: str
    make: Callable[[Path], nn.Module]
    loss: Callable[[Any, Tensor, list[Labels], Compute], Tensor]
    served: Callable[[Any], nn.Module]
    outputs: tuple[str, ...]
    decode: Decoder
    slow: Callable[[Any], nn.Module] | None = None


def ready_backbone() -> EfficientNetLite0:
    """The ImageNet backbone as `training.seg.train` uses it: normalisation folded, first stages frozen."""
    return freeze(fold_batch_norm(imagenet_backbone()), stride=FROZEN_STRIDE)


def forward(network: nn.Module, images: Tensor, compute: Compute) -> Tensor:
    """What the network gives, computed in mixed precision, f32."""
    with compute.autocast():
        maps: Tensor = network(images)
    return maps.float()


def maps_loss(network: nn.Module, images: Tensor, labels: list[Labels], compute: Compute) -> Tensor:
    """The shipped model's loss on its nail and interior maps; nothing here says where hands are."""
    nail, interior, weight = (
        compute.batch(torch.from_numpy(np.stack(part)[:, None]))
        for part in zip(*(target_maps(one) for one in labels), strict=True)
    )
    return seg_loss(forward(network, images, compute), SegBatch(images, nail, interior, weight))


def _interior(outputs: Outputs, placed: Letterbox, size: tuple[int, int]) -> list[NailInstance]:
    return decode_interior(outputs["maps"], placed, size, min_score=LEAST_SCORE)


def _centres(outputs: Outputs, placed: Letterbox, size: tuple[int, int]) -> list[NailInstance]:
    return decode_centres(outputs["maps"], placed, size, min_score=LEAST_SCORE)


def _yolo(outputs: Outputs, placed: Letterbox, size: tuple[int, int]) -> list[NailInstance]:
    return decode_yolo_seg(outputs["boxes"], outputs["protos"], placed, size, min_score=LEAST_SCORE)


def _yolo_network(run: Path) -> nn.Module:
    from training.seg.yolo_views import yolo_network

    return yolo_network(run / "settings")


def _yolo_loss(network: nn.Module, images: Tensor, labels: list[Labels], compute: Compute) -> Tensor:
    from training.seg.yolo_views import yolo_loss

    return yolo_loss(network, images, labels, compute)


def _yolo_served(network: nn.Module) -> nn.Module:
    from training.seg.yolo import ServedYolo

    return ServedYolo(network)


def _backbone(network: Any) -> nn.Module:
    backbone: nn.Module = network.backbone
    return backbone


CANDIDATES = {
    "interior": Candidate(
        "U-Net of separable blocks on EfficientNet-Lite0 (ImageNet), nail + interior maps",
        lambda _: NailSeg(ready_backbone()),
        maps_loss,
        NailMaps,
        ("maps",),
        _interior,
        slow=_backbone,
    ),
    "centres": Candidate(
        "Feature pyramid on EfficientNet-Lite0 (ImageNet), nail + centres + offsets at stride 4",
        lambda _: CentreSeg(ready_backbone()),
        lambda network, images, labels, compute: centre_loss(forward(network, images, compute), labels),
        CentreMaps,
        ("maps",),
        _centres,
        slow=_backbone,
    ),
    "yolo11n": Candidate(
        "YOLO11n-seg (ultralytics' network and loss), from scratch",
        _yolo_network,
        _yolo_loss,
        _yolo_served,
        ("boxes", "protos"),
        _yolo,
    ),
    "no-imagenet": Candidate(
        "the first one again, from random weights instead of ImageNet's",
        lambda _: NailSeg(EfficientNetLite0()),
        maps_loss,
        NailMaps,
        ("maps",),
        _interior,
    ),
    "plain-unet": Candidate(
        "plain U-Net of 3x3 convolutions, from scratch, nail + interior maps",
        lambda _: PlainUNet(),
        maps_loss,
        NailMaps,
        ("maps",),
        _interior,
    ),
}
