"""Training goes on from served weights: reads a perception export back into a network of the same parts.

    python -m training.hand.restore pose triton_models/hand_pose --data DIR --out RUN

makes RUN/model.pt for `train_pose --start RUN`. The export holds normalisations folded into the convolutions
before them and weights as fp16. A folded convolution comes back as the convolution and a normalisation that
undoes itself: its statistics are measured on synthetic photos, its scale and shift give exactly the folded
result, so that training with batch statistics starts where serving stopped. What the export does not have
under the same shape (a head that was changed) starts anew and is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from training.hand.data import draw_detect, draw_pose, seen_hands
from training.hand.detect_model import HALF, SIZE, HandDetector, hand_detector
from training.hand.frozen_stem import stem_levels
from training.hand.pose_model import HandPose, hand_pose
from training.kit.data.photos import read_synthetic
from training.kit.flags import Positional, parse
from training.kit.networks.blocks import Up, to_tensor
from training.kit.run import save_checkpoint

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class RestoreConfig:
    """What a restored checkpoint says of itself."""

    seed: int
    source: str


def exported_weights(path: Path) -> tuple[dict[str, Weights], list[tuple[Weights, Weights]]]:
    """Named backbone weights; (weight, bias) of the folded convolutions behind it in the order they run."""
    graph = onnx.load(path).graph
    found = {
        tensor.name.removesuffix("_f16"): numpy_helper.to_array(tensor).astype(np.float32)
        for tensor in graph.initializer
    }
    named = {name: value for name, value in found.items() if name.startswith("network.backbone.")}
    convolutions = [n for n in graph.node if n.op_type == "Conv" and not n.input[1].startswith("network.")]
    # The tracer numbers what it has no name for as it meets it: onnx::Conv_789.
    convolutions.sort(key=lambda node: int(node.input[1].rpartition("_")[2]))
    return named, [(found[node.input[1]], found[node.input[2]]) for node in convolutions]


def folded_pairs(decoder: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions of a decoder with the normalisation behind each, in the order they run."""
    parts: list[nn.Module] = []
    for module in decoder.children():
        # `Up` filters the coarse features before it looks at the fine ones, whatever its attributes' order.
        parts += [module.top, module.lateral, module.filter] if isinstance(module, Up) else [module]
    flat = [m for part in parts for m in part.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d))]
    return [
        (first, second)
        for first, second in pairwise(flat)
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d)
    ]


def statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Running mean and variance f32 [C], to be written in place."""
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean, norm.running_var


@torch.no_grad()
def restore(network: HandPose | HandDetector, path: Path, views: Tensor) -> int:
    """Fills `network` from the export at `path`; how many decoder pairs came back.

    views f32 [N,3,S,S] in (x-127)/128: synthetic photos to measure statistics on.
    """
    named, folded = exported_weights(path)
    state = network.backbone.state_dict()
    for name, value in named.items():
        key = name.removeprefix("network.backbone.")
        if key in state and state[key].shape == value.shape:
            state[key].copy_(torch.from_numpy(value))
    network.backbone.load_state_dict(state)
    shared = nn.ModuleList([network.context, network.up16, network.up8])
    pairs = folded_pairs(shared)
    records: dict[nn.Conv2d, Tensor] = {}
    handles = []
    for (convolution, norm), (weight, bias) in zip(pairs, folded, strict=False):
        if tuple(convolution.weight.shape) != weight.shape:
            raise ValueError(f"{path}: a convolution of {weight.shape}, not {convolution.weight.shape}")
        convolution.weight.copy_(torch.from_numpy(weight))
        mean, variance = statistics(norm)
        mean.zero_()
        variance.fill_(1 - norm.eps)
        norm.weight.fill_(1.0)
        norm.bias.copy_(torch.from_numpy(bias))

        def record(module: nn.Conv2d, _: object, output: Tensor) -> None:
            records[module] = output.transpose(0, 1).flatten(1)

        handles.append(convolution.register_forward_hook(record))
    network.eval().from_stem(stem_levels(network.backbone, views))
    for (convolution, norm), (_, bias) in zip(pairs, folded, strict=False):
        values = records[convolution]
        mean, variance = statistics(norm)
        mean.copy_(values.mean(1))
        variance.copy_(values.var(1))
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(torch.from_numpy(bias) + mean)
    for handle in handles:
        handle.remove()
    return min(len(pairs), len(folded))


@dataclass(frozen=True)
class Restore:
    """The command."""

    kind: Positional[Literal["detect", "pose"]]
    """which model"""
    model: Positional[Path]
    """its folder in the model repository"""
    data: Path
    """folder of synthetic photos"""
    out: Path
    """folder of the run that is made"""


def main() -> None:
    """The command line."""
    given: Restore = parse(Restore, program="python -m training.hand.restore", about=__doc__)
    torch.manual_seed(0)
    photos = read_synthetic(given.data)
    network = hand_pose() if given.kind == "pose" else hand_detector()
    rng = np.random.default_rng(0)
    if given.kind == "pose":
        hands = [(photo, hand) for photo in photos for hand in seen_hands(photo)][:64]
        views = to_tensor([draw_pose(photo, hand, rng)[0] for photo, hand in hands])
    else:
        views = to_tensor(
            [draw_detect(photo, SIZE // HALF, rng, None, negative=0)[0] for photo in photos[:32]]
        )
    count = restore(network, given.model / "1" / "model.onnx", views)
    config = RestoreConfig(0, str(given.model))
    save_checkpoint(given.out, network, config=config, data="", step=0, metrics={})
    print(f"{given.out}: the backbone and {count} convolutions of the decoder are those of {given.model}")


if __name__ == "__main__":
    main()
