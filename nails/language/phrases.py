"""Parses a request: into phrases, noun phrases, and a restatement from the whole to the parts.

`parse` reads English and Japanese (and mixtures) with the lexicon; it needs no model and gives the same
answer every time. Noun phrases (NNP, paper N) are written in canonical English whatever the request's
language, each with the colours that belong to it: "grey base", "gold glitter" and "gold nails", "grey
glitter" stay apart. The multi-level description (MDD) restates the request: nails as a whole, then
patterns, then parts and single fingers. What the request refuses appears among the phrases, marked negated,
and in neither of the two: to a sentence encoder "without glitter" lies next to "glitter". A text in which
the lexicon finds nothing, in any language, is its own description, whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nails.colour.cielab import lab_to_srgb, srgb_to_lab
from nails.language.noun_phrase import Group
from nails.language.phrase_groups import group_tokens
from nails.language.phrase_tokens import MAX_CHARACTERS, Token, tokenize
from nails.language.phrase_words import Role
from nails.vocabulary import COLOUR_BY_NAME, TERM_BY_NAME, Colour

MAX_PHRASES = 64
MAX_NNP = 16
MAX_MDD = 12
MAX_COLOURS = 12
_MAX_WHOLE = 2_000

# How modifiers change a named colour in CIELAB: added lightness, factor of chroma.
_SHIFTS = {
    "deep": (-8.0, 1.0),
    "light": (12.0, 0.65),
    "bright": (4.0, 1.2),
    "neon": (8.0, 1.4),
    "pastel": (15.0, 0.5),
    "milky": (10.0, 0.6),
    "dusty": (0.0, 0.55),
    "sheer": (10.0, 0.6),
}


# Modifiers that mean the same as a term of the vocabulary.
_EQUIVALENTS = {"sheer": ("finish", "jelly")}


@dataclass(frozen=True)
class Phrase:
    """One term of a request.

    kind: "colour", "shape", "length", "finish", "pattern", "part", "theme", "finger" or "other". text: as
    written (NFKC). name: the vocabulary's, "" outside it. negated: the request refuses it.
    """

    kind: str
    text: str
    name: str
    negated: bool


@dataclass(frozen=True)
class ParsedRequest:
    """A parsed request.

    phrases: in the order of the text. mdd: whole to parts, at least one string for any text with a character
    in it. nnp: normalised noun phrases, at most 16, none of them negated. colours: those that are not
    negated, in order, each once, shifted by their modifiers ("deep red").
    """

    phrases: list[Phrase]
    mdd: list[str]
    nnp: list[str]
    colours: list[Colour]


def parse_request(text: str) -> ParsedRequest:
    """Parse a request. Only the first 10,000 characters count; never fails, whatever the text."""
    text = text[:MAX_CHARACTERS]
    found = tokenize(text)
    if not _is_covered(found, text):
        # Unknown words of a text in another language are not nouns to search for: only terms are kept.
        found = [token for token in found if token.role is not Role.OTHER]
    groups = group_tokens(found)
    wanted = [group for group in groups if not group.negated and group.has_content]
    nnp = _unique(group.canonical() for group in wanted)[:MAX_NNP]
    mdd = _levels(wanted)
    whole = " ".join(text.split())[:_MAX_WHOLE]
    if whole and (not mdd or not _is_covered(found, text)):
        mdd = [whole, *mdd]
    return ParsedRequest(_phrases(groups)[:MAX_PHRASES], mdd[:MAX_MDD], nnp, _colours(wanted)[:MAX_COLOURS])


def _is_covered(found: Sequence[Token], text: str) -> bool:
    """Whether the lexicon covers enough of the text to trust the parse of the rest.

    It must contain half of the Latin words. Japanese is recognised by kana, or by any term of the vocabulary.
    """
    latin = [token for token in found if token.role not in (Role.BREAK, Role.STOP) and not token.japanese]
    covered_words = sum(token.role is not Role.OTHER for token in latin)
    if latin and 2 * covered_words < len(latin):
        return False
    letters = sum(char.isalpha() for char in text)
    covered = sum(len(token.text) for token in found if token.role is not Role.OTHER or token.japanese)
    return any(token.role is Role.TERM for token in found) and covered >= 0.35 * letters


def _phrases(groups: Iterable[Group]) -> list[Phrase]:
    """Each term and unknown word of the groups, in the order of the text."""
    placed = []
    for group in groups:
        for token in group.content:
            kind, name = _EQUIVALENTS.get(
                token.name, (token.kind or "other", token.name if token.kind else "")
            )
            placed.append((token.start, Phrase(kind, token.text, name, group.negated)))
    placed.sort(key=lambda pair: pair[0])
    seen: set[tuple[int, str]] = set()
    phrases = []
    for start, phrase in placed:
        # One finger word may stand over several groups.
        if (start, phrase.kind) not in seen:
            seen.add((start, phrase.kind))
            phrases.append(phrase)
    return phrases


def _colours(groups: Iterable[Group]) -> list[Colour]:
    colours: dict[str, Colour] = {}
    for group in groups:
        for token, modifiers in group.colours:
            colour = COLOUR_BY_NAME[token.name]
            colours.setdefault(token.name, _shift(colour, modifiers))
    return list(colours.values())


def _shift(colour: Colour, modifiers: Sequence[Token]) -> Colour:
    lightness, a, b = colour.lab
    shifts = [_SHIFTS[token.name] for token in modifiers if token.name in _SHIFTS]
    if not shifts:
        return colour
    for step, factor in shifts:
        lightness, a, b = min(97.0, max(4.0, lightness + step)), a * factor, b * factor
    # Back through sRGB, so that the colour is one that a display can show.
    shown = srgb_to_lab(np.asarray(lab_to_srgb((lightness, a, b)), np.float64))
    return replace(colour, lab=(float(shown[0]), float(shown[1]), float(shown[2])))


def _levels(groups: Sequence[Group]) -> list[str]:
    """The multi-level description: nails as a whole, patterns, then parts, single fingers and the rest."""
    whole = _whole(groups)
    patterns = [group.canonical() for group in groups if group.level == "pattern"]
    parts = [group.canonical() for group in groups if group.level == "part"]
    return _unique([*([whole] if whole else []), *patterns, *parts])


def _whole(groups: Sequence[Group]) -> str:
    """ "long almond nails in sheer pink, matte, autumn style": the terms that are about all nails."""
    shapes: list[str] = []
    colours: list[str] = []
    finishes: list[str] = []
    themes: list[str] = []
    for kind in ("length", "shape"):
        for group in groups:
            shapes += [_word(kind, token.name) for token in group.select_terms(kind)]
    for group in groups:
        themes += [_word("theme", token.name) for token in group.select_terms("theme")]
        if group.level == "whole":
            if group.colours:
                colours.append(group.colour_words())
            finishes += group.loose_shades()
            finishes += [_word("finish", token.name) for token in group.select_terms("finish")]
    if not (shapes or colours or finishes or themes):
        return ""
    restated = " ".join([*_unique(shapes), "nails"])
    if colours:
        restated += " in " + ", ".join(_unique(colours))
    restated += "".join(f", {finish}" for finish in _unique(finishes))
    return restated + "".join(f", {theme} style" for theme in _unique(themes))


def _word(kind: str, name: str) -> str:
    return TERM_BY_NAME[kind][name].en[0]


def _unique(strings: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(string for string in strings if string))
