"""Unlabelled positives: pairs of a text and a photo near it, with the confidence that the photo satisfies it.

Membership is read row by row: that photo j is near text i says nothing of text j and photo i."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


Floats = NDArray[np.float32]


# Confidence in [0, 1] of each text against the photo at the same place: i64 [M], i64 [M] -> f32 [M].
JudgePairs = Callable[[Indices, Indices], Floats]


ALPHA = 0.7  # the confidence of every mined pair in DRC


@dataclass(frozen=True)
class Mined:
    """Mined pairs, sorted by text and then by falling cosine, and the counts of texts and photos.

    confidence: the judge's, or ALPHA where none was asked, so that CRC with it is DRC.
    """

    text: NDArray[np.int32]  # [M]
    photo: NDArray[np.int32]  # [M]
    cosine: Floats  # [M] in [-1, 1]
    confidence: Floats  # [M] in [0, 1]
    texts: int
    photos: int

    def __post_init__(self) -> None:
        sizes = {len(self.text), len(self.photo), len(self.cosine), len(self.confidence)}
        if len(sizes) > 1:
            raise ValueError(f"text, photo, cosine and confidence differ in length: {sorted(sizes)}")
        for name, values, bound in (("text", self.text, self.texts), ("photo", self.photo, self.photos)):
            if len(values) and (values.min() < 0 or values.max() >= bound):
                raise ValueError(f"{name}: numbers from 0 to {bound - 1} expected")
        if np.any(np.diff(self.text) < 0):
            raise ValueError("text: not sorted")
        if not (np.all(self.confidence >= 0) and np.all(self.confidence <= 1)):
            raise ValueError("confidence: values in [0, 1] expected")
        # Frozen, so set past the guard: where each text's pairs begin.
        object.__setattr__(self, "_first", np.searchsorted(self.text, np.arange(self.texts + 1)))

    def mask(self, texts: Indices, photos: Indices) -> NDArray[np.bool_]:
        """bool [B,C]: photo of that column was mined for the text of that row; others are passed over.

        A text's own photo is never in it, also where another row of the batch brings it along.
        """
        rows, columns, _ = self._found(texts, photos)
        found = np.zeros((len(texts), len(photos)), bool)
        found[rows, columns] = True
        return found

    def confidences(self, texts: Indices, photos: Indices) -> Floats:
        """f32 [B,C] in [0, 1]: confidence of the mined pairs, 0 where a photo was not mined for the text."""
        rows, columns, entries = self._found(texts, photos)
        found = np.zeros((len(texts), len(photos)), np.float32)
        found[rows, columns] = self.confidence[entries]
        return found

    def _found(self, texts: Indices, photos: Indices) -> tuple[Indices, Indices, Indices]:
        """(row, column, entry) of every mined pair in a batch, in which a photo may stand several times."""
        texts, photos = np.asarray(texts, np.int64), np.asarray(photos, np.int64)
        for name, values, bound in (("texts", texts, self.texts), ("photos", photos, self.photos)):
            if len(values) and (values.min() < 0 or values.max() >= bound):
                raise IndexError(f"{name}: numbers from 0 to {bound - 1} expected")
        first: Indices = self.__dict__["_first"]
        entries, rows = _runs(first[texts], first[texts + 1] - first[texts])
        order = np.argsort(photos, kind="stable")
        wanted, ranked = self.photo[entries], photos[order]
        begin = np.searchsorted(ranked, wanted, "left")
        places, which = _runs(begin, np.searchsorted(ranked, wanted, "right") - begin)
        return rows[which], order[places], entries[which]

    def judged(self, judge: JudgePairs, threshold: float, block: int = 65_536) -> Mined:
        """Those pairs that the judge gives at least `threshold`, with its confidences."""
        confidence = np.zeros(len(self.text), np.float32)
        for start in range(0, len(confidence), block):
            part = slice(start, start + block)
            confidence[part] = judge(self.text[part].astype(np.int64), self.photo[part].astype(np.int64))
        return self.rated(confidence, threshold)

    def rated(self, confidence: Floats, threshold: float) -> Mined:
        """Those pairs whose new confidence [M] is at least `threshold`; NaN (not judged) is never enough."""
        kept = confidence >= threshold
        return Mined(
            self.text[kept],
            self.photo[kept],
            self.cosine[kept],
            np.asarray(confidence[kept], np.float32),
            self.texts,
            self.photos,
        )

    def save(self, path: Path) -> None:
        """Writes one .npz, whole or not at all."""
        partial = path.with_name(path.name + ".part")
        with partial.open("wb") as file:
            np.savez_compressed(
                file,
                text=self.text,
                photo=self.photo,
                cosine=self.cosine,
                confidence=self.confidence,
                size=np.array([self.texts, self.photos], np.int64),
            )
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Mined:
        """What `save` wrote. ValueError names the file and what is wrong with it."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                texts, photos = (int(count) for count in stored["size"])
                return cls(
                    text=stored["text"],
                    photo=stored["photo"],
                    cosine=stored["cosine"],
                    confidence=stored["confidence"],
                    texts=texts,
                    photos=photos,
                )
        except (KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: not mined pairs: {error}") from error


def _runs(begin: Indices, count: Indices) -> tuple[Indices, Indices]:
    """begin[0], begin[0]+1, ... (count[0] of them), then those of 1, and so on; and which run each is of."""
    which = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(begin, count) + within, which


def read_records(folders: list[Path], split: str = "") -> Iterator[dict[str, Any]]:
    """The records of `training.synth` folders, all or of one split, in order; ValueError with file and line.

    A last line that a running writer has not finished is left out.
    """
    for folder in folders:
        path = folder / "index.jsonl"
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith("\n"):
                    continue
                try:
                    record = json.loads(line)
                except json.JSONDecodeError as error:
                    raise ValueError(f"{path}:{number}: not JSON: {error}") from error
                if not split or record.get("split") == split:
                    yield record
