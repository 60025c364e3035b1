"""Each trained row on real photos with requests. The photos choose nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.design.data.real import Real, embed_real, read_real
from training.design.data.requests import RequestTable, tabulate
from training.design.data.written import embed_written
from training.design.rows import beit3 as beit3_row
from training.design.rows.models import ROWS, RowNetwork
from training.design.rows.training import Split, embed_questions, embed_split
from training.kit.data.sentences import Sentences
from training.kit.networks.encoders import load_encoders
from training.kit.ranking import best_ranks, figures

Found = dict[str, dict[str, list[float]]]


def measure_photos(run: Path, photos: Path, crops: Path) -> Found:
    """Figures of every trained row by "ROW LANGUAGE", one value a seed, from a run's folder.

    photos: has requests.jsonl. crops: NAME.crop.png of `lunula crop`. Rows that read a palette are asked
    twice: without one, and as "ROW + words" with the colours that a request names. Every row's folder gets
    its ranks.
    """
    sentences = Sentences(run / "sentences.npz")
    real = read_real(photos, crops)
    encoders, about = load_encoders(run / "encoders.pt")
    features = embed_real(encoders, real)
    split = Split(features, embed_written(features, about["facts"], sentences))
    table = tabulate([request for _, request in real.requests], sentences)
    languages = np.array([language for language, _ in real.requests])
    targets = real.owner[:, None] == np.arange(len(real.photos))[None, :]
    found: Found = {}
    for folder in sorted((run / "rows").glob("*/seed-*")):
        if not (folder / "run.json").exists():  # still in training
            continue
        stored = torch.load(folder / "network.pt", map_location="cpu", weights_only=True)
        ranks = {}
        for words in (False, True) if ROWS[stored["row"]].palette else (False,):
            name = folder.parent.name + (" + words" if words else "")
            ranks[name] = best_ranks(_cosines(stored, real, split, table, words), targets)
            for language in sorted(set(languages.tolist())):
                of_row = found.setdefault(f"{name} {language}", {})
                for figure, value in figures(ranks[name][languages == language]).items():
                    of_row.setdefault(figure, []).append(value)
        by_name = {name: of_name.tolist() for name, of_name in ranks.items()}
        (folder / "photos.json").write_text(json.dumps(by_name) + "\n")
    return found


def _cosines(
    stored: dict[str, Any], real: Real, split: Split, table: RequestTable, words: bool
) -> NDArray[np.float32]:
    """f32 [requests, photos] by a stored network; words: with the colours of the words as its palette."""
    row = ROWS[stored["row"]]
    if row.network == "beit3":
        texts = [text for _, text in real.requests]
        queries, designs = beit3_row.embed_real(stored, split.features.tokens, texts)
    else:
        network = RowNetwork(row)
        network.load_state_dict(stored["state"])
        palettes = (table.colours, table.colour_mask) if words else None
        queries = embed_questions(row, network.eval(), table, palettes)
        designs = embed_split(row, network, split)
    return queries @ designs.T
