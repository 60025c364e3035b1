"""Objects beside the nails as evidence of the artist: for people to look at, without effect on probabilities.

A caller who runs an object detector may send its labels. Those seen with a confidence of LEAST or more are
the work's combination (paper A (b); none is a combination too). `label_combinations.json` beside the image
model says how many training works of each artist had that combination. The paper finds 9 % of artists this
way: a combination is worth looking at where few artists have it, so its entropy is given with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.kit.errors import FailedPrecondition

LEAST = 0.2
SHOWN = 5


@dataclass(frozen=True)
class LabelEvidence:
    """combination: labels, sorted. works: training works with it. entropy: of their artists, in nats.

    artists: (id, share of these works), the largest first, at most SHOWN.
    """

    combination: tuple[str, ...]
    works: int
    entropy: float
    artists: tuple[tuple[str, float], ...]


class LabelTable:
    """How many training works of each artist have a combination."""

    def __init__(self, counts: Mapping[tuple[str, ...], Mapping[str, int]]) -> None:
        """counts: by sorted labels, by artist id, positive."""
        self._counts = counts

    @classmethod
    def read(cls, path: Path) -> LabelTable:
        """From a JSON list of [labels, {artist: works}]; empty where there is no file.

        Raises FailedPrecondition MODEL_UNSUITABLE for a file of another kind.
        """
        try:
            stored = json.loads(path.read_text("utf-8"))
            counts = {
                tuple(sorted(str(label) for label in labels)): {
                    str(artist): int(count) for artist, count in artists.items() if int(count) > 0
                }
                for labels, artists in stored
            }
        except FileNotFoundError:
            return cls({})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise FailedPrecondition(f"{path}: {error}", reason="MODEL_UNSUITABLE") from error
        return cls(counts)

    def evidence(self, labels: Mapping[str, float]) -> LabelEvidence | None:
        """The evidence of a work's labels (confidences by name); None for a work without labels."""
        if not labels:
            return None
        seen = tuple(sorted(name for name, confidence in labels.items() if confidence >= LEAST))
        artists = self._counts.get(seen, {})
        works = sum(artists.values())
        shares = {artist: count / works for artist, count in artists.items()}
        order = sorted(shares, key=lambda artist: (-shares[artist], artist))
        return LabelEvidence(
            combination=seen,
            works=works,
            entropy=-sum(share * math.log(share) for share in shares.values()) + 0.0,
            artists=tuple((artist, shares[artist]) for artist in order[:SHOWN]),
        )
