"""All texts of a photo: requests at four levels in two languages, title, description, tags and context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nails.language.phrases import parse_request
from nails.vocabulary import COLOUR_BY_NAME
from training.synth.design.designs import PARTS, Design
from training.synth.design.fit import infer_mood
from training.synth.design.themes import THEMES
from training.synth.facts import Claims
from training.synth.holdout import has_held_out_word, sentence_held_out
from training.synth.text import grammar_en, grammar_ja
from training.synth.text.wording import Words

LEVELS = ("dense", "plain", "tags", "abstract")
_GRAMMAR = {"en": grammar_en, "ja": grammar_ja}


def write_texts(
    rng: np.random.Generator,
    design: Design,
    split: str,
    favourites: Mapping[str, dict[str, str]] | None = None,
    language: str | None = None,
) -> dict[str, Any]:
    """`texts` (requests), `title`, `description`, `tags`, `context` and `palette` of a design.

    `favourites`: an artist's words by language; `language`: that of title, description, tags and context.
    """
    favourites = favourites or {}
    mood = design.theme or infer_mood(design)
    absent = _absent(rng, design)
    texts = []
    for lang in ("en", "ja"):
        words = Words(rng, lang, split, favourites.get(lang))
        for level in LEVELS:
            found = _request(level, design, absent, mood, words)
            if found is None:
                continue
            text, claims = found
            reading = parse_request(text)
            texts.append(
                {"lang": lang, "level": level, "text": text, "mdd": reading.mdd, "nnp": reading.nnp,
                 "claims": [list(claim) for claim in claims.items]}
            )  # fmt: skip
    lang = language or ("ja" if rng.random() < 0.5 else "en")
    words = Words(rng, lang, split, favourites.get(lang))
    grammar = _GRAMMAR[lang]
    return {
        "split": split,
        "texts": texts,
        "language": lang,
        "title": title(design, words),
        "description": grammar.dense(design, [], words, Claims())
        if rng.random() < 0.5
        else grammar.plain(design, words, Claims()),
        "tags": grammar.tags(design, words, Claims()),
        "context": _context(rng, design.theme, lang),
        "palette": palette(design),
    }


def _request(
    level: str, design: Design, absent: list[tuple[str, str]], mood: str, words: Words
) -> tuple[str, Claims] | None:
    """A sentence of a level that belongs to the split, and its claims; None where there is none to be found.

    Train and val take sentences that are not held out; test takes those that are, or that say a held-out word
    or template.
    """
    grammar = _GRAMMAR[words.lang]
    if level == "abstract" and not mood:
        return None
    for _ in range(24):
        claims, words.novel = Claims(), False
        if level == "dense":
            text = grammar.dense(design, absent, words, claims)
        elif level == "plain":
            text = grammar.plain(design, words, claims)
        elif level == "tags":
            text = (" " if words.lang == "ja" else ", ").join(grammar.tags(design, words, claims))
        else:
            text = grammar.abstract(mood, _context(words.rng, design.theme, words.lang), words, claims)
        kept = words.novel or has_held_out_word(text) or sentence_held_out(text)
        if kept == (words.split == "test"):
            return text, claims
    return None


def _context(rng: np.random.Generator, theme: str, lang: str) -> str:
    """A short story that leads to a theme, "" without one."""
    if not theme:
        return ""
    contexts = THEMES[theme].contexts
    return contexts[int(rng.integers(0, len(contexts)))][lang == "ja"]


def title(design: Design, words: Words) -> str:
    """A short name of the set, as its maker might call it."""
    main = design.main
    en = words.lang == "en"
    if main.bare:
        return "Natural nails" if en else "ナチュラルネイル"
    parts = [words.term("colour", main.colour)]
    star = next(
        (look for look in (main, design.accent) if look is not None and look.pattern != "plain"), None
    )
    if star is not None:
        parts.append(words.term("pattern", star.pattern))
    elif main.finish != "gloss":
        parts.append(words.term("finish", main.finish))
    if design.theme and words.chance(0.5):
        parts.insert(0, words.term("theme", design.theme))
    joined = (" " if en else "").join(parts)
    return f"{joined[0].upper()}{joined[1:]} nails" if en else f"{joined.removesuffix('ネイル')}ネイル"


def palette(design: Design) -> list[dict[str, Any]]:
    """Colours of the paint with their weights over the five nails, heaviest first, at most five.

    A bare nail counts as "clear". Weights are shares of the nails' area by design, not by what is seen.
    """
    weights: dict[str, float] = {}
    for look in design.looks:
        share = 1.0 / len(design.looks)
        second = 0.35 if look.accents else 0.0
        weights[look.colour] = weights.get(look.colour, 0) + share * (1 - second)
        for name in look.accents:
            weights[name] = weights.get(name, 0) + share * second / len(look.accents)
    heaviest = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:5]
    return [
        {"lab": list(COLOUR_BY_NAME[name].lab), "weight": round(weight, 4), "name": name}
        for name, weight in heaviest
    ]


def _absent(rng: np.random.Generator, design: Design) -> list[tuple[str, str]]:
    """Things that are not on the nails and that someone might refuse."""
    parts = {look.part for look in design.looks}
    finishes = {look.finish for look in design.looks}
    patterns = {look.pattern for look in design.looks}
    candidates = [("part", name) for name in PARTS if name not in parts]
    candidates += [("finish", name) for name in ("glitter", "matte", "chrome") if name not in finishes] * 2
    candidates += [
        ("pattern", name)
        for name in ("french", "floral", "dots", "leopard", "hearts")
        if name not in patterns
    ]
    colours = {look.colour for look in design.looks} | {c for look in design.looks for c in look.accents}
    colours |= {look.part_colour for look in design.looks}
    candidates += [
        ("colour", name) for name in ("red", "pink", "black", "gold", "white") if name not in colours
    ]
    order = rng.permutation(len(candidates))
    return list(dict.fromkeys(candidates[i] for i in order))[:2]
