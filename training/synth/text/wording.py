"""Choosing words for terms: synonyms of the vocabulary, without those that are kept for testing."""

from __future__ import annotations

from functools import cache

import numpy as np

from nails.vocabulary import TERM_BY_NAME
from training.synth.holdout import has_held_out_word, template_held_out


class Words:
    """Words of one language ("en" or "ja") for one photo's split. A test photo prefers held-out words.

    `favourites`: an artist's own choice of words, by (kind, name). `novel`: whether a held-out template
    was chosen since it was last set to False.
    """

    def __init__(
        self, rng: np.random.Generator, lang: str, split: str, favourites: dict[str, str] | None = None
    ) -> None:
        self.rng = rng
        self.lang = lang
        self.split = split
        self.favourites = favourites or {}
        self.novel = False

    def term(self, kind: str, name: str) -> str:
        """A word for a term of nails.vocabulary."""
        key = f"{kind}:{name}"
        if key in self.favourites and self.rng.random() < 0.8:
            return self.favourites[key]
        kept, free = _words(kind, name, self.lang)
        if self.split == "test" and kept and self.rng.random() < 0.5:
            return kept[int(self.rng.integers(0, len(kept)))]
        return free[0] if self.rng.random() < 0.5 else free[int(self.rng.integers(0, len(free)))]

    def template(self, *templates: str) -> str:
        """One of several sentence templates; held-out ones only for test photos."""
        kept = [t for t in templates if template_held_out(t)]
        free = [t for t in templates if not template_held_out(t)]
        if self.split == "test" and kept and self.rng.random() < 0.5:
            self.novel = True
            return kept[int(self.rng.integers(0, len(kept)))]
        return free[int(self.rng.integers(0, len(free)))]

    def chance(self, share: float) -> bool:
        """True with probability `share`."""
        return bool(self.rng.random() < share)


@cache
def _words(kind: str, name: str, lang: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words of a term that are kept for testing, and the others (at least one)."""
    entry = TERM_BY_NAME[kind][name]
    words = entry.en if lang == "en" else entry.ja
    kept = tuple(word for word in words if has_held_out_word(word))
    free = tuple(word for word in words if not has_held_out_word(word))
    if lang == "ja" and kind in ("shape", "length"):  # adjectives cannot stand before 「の」 and 「で」
        free = tuple(word for word in free if not word.endswith(("い", "た")))
    return kept, free or words[:1]
