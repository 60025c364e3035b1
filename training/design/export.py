"""Exports the four design models from their checkpoints to triton_models/."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from training.design.data.requests import MAX_COLOURS, MAX_PHRASES
from training.design.rows.design_fuse import DESIGN_DIM, INPUTS
from training.design.rows.models import RowNetwork
from training.kit.compute import set_memory_format
from training.kit.export.card import ModelCard, Provenance, TensorCard
from training.kit.export.images import IMAGES, example_images
from training.kit.export.model import ExportError, ExportReport, export_model
from training.kit.networks.backbone import PYRAMID_BLOCKS, EfficientNetLite0
from training.kit.networks.encoders import Encoders
from training.kit.networks.image_align import ALIGN_DIM, TOKEN_DIM, ImageAlign
from training.kit.networks.image_style import STYLE_DIM, ImageStyle

HALF_COSINE = 0.999  # a precision below this is not served
ALIGN = ModelCard(
    name="image_align",
    description="EfficientNet-Lite0 whose image embedding lies in the space of text_encode; tokens",
    inputs=(IMAGES,),
    outputs=(TensorCard("embedding", "f32", (ALIGN_DIM,)), TensorCard("tokens", "f16", (49, TOKEN_DIM))),
    # One photo at a time: a batch is no faster on a CPU, and the head divides by small variances, so the
    # rounding of a batch's other summation order would show (3e-5) where a design must not depend on others.
    max_batch_size=1,
    preferred=(),
)
STYLE = ModelCard(
    name="image_style",
    description="Colour, texture and shape statistics of early EfficientNet-Lite0 features, trained head",
    inputs=(IMAGES,),
    outputs=(TensorCard("embedding", "f32", (STYLE_DIM,)),),
)
DESIGN = ModelCard(
    name="design_fuse",
    description="CVFIM: style, align, crop and text as typed tokens of a Transformer; all-zero = absent",
    inputs=tuple(TensorCard(name, "f32", (size,)) for name, size in INPUTS),
    outputs=(TensorCard("embedding", "f32", (DESIGN_DIM,)),),
    max_batch_size=64,
    preferred=(8, 16),
)
QUERY = ModelCard(
    name="query_fuse",
    description="LIFM/IPFM: text, MDD and NNP tokens of a Transformer, palette by cross-attention",
    inputs=(
        TensorCard("text", "f32", (512,)),
        TensorCard("mdd", "f32", (512,)),
        TensorCard("nnp", "f32", (MAX_PHRASES, 512)),
        TensorCard("nnp_mask", "f32", (MAX_PHRASES,)),
        TensorCard("palette", "f32", (MAX_COLOURS, 3)),
        TensorCard("palette_mask", "f32", (MAX_COLOURS,)),
    ),
    outputs=(TensorCard("embedding", "f32", (DESIGN_DIM,)),),
    max_batch_size=64,
    preferred=(8, 16),
)


def cut_backbone(backbone: EfficientNetLite0, depth: int) -> EfficientNetLite0:
    """A copy with nothing after stride `depth`."""
    short = set_memory_format(copy.deepcopy(backbone), torch.contiguous_format)
    short._blocks = short._blocks[: PYRAMID_BLOCKS[depth] + 1]
    short.depth = depth
    return short


def unit(*shape: int, seed: int) -> Tensor:
    """Random unit vectors along the last axis."""
    return nn.functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def design_example() -> tuple[Tensor, ...]:
    """Four designs, each input absent from one of them."""
    inputs = [unit(4, size, seed=index) for index, (_, size) in enumerate(INPUTS)]
    for index, tensor in enumerate(inputs):
        tensor[index] = 0
    return tuple(inputs)


def query_example() -> tuple[Tensor, ...]:
    """Three requests: complete, without phrases, without a palette."""
    phrases, colours = torch.zeros(3, MAX_PHRASES), torch.zeros(3, MAX_COLOURS)
    phrases[0, :5] = 1
    phrases[2, :2] = 1
    colours[0, :3] = 1
    colours[1, :1] = 1
    palette = torch.rand(3, MAX_COLOURS, 3, generator=torch.Generator().manual_seed(5)) * 100 - 20
    nnp = unit(3, MAX_PHRASES, 512, seed=6) * phrases[:, :, None]
    return unit(3, 512, seed=7), unit(3, 512, seed=8), nnp, phrases, palette * colours[:, :, None], colours


def export_encoders(model: Encoders, repository: Path, provenance: Provenance) -> dict[str, ExportReport]:
    """Writes image_align and image_style."""
    example = (example_images(),)
    align = ImageAlign(cut_backbone(model.backbone, 32), model.align).eval()
    style = ImageStyle(cut_backbone(model.backbone, 16), model.style).eval()
    # tokens are f16: one unit in the last place of a value near 8 is 0.008
    reports = {
        "image_align": export_model(
            align,
            ALIGN,
            repository / "image_align",
            example=example,
            provenance=provenance,
            tolerance=0.05,
            half=True,
            half_tolerance=0.5,
        ),
        "image_style": export_model(
            style, STYLE, repository / "image_style", example=example, provenance=provenance
        ),
    }
    for name, report in reports.items():
        if report.half_cosine["embedding"] < HALF_COSINE:
            raise ExportError(f"{name}: fp16 weights turn the embedding, {report.half_cosine}")
    error = reports["image_align"].graph_error["embedding"]
    if error > 1e-4:
        raise ExportError(f"image_align: embedding differs from torch by {error:.2e}")
    return reports


def export_fusions(model: RowNetwork, repository: Path, provenance: Provenance) -> dict[str, ExportReport]:
    """Writes design_fuse and query_fuse."""
    return {
        "design_fuse": export_model(
            model.design, DESIGN, repository / "design_fuse", example=design_example(), provenance=provenance
        ),
        "query_fuse": export_model(
            model.query, QUERY, repository / "query_fuse", example=query_example(), provenance=provenance
        ),
    }
