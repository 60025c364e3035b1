"""One English description of a design from what compact perception knows of its photo.

Deterministic, and silent about whatever is uncertain: a wrong word costs a search more than a missing one.
What is written is read back by `nails.language.phrases` as the same attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nails.colour.cielab import in_gamut
from nails.colour.palette import nearest_name
from nails.vocabulary import TERM_BY_NAME

# kind -> (name in the vocabulary, probability in [0, 1]), in any order. The kinds are the vocabulary's, those
# of the accent with "accent_" before them; "finger" says which fingers are the accent.
Attributes = Mapping[str, Sequence[tuple[str, float]]]
# (CIELAB, share of the nails' surface in (0, 1])
Palette = Sequence[tuple[Sequence[float], float]]

_SETS = ("shape", "length", "colour", "finish", "pattern", "part", "theme")
_ACCENTS = ("colour", "finish", "pattern", "part")
_KINDS = frozenset((*_SETS, *(f"accent_{kind}" for kind in _ACCENTS), "finger"))
_MOST = {"shape": 1, "length": 1, "colour": 3, "finish": 2, "pattern": 2, "part": 3, "theme": 1, "finger": 2}
_LEAST_SHARE = 0.1
_SHEEN = "gloss"  # every photo of polish shines somewhere


def describe_attributes(attributes: Attributes, palette: Palette = (), *, least: float = 0.5) -> str:
    """ "Short almond nails in white and gold with a chrome finish, a marble pattern and rhinestones."

    least: probability from which a thing is said. Of shape and length the likeliest is said, and only where
    it is twice as likely as the next. Colours: the palette's by share, then those that were predicted.
    ValueError names the kind, word or number that cannot be.
    """
    if unknown := sorted(set(attributes) - _KINDS):
        raise ValueError(f"{unknown[0]!r}: a kind of attribute expected, one of {', '.join(sorted(_KINDS))}")
    known = {kind: _certain(kind, attributes.get(kind, ()), least) for kind in sorted(_KINDS)}
    colours = list(dict.fromkeys((*_named(palette), *known["colour"])))[: _MOST["colour"]]
    sentences = [_set(known, colours)]
    if accent := _accent(known):
        sentences.append(accent)
    sentences += [f"{_words('theme', [theme]).capitalize()} style." for theme in known["theme"]]
    return " ".join(sentences)


def _set(known: Mapping[str, Sequence[str]], colours: Sequence[str]) -> str:
    """The sentence about all nails."""
    words = [_words(kind, known[kind]) for kind in ("length", "shape") if known[kind]]
    patterns = _designs(known["pattern"])
    if known["pattern"] and not patterns:
        words.append(_words("pattern", ["plain"]))
    sentence = " ".join([*words, "nails"])
    if colours:
        sentence += f" in {_words('colour', colours)}"
    details = []
    if known["finish"]:
        finish = _words("finish", known["finish"])
        details.append(f"{_article(finish)} {finish} finish")
    details += [f"{_article(pattern)} {pattern} pattern" for pattern in patterns]
    details += [_words("part", [part]) for part in known["part"]]
    if details:
        sentence += f" with {_joined(details)}"
    return sentence[0].upper() + sentence[1:] + "."


def _accent(known: Mapping[str, Sequence[str]]) -> str:
    """The sentence about the nails that differ; "" where nothing is known of them."""
    shades = [(kind, known[f"accent_{kind}"]) for kind in ("colour", "finish")]
    words = [_words(kind, names) for kind, names in shades if names]
    if patterns := _designs(known["accent_pattern"]):
        words.append(_joined(patterns))
    if not words and not known["accent_part"]:
        return ""
    details = " ".join(words)
    if known["accent_part"]:
        parts = _words("part", known["accent_part"])
        details = f"{details} with {parts}" if details else parts
    where = _words("finger", known["finger"]) if known["finger"] else ""
    return f"Accent on the {where} in {details}." if where else f"Accent nail in {details}."


def _certain(kind: str, predicted: Iterable[tuple[str, float]], least: float) -> list[str]:
    """Names that are certain enough, the likeliest first."""
    plain = kind.removeprefix("accent_")
    ranked = sorted(predicted, key=lambda pair: (-pair[1], pair[0]))
    for name, probability in ranked:
        if name not in TERM_BY_NAME[plain]:
            raise ValueError(f"{kind}: {name!r} is not in the vocabulary")
        if not 0 <= probability <= 1:
            raise ValueError(f"{kind}: {name}: a probability in [0, 1] expected, found {probability}")
    if plain in ("shape", "length") and len(ranked) > 1 and ranked[0][1] < 2 * ranked[1][1]:
        return []
    return [name for name, probability in ranked if probability >= least][: _MOST[plain]]


def _named(palette: Palette) -> list[str]:
    """Names of the palette's colours that cover enough, the widest first."""
    for lab, share in palette:
        if len(lab) != 3 or not in_gamut(lab, tolerance=0.1) or not 0 <= share <= 1:
            raise ValueError(f"palette: a CIELAB colour and a share in [0, 1] expected, found {lab}, {share}")
    widest = sorted(palette, key=lambda entry: -entry[1])
    return [nearest_name(lab) for lab, share in widest if share >= _LEAST_SHARE]


def _designs(patterns: Sequence[str]) -> list[str]:
    return [_words("pattern", [name]) for name in patterns if name != "plain"]


def _words(kind: str, names: Sequence[str]) -> str:
    """ "white, gold and red": the vocabulary's first words."""
    return _joined([TERM_BY_NAME[kind][name].en[0] for name in names])


def _joined(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
