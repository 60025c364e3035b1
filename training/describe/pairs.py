"""Pairs of text and photo by number, in the order in which `training.design.data.claims` counts records."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from training.describe.judges import Pair
from training.describe.models.answers import restate_by_lexicon
from training.describe.photos import Photo
from training.describe.store import read_descriptions
from training.kit.data.mined_pairs import Mined, read_records


class PairIndex:
    """The pairs of the records of folders, all or those of a split.

    described: a file of descriptions; a photo's noun phrases are the lexicon's reading of its description.
    """

    def __init__(self, folders: Sequence[Path], split: str = "", described: Path | None = None) -> None:
        self.texts: list[tuple[str, tuple[str, ...]]] = []
        self.photos: list[Photo] = []
        for folder in folders:
            for record in read_records([folder], split):
                try:
                    self.photos.append(Photo(folder / record["image"]))
                    for text in record.get("texts") or ():
                        self.texts.append((text["text"], tuple(text.get("nnp") or ())))
                except (KeyError, TypeError) as error:
                    raise ValueError(
                        f"{folder}: record {record.get('id', '?')}: missing field {error}"
                    ) from error
        self.descriptions = read_descriptions(described) if described is not None else {}
        self._phrases = lru_cache(maxsize=None)(lambda text: restate_by_lexicon(text).nnp)

    def __call__(self, text: int, photo: int) -> Pair:
        """The pair of a text's and a photo's number."""
        request, nnp = self.texts[text]
        shown = self.photos[photo]
        described = self.descriptions.get(shown.sha256, "") if self.descriptions else ""
        return Pair(
            request,
            nnp or self._phrases(request),
            shown,
            self._phrases(described) if described else (),
        )

    def check(self, mined: Mined) -> None:
        """ValueError where pairs were mined among other texts and photos."""
        if (len(self.texts), len(self.photos)) != (mined.texts, mined.photos):
            raise ValueError(
                f"{len(self.texts)} texts and {len(self.photos)} photos in the data, "
                f"the pairs were mined among {mined.texts} and {mined.photos}"
            )
