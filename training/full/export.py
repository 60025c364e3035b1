"""From a full encoder to `triton_models/<kind>`: the same export, the same gates as the compact models."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from training.full.interface import Encoder, card, example
from training.kit.export.card import Provenance
from training.kit.export.model import ExportReport, export_model
from training.kit.pins import Pin

GRAPH_ERROR = 1e-4  # of a unit embedding; of tokens, relative to their largest value
GRAPH_COSINE = 0.9999
HALF_COSINE = 0.999  # a precision below this is not served
HALF_STEP = 2.0**-9  # tokens are f16 and may differ by two units in the last place


def provenance(encoder: Encoder, command: str, pin: Pin | None) -> Provenance:
    """Where the weights are from: the pinned files, or nowhere if they are random."""
    if pin is None:
        return Provenance(command=command, data="random weights", seed=0, licence_of_origin="none")
    files = ", ".join(f"{path} sha256 {sha256}" for path, sha256 in pin.files.items())
    return Provenance(
        command=command,
        data=f"{encoder.facts.name}: {pin.repository}, {pin.revision}: {files}",
        seed=0,
        licence_of_origin=pin.licence,
    )


def export(
    encoder: Encoder,
    network: nn.Module,
    repository: Path,
    *,
    origin: Provenance,
    half: bool = False,
) -> ExportReport:
    """Writes `repository`/<kind>. `half`: weights stored as fp16.

    Raises ExportError where ONNX disagrees with torch, or rounded weights turn an embedding too far; what was
    there before is then as it was.
    """
    facts = encoder.facts
    inputs = example(facts)
    with torch.no_grad():
        found = network.eval()(*inputs)
    outputs = [found] if isinstance(found, torch.Tensor) else list(found)
    names = [tensor.name for tensor in card(facts, licence="").outputs]
    tolerance = {
        name: (HALF_STEP if output.dtype == torch.float16 else GRAPH_ERROR)
        * max(1.0, float(output.float().abs().max()))
        for name, output in zip(names, outputs, strict=True)
    }
    return export_model(
        network,
        card(facts, licence=origin.licence_of_origin),
        repository / facts.kind,
        example=inputs,
        provenance=origin,
        half=half,
        tolerance=tolerance,
        half_tolerance=dict.fromkeys(names, float("inf")) | {"embedding": 0.05},
        least_cosine=GRAPH_COSINE,
        least_half_cosine=HALF_COSINE,
    )
