"""Published weights into networks: names are compared before a single value is used.

Files are read as data only: safetensors, or torch's own format restricted to tensors. Nothing here downloads.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class WeightsError(ValueError):
    """Weights that cannot be read or are not this network's."""


def misfit(what: str, **names: list[str]) -> WeightsError:
    """An error that lists every name under what is wrong with it."""
    lines = [f"  {why} ({len(found)}): {', '.join(found)}" for why, found in names.items() if found]
    return WeightsError("\n".join([f"{what}: not the weights of this network", *lines]))


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or .pth file by name; of a checkpoint, those under its "model".

    Raises WeightsError naming the file.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            tensors: dict[str, Tensor] = load_file(path)
            return tensors
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has exceptions of its own
        raise WeightsError(f"{path}: cannot be read as weights ({error})") from error
    state = stored.get("model", stored) if isinstance(stored, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: holds no state dict")
    return state


def fill(
    network: type[Any], config: Any, state: Mapping[str, Tensor], *, unused: tuple[str, ...] = ()
) -> nn.Module:
    """A network of transformers with exactly the weights of `state`, eval mode, fp32.

    transformers maps published names to its own. `unused`: beginnings of names that belong to parts of the
    published model which this network does not have. Raises WeightsError naming every name that is missing,
    unexpected or of another shape.
    """
    with _quiet():
        model, found = network.from_pretrained(
            None,
            config=config,
            state_dict=dict(state),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are an error below, with all the others
            attn_implementation="eager",
            dtype=torch.float32,
        )
    unexpected = [
        name
        for name in found["unexpected_keys"]
        if not name.startswith(unused) and not name.endswith("position_ids")
    ]
    shapes = [
        f"{name} is {tuple(given)}, expected {tuple(wanted)}"
        for name, given, wanted in found["mismatched_keys"]
    ]
    missing = sorted(found["missing_keys"])
    if missing or unexpected or shapes:
        what = network.__name__
        raise misfit(what, missing=missing, unexpected=sorted(unexpected), **{"wrong shape": sorted(shapes)})
    network_: nn.Module = model.eval()
    return network_


def build(network: type[Any], config: Any) -> nn.Module:
    """The same network with random weights, eval mode, fp32."""
    config._attn_implementation = "eager"
    built: nn.Module = network(config).eval()
    return built


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers' own report and progress bar off the terminal: what it says is raised instead."""
    from transformers.utils import logging as reports

    level, bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
    reports.set_verbosity(logging.CRITICAL)
    reports.disable_progress_bar()
    try:
        yield
    finally:
        reports.set_verbosity(level)
        if bars:
            reports.enable_progress_bar()
