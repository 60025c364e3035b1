"""Quantised fastText models: training, asking and shipping them."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fasttext
import numpy as np

from nails.artist.labels import PREFIX, from_label, to_label
from training.artist.openset.models import WORDS, Floats
from training.artist.text.steps import fit_fasttext
from training.artist.text.words import Words
from training.kit.export.card import SCRATCH, fingerprint

WORDS_VERSION = "1"  # of nails.language.words, in place of a preprocessing version
MOST_TEXT_BYTES = 12_000_000
"""Of the five files together: what the service then holds in memory for words."""
CUTOFF = 20_000  # words and pairs that quantisation keeps
PRECISION = "int8"


def fit_quantised(lines: Sequence[tuple[Words, str]], seed: int, path: Path) -> Any:
    """Trains on (words, artist), quantises into `path` and returns the model as it is read back."""
    labels = [(words, to_label(artist).removeprefix(PREFIX)) for words, artist in lines]
    model = fit_fasttext(labels, seed, dict(WORDS))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "works.txt"
        texts.write_text("".join(f"{PREFIX}{label} {' '.join(words)}\n" for words, label in labels), "utf-8")
        model.quantize(input=str(texts), cutoff=CUTOFF, retrain=True, qnorm=True, thread=1, verbose=0)
    model.save_model(str(path))
    return fasttext.load_model(str(path))


def ask_quantised(model: Any, lines: Sequence[Words], artists: Sequence[str]) -> Floats:
    """Probabilities f64 [n, A] in the order of `artists`; zeros for lines without a known word."""
    place = {artist: index for index, artist in enumerate(artists)}
    table = np.zeros((len(lines), len(artists)))
    for row, words in enumerate(lines):
        if any(model.get_word_id(word) >= 0 for word in words):
            for label, value in zip(*model.predict(" ".join(words), k=-1), strict=True):
                table[row, place[from_label(label)]] = value
            table[row] /= table[row].sum()
    return table


def export_text(
    sources: Sequence[Path], folder: Path, about: Mapping[str, Any], parameters: Mapping[str, str]
) -> None:
    """Copies one quantised model as model.ftz, or several as model-0.ftz …, and writes model.toml.

    about: command, data, seed, words (how texts are divided) and metrics.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("model*.ftz"):
        old.unlink()
    names = ["model.ftz"] if len(sources) == 1 else [f"model-{place}.ftz" for place in range(len(sources))]
    for source, name in zip(sources, names, strict=True):
        shutil.copyfile(source, folder / name)
    digests = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]
    # Of several files: of their checksums in the order of their names, as the service and `lunula models` do.
    sha = digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
    many = f", {len(names)} folds as one" if len(names) > 1 else ""
    tables: dict[str, Mapping[str, Any]] = {
        "model": {
            "name": "artist_text",
            "description": f"fastText over title and description{many}; runs inside ClassifyService",
            "licence": "Apache-2.0",
            "weights": names[0] if len(names) == 1 else "model-*.ftz",
            "weights_sha256": sha,
            "precision": PRECISION,
            "preprocess_version": WORDS_VERSION,
            "words": about["words"],
            "fingerprint": fingerprint(sha, f"{about['words']}-{WORDS_VERSION}", PRECISION),
        },
        "parameters": parameters,
        "provenance": {
            "command": about["command"],
            "data": about["data"],
            "seed": about["seed"],
            "licence_of_origin": SCRATCH,
        },
        "provenance.metrics": about["metrics"],
    }
    lines = []
    for header, rows in tables.items():
        lines.append(f"[{header}]")
        # JSON's strings and numbers are TOML's
        lines += [
            f"{key if key.isidentifier() else json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}"
            for key, value in rows.items()
        ]
        lines.append("")
    (folder / "model.toml").write_text("\n".join(lines), encoding="utf-8")
