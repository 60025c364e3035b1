"""Why a design was found, in words: what of the request it meets, and what it does not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from nails.colour.palette import PaletteColour
from nails.colour.palette_match import colour_differences
from nails.language.phrases import Phrase, parse_request
from nails.language.words import split_words
from services.rank.catalogue.rows import read_colours, read_text

_READ_CHARACTERS = 2_000
"""So much of a design's words is read for the explanation; the index has all of them."""
_SAME_COLOUR = 15.0
"""CIEDE2000 up to which a colour is a shade of the one that was asked for."""

RequestedColour = tuple[str, float]
"""Name of a colour that was asked for, and how far (CIEDE2000) the design is from it."""


class Explainer:
    """Explains hits. Caches what was read out of designs' texts, since reading them is most of the work."""

    def __init__(self, cache_size: int = 8192) -> None:
        """cache_size: texts of the designs that were shown last."""
        self._read = lru_cache(maxsize=cache_size)(_read)

    def explain(
        self,
        phrases: Sequence[Phrase],
        colours: Sequence[RequestedColour],
        row: Mapping[str, Any],
        remarks: Sequence[str] = (),
        *,
        decision: str = "",
    ) -> str:
        """One line: "almond, french · milky white (ΔE 4) · nothing of: glitter · not mentioned: pearl".

        colours: those that were requested, with their differences in this design. A phrase is met when the
        design's attributes or words say the same, in either language. remarks: of channels. decision: what
        the reranker decided.
        """
        text = read_text(row)
        mentioned, vocabulary = self._read(text.prose[:_READ_CHARACTERS])
        shown = mentioned.union(text.attributes)
        met, avoided, absent = [], [], []
        for phrase in phrases:
            if phrase.kind == "colour" and colours:
                continue  # named below, with its measured difference
            there = _is_there(phrase, shown, vocabulary)
            if phrase.negated:
                if not there:
                    avoided.append(phrase.text)
            elif there:
                met.append(phrase.text)
            elif phrase.name:
                absent.append(phrase.text)
        parts = [", ".join(dict.fromkeys(met)), _near(colours)]
        if avoided:
            parts.append(f"nothing of: {', '.join(dict.fromkeys(avoided))}")
        parts += remarks
        if absent:
            parts.append(f"not mentioned: {', '.join(dict.fromkeys(absent))}")
        shown_parts = [part for part in parts if part] or ["near in overall look and meaning"]
        return " · ".join([*shown_parts, decision] if decision else shown_parts)


def _read(prose: str) -> tuple[frozenset[tuple[str, str]], frozenset[str]]:
    """((kind, name) of what the text mentions, its words)."""
    mentioned = {(phrase.kind, phrase.name) for phrase in parse_request(prose).phrases if not phrase.negated}
    return frozenset(mentioned), frozenset(split_words(prose))


def _is_there(phrase: Phrase, shown: frozenset[tuple[str, str]], vocabulary: frozenset[str]) -> bool:
    if phrase.name:
        return (phrase.kind, phrase.name) in shown
    own = split_words(phrase.text)
    return bool(own) and vocabulary.issuperset(own)


def match_colours(
    palette: Sequence[PaletteColour], rows: Sequence[Mapping[str, Any]]
) -> list[list[RequestedColour]]:
    """The colours that were asked for, with their differences in each of the designs."""
    differences = colour_differences(palette, [read_colours(row) for row in rows])
    names = [asked.name.replace("_", " ") for asked in palette]
    return [list(zip(names, row, strict=True)) for row in differences.tolist()]


def _near(colours: Sequence[RequestedColour]) -> str:
    met = [f"{name} (ΔE {difference:.0f})" for name, difference in colours if difference <= _SAME_COLOUR]
    return ", ".join(met)
