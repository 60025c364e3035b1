"""The way from photos and requests to a ranking, with any model of it in any of its variants.

The way is that of EmbedService: photos through image_style and image_align, crops through image_align, both
with the catalogue's words through design_fuse; requests through `nails.language.phrases`, text_encode and
query_fuse. What a model gives for the probe is computed once for each variant and kept, so that to exchange
one model costs only what comes after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from nails.colour.palette import PaletteColour
from nails.encoders import (
    DESIGN_FUSE,
    ENCODERS,
    IMAGE_ALIGN,
    IMAGE_STYLE,
    MAX_PHRASES,
    QUERY_FUSE,
    TEXT_ENCODE,
    named_palette,
    query_fuse_inputs,
)
from nails.language.phrases import parse_request
from nails.language.word_pieces import SentenceTokenizer, pad_rows, padded_length
from training.parity.probe import Probe

Floats = NDArray[np.float32]
Feeds = dict[str, NDArray[Any]]
REFERENCE = "reference"
EXAMPLES = 32  # inputs of each model that are kept for timing and for batches


class Session:
    """An ONNX file on one thread of the CPU."""

    def __init__(self, model: Path | bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        source = str(model) if isinstance(model, Path) else model
        self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        self.outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Every output by name."""
        return dict(zip(self.outputs, self._session.run(self.outputs, dict(feeds)), strict=True))


@dataclass
class Difference:
    """How far one output of a variant is from the reference's, item by item."""

    cosines: list[float] = field(default_factory=list)
    max_error: float = 0.0

    def add(self, got: NDArray[Any], wanted: NDArray[Any]) -> None:
        """Arrays [B, ...]; an item that is not finite has cosine -1 and an infinite error."""
        x = got.reshape(len(got), -1).astype(np.float64)
        y = wanted.reshape(len(wanted), -1).astype(np.float64)
        finite = np.asarray(np.isfinite(x).all(axis=1))
        if not finite.all():
            self.max_error = float("inf")
        x = np.where(finite[:, None], x, 0)
        if self.max_error < np.inf:
            self.max_error = max(self.max_error, float(np.abs(x - y).max(initial=0)))
        size = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
        cosine = np.where(size > 0, (x * y).sum(axis=1) / np.where(size > 0, size, 1), (x == y).all(axis=1))
        self.cosines += np.where(finite, cosine, -1.0).tolist()

    def shown(self) -> dict[str, float]:
        """Figures for the report."""
        return {
            "cosine_mean": float(np.mean(self.cosines)),
            "cosine_worst": float(np.min(self.cosines)),
            "max_error": self.max_error,
        }


Sessions = Mapping[str, Mapping[str, Session]]  # model -> variant -> session, the reference among them
Chosen = Mapping[str, str]  # model -> variant; the reference where none is named


class Chain:
    """The probe's vectors in any choice of variants."""

    def __init__(self, probe: Probe, sessions: Sessions) -> None:
        self.probe = probe
        self.sessions = sessions
        self.differences: dict[tuple[str, str, str], Difference] = {}  # model, variant, output
        self.examples: dict[str, list[Feeds]] = {name: [] for name in ENCODERS}  # inputs of one item each
        self._kept: dict[tuple[str, ...], Any] = {}
        self._see()
        self._read()

    def _all_variants(self, model: str, feeds: Feeds) -> Iterator[tuple[str, Floats]]:
        """The embedding of one item in every variant, and how far each variant's outputs are off."""
        if len(self.examples[model]) < EXAMPLES:
            self.examples[model].append(feeds)
        sessions = self.sessions[model]
        reference = sessions[REFERENCE](feeds)
        yield REFERENCE, reference["embedding"][0]
        for variant in sessions.keys() - {REFERENCE}:
            outputs = sessions[variant](feeds)
            for name, wanted in reference.items():
                self.differences.setdefault((model, variant, name), Difference()).add(outputs[name], wanted)
            yield variant, outputs["embedding"][0]

    def _see(self) -> None:
        found: dict[tuple[str, str], list[Floats]] = {}
        for photo in tqdm(self.probe.photos, desc=f"photos of {self.probe.name}", disable=None):
            whole, crop = photo.views()
            for place, model, view in (
                ("style", IMAGE_STYLE, whole),
                ("align", IMAGE_ALIGN, whole),
                ("crop", IMAGE_ALIGN, crop),
            ):
                for variant, vector in self._all_variants(model, {"images": view[None]}):
                    found.setdefault((place, variant), []).append(vector)
        self._kept |= {key: np.stack(vectors) for key, vectors in found.items()}

    def _read(self) -> None:
        readings = [parse_request(request.text) for request in self.probe.requests]
        self._sentences = [
            [request.text, ". ".join(reading.mdd), *reading.nnp[:MAX_PHRASES]]
            for request, reading in zip(self.probe.requests, readings, strict=True)
        ]
        self._palettes = [
            tuple(PaletteColour(lab=lab, weight=1.0) for lab in request.palette) or named_palette(reading)
            for request, reading in zip(self.probe.requests, readings, strict=True)
        ]
        tokenizer = SentenceTokenizer()
        catalogue_words = [photo.words for photo in self.probe.photos]
        texts = dict.fromkeys(
            text for sentences in [*self._sentences, catalogue_words] for text in sentences if text
        )
        known: dict[str, dict[str, Floats]] = {name: {} for name in self.sessions[TEXT_ENCODE]}
        for text in tqdm(texts, desc="sentences", disable=None):
            row = tokenizer.encode(text)
            ids, mask = pad_rows([row], padded_length(len(row)))
            feeds = {"input_ids": ids, "attention_mask": mask}
            for variant, vector in self._all_variants(TEXT_ENCODE, feeds):
                known[variant][text] = vector
        self._texts = known

    def _design_feeds(self, chosen: Chosen) -> Feeds:
        align = chosen.get(IMAGE_ALIGN, REFERENCE)
        known, absent = self._known(chosen)
        return {
            "style": self._kept["style", chosen.get(IMAGE_STYLE, REFERENCE)],
            "align": self._kept["align", align],
            "crop": self._kept["crop", align],
            "text": np.stack([known.get(photo.words, absent) for photo in self.probe.photos]),
        }

    def _known(self, chosen: Chosen) -> tuple[dict[str, Floats], Floats]:
        """Vectors of sentences, and that of no sentence."""
        known = self._texts[chosen.get(TEXT_ENCODE, REFERENCE)]
        return known, np.zeros_like(next(iter(known.values())))

    def _query_feeds(self, chosen: Chosen) -> Feeds:
        known, absent = self._known(chosen)
        rows = [
            query_fuse_inputs(np.stack([known.get(text, absent) for text in sentences]), palette)
            for sentences, palette in zip(self._sentences, self._palettes, strict=True)
        ]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _fused(self, model: str, feeds: Feeds, variant: str) -> Floats:
        """One item at a time: nothing of one design or request may reach another."""
        count = len(next(iter(feeds.values())))
        items = [{name: array[i : i + 1] for name, array in feeds.items()} for i in range(count)]
        if not self.examples[model]:
            self.examples[model] = items[:EXAMPLES]
        vectors = [self.sessions[model][variant](item)["embedding"] for item in items]
        return np.concatenate(vectors).astype(np.float32)

    def designs(self, chosen: Chosen) -> Floats:
        """f32 [N,D] unit."""
        models = (DESIGN_FUSE, IMAGE_STYLE, IMAGE_ALIGN, TEXT_ENCODE)
        key = (DESIGN_FUSE, *(chosen.get(model, REFERENCE) for model in models))
        if key not in self._kept:
            self._kept[key] = self._fused(DESIGN_FUSE, self._design_feeds(chosen), key[1])
        return np.asarray(self._kept[key])

    def queries(self, chosen: Chosen) -> Floats:
        """f32 [Q,D] unit."""
        key = (QUERY_FUSE, *(chosen.get(m, REFERENCE) for m in (QUERY_FUSE, TEXT_ENCODE)))
        if key not in self._kept:
            self._kept[key] = self._fused(QUERY_FUSE, self._query_feeds(chosen), key[1])
        return np.asarray(self._kept[key])

    def difference(self, model: str, variant: str) -> dict[str, Difference]:
        """Of every output of a model on the reference's inputs."""
        if model in (DESIGN_FUSE, QUERY_FUSE):
            side = self.designs if model == DESIGN_FUSE else self.queries
            found = Difference()
            found.add(side({model: variant}), side({}))
            return {"embedding": found}
        return {name: d for (m, v, name), d in self.differences.items() if (m, v) == (model, variant)}

    def ranking(self, chosen: Chosen) -> Floats:
        """Cosines of requests and designs, f32 [Q,N]; what is not finite ranks last."""
        cosines = self.queries(chosen) @ self.designs(chosen).T
        return np.where(np.isfinite(cosines), cosines, np.float32(-2))

    def lost(self, chosen: Chosen) -> int:
        """How many requests and designs have a vector that is not finite."""
        sides = (self.queries(chosen), self.designs(chosen))
        return sum(int((~np.isfinite(vectors).all(axis=1)).sum()) for vectors in sides)
