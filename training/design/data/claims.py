"""How well a photo answers a text: the share of the text's claims that the photo's attributes fulfil.

The deterministic confidence c_ij of CRC (paper N) on synthetic data, in place of a vision-language judge. A
claim says of what it speaks (all nails, the accent, what is refused), so "grey with a gold accent" is not
"gold with a grey accent". Whether a photo fulfils a claim is decided by `training.synth.facts.holds` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.synth.facts import Claim, holds

Indices = NDArray[np.int64]


def claim_matrix(
    records: Sequence[dict[str, Any]],
) -> tuple[tuple[Claim, ...], NDArray[np.bool_]]:
    """Every claim that a text of the records makes, in order of first use, and which photos fulfil it.

    bool [C,N], photos in the order of the records. ValueError names the record that lacks what is needed.
    """
    claims = tuple(dict.fromkeys(claim for _, made in _texts(records) for claim in made))
    fulfilled = np.zeros((len(claims), len(records)), bool)
    for column, record in enumerate(records):
        attributes = record.get("attributes")
        if not isinstance(attributes, dict):
            raise ValueError(
                f"record {column} ({record.get('id', '?')}): attributes: missing or not an object"
            )
        for row, (scope, kind, value) in enumerate(claims):
            fulfilled[row, column] = holds(attributes, scope, kind, value)
    return claims, fulfilled


@dataclass(frozen=True)
class ClaimTable:
    """What T texts claim and which of N photos fulfil it. Photos are numbered as the records; texts run on
    through them: all of the first record's (those that are empty or claim nothing too), then the second's.
    """

    claims: tuple[Claim, ...]
    fulfilled: NDArray[np.bool_]  # [N,C]: a row is read at once
    made: NDArray[np.int64]  # claims of all texts on end; those of text t are made[first[t]:first[t + 1]]
    first: NDArray[np.int64]  # [T+1]
    owner: NDArray[np.int64]  # [T] a text's own photo

    @classmethod
    def build(cls, records: Sequence[dict[str, Any]]) -> ClaimTable:
        """From records of `training.synth`, each with `attributes` and `texts[*].claims`.

        ValueError names the record and text that are not of this form.
        """
        claims, fulfilled = claim_matrix(records)
        number = {claim: index for index, claim in enumerate(claims)}
        owners, made, counts = [], [], []
        for owner, text_claims in _texts(records):
            owners.append(owner)
            counts.append(len(text_claims))
            made += [number[claim] for claim in text_claims]
        return cls(
            claims,
            np.ascontiguousarray(fulfilled.T),
            np.array(made, np.int64),
            np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
            np.array(owners, np.int64),
        )

    def confidence(self, texts: Indices, photos: Indices) -> NDArray[np.float32]:
        """f32 [T,N] in [0, 1]: the share of each text's claims that each photo fulfils.

        Exactly 1 where all hold. A text without claims: 1 for its own photo, else 0.
        """
        met, count = self._met(texts, photos)
        share = met / np.maximum(count, 1)[:, None]
        return np.where(count[:, None] > 0, share, self._own(texts, photos)).astype(np.float32)

    def satisfied(self, texts: Indices, photos: Indices) -> NDArray[np.bool_]:
        """bool [T,N]: all claims of the text hold for the photo; a text without claims has its own alone."""
        met, count = self._met(texts, photos)
        every: NDArray[np.bool_] = np.where(
            count[:, None] > 0, met == count[:, None], self._own(texts, photos)
        )
        return every

    def of_pairs(self, texts: Indices, photos: Indices) -> NDArray[np.float32]:
        """f32 [M] in [0, 1]: `confidence` of each text against the photo at the same place; both i64 [M]."""
        _check(texts, len(self.owner), "texts")
        _check(photos, len(self.fulfilled), "photos")
        entries, rows, count = self._made_by(texts)
        met = np.bincount(rows, self.fulfilled[photos[rows], self.made[entries]], minlength=len(texts))
        own = self.owner[texts] == photos
        return np.where(count > 0, met / np.maximum(count, 1), own).astype(np.float32)

    def _made_by(self, texts: Indices) -> tuple[Indices, Indices, Indices]:
        """Places in `made` of all claims of the texts, the row of each, and how many each text makes."""
        begin, count = self.first[texts], self.first[texts + 1] - self.first[texts]
        rows = np.repeat(np.arange(len(texts)), count)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
        return np.repeat(begin, count) + within, rows, count

    def _met(self, texts: Indices, photos: Indices) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """How many claims hold, f32 [T,N] of whole numbers, and how many there are, f32 [T]."""
        _check(texts, len(self.owner), "texts")
        _check(photos, len(self.fulfilled), "photos")
        entries, rows, count = self._made_by(texts)
        # Only claims that these texts make take part: a few hundred at most.
        used, columns = np.unique(self.made[entries], return_inverse=True)
        asked = np.zeros((len(texts), len(used)), np.float32)
        asked[rows, columns] = 1
        met: NDArray[np.float32] = asked @ self.fulfilled[np.ix_(photos, used)].astype(np.float32).T
        return met, count.astype(np.float32)

    def _own(self, texts: Indices, photos: Indices) -> NDArray[np.bool_]:
        own: NDArray[np.bool_] = self.owner[texts][:, None] == np.asarray(photos)[None, :]
        return own


def _texts(records: Sequence[dict[str, Any]]) -> list[tuple[int, tuple[Claim, ...]]]:
    """(number of its record, its claims, each once) of every text."""
    found = []
    for owner, record in enumerate(records):
        for index, text in enumerate(record.get("texts") or ()):
            claims = []
            for claim in text.get("claims") or ():
                if len(claim) != 3 or not all(isinstance(part, str) for part in claim):
                    raise ValueError(
                        f"record {owner} ({record.get('id', '?')}): texts[{index}].claims: "
                        f"[scope, kind, value] expected, found {claim!r}"
                    )
                claims.append((claim[0], claim[1], claim[2]))
            found.append((owner, tuple(dict.fromkeys(claims))))
    return found


def _check(numbers: Indices, size: int, name: str) -> None:
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= size):
        raise IndexError(f"{name}: numbers from 0 to {size - 1} expected")
