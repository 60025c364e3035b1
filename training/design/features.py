"""Embeddings of every photo in several views, computed once: what the fusions are trained on.

View 0 is the serving view; further views are distorted, so that the fusions see how embeddings move.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.design.encoders import Encoders
from training.design.records import Design
from training.design.views import ViewConfig, distorted_view, plain_view, read_mask, read_photo
from training.export import TensorCard, trace_onnx

logger = logging.getLogger(__name__)
SIZE = 224
Run = Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]


def onnx_runner(network: nn.Module, outputs: Sequence[str], size: int = SIZE) -> Run:
    """`network` as a function of images f32 [N,3,size,size] on ONNX Runtime, which is faster."""
    import onnxruntime

    network = network.eval().to(memory_format=torch.contiguous_format)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        trace_onnx(
            network,
            (torch.zeros(2, 3, size, size),),
            path,
            inputs=(TensorCard("images", "f32", (3, size, size)),),
            outputs=tuple(TensorCard(name, "f32", ()) for name in outputs),
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(list(outputs), {"images": images})


class _Embeddings(nn.Module):
    """Both embeddings in one pass over the shared backbone."""

    def __init__(self, model: Encoders) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.embed(images)


@dataclass(frozen=True)
class Features:
    """f16 arrays [N,V,d]: embeddings of the whole photo and of the crop."""

    names: NDArray[np.str_]
    align: NDArray[np.float16]
    style: NDArray[np.float16]
    crop_align: NDArray[np.float16]
    crop_style: NDArray[np.float16]

    def save(self, path: Path) -> None:
        """Writes an .npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **self.__dict__)

    @staticmethod
    def load(path: Path) -> Features:
        """Reads what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return Features(**{name: stored[name] for name in stored.files})


def embed_designs(
    model: Encoders,
    designs: Sequence[Design],
    *,
    distorted: int,
    seed: int,
    config: ViewConfig,
    batch: int = 8,
    size: int = SIZE,
) -> Features:
    """Embeds view 0 and `distorted` further views of every design; the seed fixes the distortions."""
    run = onnx_runner(_Embeddings(model), ("align", "style"), size)
    rng = np.random.default_rng(seed)
    views = 1 + distorted
    count = len(designs)
    arrays = {
        "align": np.zeros((count, views, 512), np.float16),
        "style": np.zeros((count, views, 256), np.float16),
        "crop_align": np.zeros((count, views, 512), np.float16),
        "crop_style": np.zeros((count, views, 256), np.float16),
    }
    started = time.monotonic()
    for start in range(0, count, batch):
        chosen = designs[start : start + batch]
        images = []
        for index, design in enumerate(chosen):
            photo = read_photo(design)
            mask = read_mask(design, photo.shape[:2])
            clutter = read_photo(chosen[(index + 1) % len(chosen)]) if distorted else None
            for box in (None, design.crop):
                images.append(plain_view(photo, box, size))
                for _ in range(distorted):
                    images.append(distorted_view(photo, mask, box, size, rng, config, clutter)[0])
        align, style = (x.reshape(len(chosen), 2, views, -1) for x in run(np.stack(images)))
        rows = slice(start, start + len(chosen))
        arrays["align"][rows], arrays["crop_align"][rows] = align[:, 0], align[:, 1]
        arrays["style"][rows], arrays["crop_style"][rows] = style[:, 0], style[:, 1]
        if start % (batch * 25) == 0:
            logger.info("embedded %d/%d %.0f s", start + len(chosen), count, time.monotonic() - started)
    return Features(names=np.array([design.name for design in designs]), **arrays)
