"""The frozen stem of the backbone, run by ONNX Runtime: a third of what torch needs for the same numbers.

hand_detect and hand_pose learn on a CPU. The frozen features of an augmented crop (a view) are computed once,
and it is then learnt from several times: `Pool` keeps the latest views.
"""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.kit.compute import set_memory_format
from training.kit.export.card import TensorCard
from training.kit.export.model import trace_onnx
from training.kit.networks.backbone import (
    PYRAMID_BLOCKS,
    PYRAMID_CHANNELS,
    EfficientNetLite0,
    InvertedResidual,
    freeze,
)

STEM_STRIDE = 16


class StemFeatures(NamedTuple):
    """Features that are not learnt: f32 [N,40,S/8,S/8] and [N,112,S/16,S/16]."""

    stride8: Tensor
    stride16: Tensor


def stem_levels(backbone: EfficientNetLite0, images: Tensor) -> StemFeatures:
    """All that is computed before anything is learnt, from images f32 [N,3,S,S] in (x-127)/128."""
    ends = {block: stride for stride, block in PYRAMID_BLOCKS.items()}
    found = {}
    x = functional.relu6(backbone._bn0(backbone._conv_stem(images)))
    for index, block in enumerate(backbone._blocks[: PYRAMID_BLOCKS[STEM_STRIDE] + 1]):
        x = block(x)
        if index in ends:
            found[ends[index]] = x
    return StemFeatures(found[8], found[16])


def back_level(backbone: EfficientNetLite0, stride16: Tensor) -> Tensor:
    """Features at stride 32 from those at stride 16, f32 [N,112,h,w] -> f32 [N,320,h/2,w/2]."""
    return _through(backbone, stride16, 16, 32)


def learnt_stem(backbone: EfficientNetLite0, stem: StemFeatures) -> StemFeatures:
    """The frozen stem as the backbone has it now: its stride 16 anew where the blocks before it learn too."""
    first = backbone._blocks[PYRAMID_BLOCKS[8] + 1]
    assert isinstance(first, InvertedResidual)
    if not first._project_conv.weight.requires_grad:
        return stem
    return StemFeatures(stem.stride8, _through(backbone, stem.stride8, 8, 16))


def _through(backbone: EfficientNetLite0, x: Tensor, start: int, end: int) -> Tensor:
    for block in backbone._blocks[PYRAMID_BLOCKS[start] + 1 : PYRAMID_BLOCKS[end] + 1]:
        x = block(x)
    return x


def freeze_stem(backbone: EfficientNetLite0, *, stride: int = STEM_STRIDE) -> EfficientNetLite0:
    """Keeps the blocks up to `stride` (8 or 16) and every depthwise filter as they are; returns the backbone.

    The depthwise filters behind the frozen stem are one parameter in thirty, and their gradients cost torch
    as much time on a CPU as all the others together.
    """
    backbone.requires_grad_(True)
    freeze(backbone, stride=stride)
    for block in backbone._blocks[PYRAMID_BLOCKS[stride] + 1 :]:
        block._depthwise_conv.requires_grad_(False)
    return backbone


class _Stem(nn.Module):
    def __init__(self, backbone: EfficientNetLite0) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        stem = stem_levels(self.backbone, images)
        return stem.stride8, stem.stride16


class FrozenStem:
    """images f32 [N,3,S,S] in (x-127)/128 -> the frozen stem's features with a backbone's weights, as they
    are now.

    The session is made at the first call, in the process that calls: sessions do not survive a fork.
    """

    def __init__(self, backbone: EfficientNetLite0) -> None:
        self._backbone = set_memory_format(copy.deepcopy(backbone).cpu(), torch.contiguous_format).eval()
        self._session: Any = None

    def __call__(self, images: Tensor) -> StemFeatures:
        if self._session is None:
            self._session = self._made()
        outputs = self._session.run(None, {"images": images.contiguous().numpy()})
        return StemFeatures(*(torch.from_numpy(output) for output in outputs))

    def _made(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        levels = [TensorCard(f"stride{s}", "f32", (PYRAMID_CHANNELS[s], -1, -1)) for s in (8, 16)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "stem.onnx"
            images = TensorCard("images", "f32", (3, -1, -1))
            trace_onnx(
                _Stem(self._backbone), [torch.zeros(1, 3, 128, 128)], path, inputs=[images], outputs=levels
            )
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Pool:
    """The latest views, whole batches in, random ones out: each is learnt from several times.

    A view is a tuple of tensors without the batch axis; all views of a pool have the same shapes.
    """

    def __init__(self, views: int, *, seed: int) -> None:
        self._size = views
        self._views: list[tuple[Tensor, ...]] = []
        self._oldest = 0
        self._generator = torch.Generator().manual_seed(seed)

    def add(self, batch: tuple[Tensor, ...]) -> None:
        """Takes in a batch, axis 0 first, in place of the oldest views."""
        for view in zip(*batch, strict=True):
            if len(self._views) < self._size:
                self._views.append(view)
            else:
                self._views[self._oldest] = view
                self._oldest = (self._oldest + 1) % self._size

    def draw(self, count: int) -> tuple[Tensor, ...]:
        """A random batch; a view may come twice."""
        chosen = torch.randint(len(self._views), (count,), generator=self._generator).tolist()
        return tuple(torch.stack(parts) for parts in zip(*(self._views[i] for i in chosen), strict=True))
