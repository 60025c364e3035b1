"""The step `vgg16`: paper A's image model. --vgg16.weights says where the published checkpoint lies.

The convolutions stand still at ImageNet's weights and are computed once a photo (RUN/features/vgg16). What is
trained is, by --vgg16.head,

- `dense` (default): the layer from 4,096 numbers to the artists, on ImageNet's first dense layer;
- `paper`: 7·7·512 -> 4,096 -> artists as in the paper, 103 million weights: for a machine with a GPU.

SGD with rate .005, momentum .97 and batches of 256 as in the paper; --vgg16.epochs (the paper's 100).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from evaluation.artist.works import Work
from training.artist.image import feature_step
from training.artist.image.image_step import answer, with_photo
from training.artist.image.vgg16 import PINS, Vgg16, VggHead, load_vgg16
from training.artist.job import ArtistJob
from training.artist.nested import Rows, Table, Task, cross_validate, open_nest
from training.kit.compute import CPU, Compute
from training.kit.data import features
from training.kit.data.augment import plain_view
from training.kit.data.features import Photo, Source
from training.kit.export.sessions import SIZE, open_network, write_network
from training.kit.fit import fit
from training.kit.pins import PinError, read_pins
from training.kit.stepwise import StepError, remember

NAME = "vgg16"
OUTPUTS = ("pooled", "dense")
RATE, MOMENTUM, BATCH = 0.005, 0.97, 256


class DenseHead(nn.Module):
    """f32 [N,4096] -> logits f32 [N,A], the input itself."""

    def __init__(self, artists: int, inputs: int) -> None:
        super().__init__()
        self.out = nn.Linear(inputs, artists)

    def forward(self, dense: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.out(dense), dense


def run(job: ArtistJob) -> None:
    """Writes RUN/features/vgg16 and RUN/predictions/vgg16. Raises StepError."""
    if job.vgg16.weights is None:
        raise StepError("--vgg16.weights FOLDER: where the published VGG16 checkpoint lies")
    try:
        network = load_vgg16(job.vgg16.weights)
    except PinError as error:
        raise StepError(str(error)) from None
    cross_validate_head(job, network)


def cross_validate_head(job: ArtistJob, network: Vgg16) -> None:
    """The step with a network that is loaded already."""
    nest = open_nest(job)
    head, epochs, compute = job.vgg16.head, job.vgg16.epochs, job.compute
    pin = next(iter(read_pins(PINS)[NAME].files.values()))
    folder = job.out / feature_step.FOLDER / NAME
    remember(folder, {"data": nest.digest, "weights": pin, "head": head})
    kept = OUTPUTS[0] if head == "paper" else OUTPUTS[1]
    onnx = folder / "network.onnx"
    if not onnx.exists():
        write_network(_Kept(network, kept), onnx, (kept,))
    features.extract(folder, nest.works, Source(onnx, open_network, _views, (kept,)), job.workers, NAME)
    inputs = features.load(folder, (kept,), len(nest.works), NAME)[kept]
    shown = with_photo(nest)

    def fit(task: Task) -> Table:
        train = task.train[shown[task.train]]
        artists = len(nest.folds.artists)
        torch.manual_seed(task.seed)
        own = VggHead.after(network, artists) if head == "paper" else DenseHead(artists, inputs.shape[2])
        trained = train_sgd(own, inputs[:, 0], train, nest.truth[train], task.seed, epochs, compute)
        return answer(trained, inputs, task.queries, shown)

    what = "VGG16 (ImageNet), convolutions frozen; trained: " + (
        "7·7·512 -> 4096 -> artists" if head == "paper" else "4096 -> artists on ImageNet's first dense layer"
    )
    settings = {
        "weights": pin,
        "head": head,
        "epochs": epochs,
        "rate": RATE,
        "momentum": MOMENTUM,
        "batch": BATCH,
    }
    cross_validate(job, nest, NAME, fit, what=what, settings=settings)


def train_sgd(
    head: nn.Module,
    inputs: NDArray[np.float16],
    rows: Rows,
    labels: Rows,
    seed: int,
    epochs: int,
    compute: Compute = CPU,
) -> nn.Module:
    """Trains `head` in place on inputs[rows] f16 [n,D] with labels [n]; it ends in eval mode, on the CPU."""
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.SGD(compute.network(head).parameters(), lr=RATE, momentum=MOMENTUM)

    def batches() -> Iterator[Rows]:
        for _ in range(epochs):
            order = rng.permutation(len(rows))
            yield from (order[start : start + BATCH] for start in range(0, len(order), BATCH))

    def loss(chosen: Rows) -> Tensor:
        batch = (torch.from_numpy(inputs[rows[chosen]].astype(np.float32)), torch.from_numpy(labels[chosen]))
        images, wanted = compute.batch(batch)
        return functional.cross_entropy(head(images)[0], wanted)

    steps = epochs * -(-len(rows) // BATCH)
    fit(head, optimizer, batches(), loss, steps=steps, clip=None, label="head")
    return head.eval().cpu()


class _Kept(nn.Module):
    """The one output that is kept: both together would be 1.2 GB for 20,000 photos."""

    def __init__(self, network: Vgg16, name: str) -> None:
        super().__init__()
        self.network, self.place = network, OUTPUTS.index(name)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.network(images)[self.place]
        return found


def _views(photo: Photo, _work: Work, _row: int) -> list[NDArray[np.float32]]:
    return [plain_view(photo, None, SIZE)]
