"""Requests that say a part of what a photo shows, so that a few other photos satisfy them too.

A person rarely lists everything: "long almond nails in navy" is meant for dots and for none. The sentences
are those of the grammars, written for a design of which some paint, parts, accents or the theme are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nails.perception.hands import FINGERS
from training.synth.design.designs import Design, Look
from training.synth.facts import Claims, satisfies
from training.synth.holdout import has_held_out_word, sentence_held_out
from training.synth.text import grammar_en, grammar_ja
from training.synth.text.wording import Words

_GRAMMAR = {"en": grammar_en, "ja": grammar_ja}
_KEPT = 0.5  # chance of each of finish, pattern, part and accent
_THEME_KEPT = 0.3


def rebuild_design(attributes: Mapping[str, Any]) -> Design:
    """The design with the `attributes` of a record; one whose nails all differ has its colours in order."""
    accent_fingers = tuple(attributes.get("accent_fingers", ()))
    accent = attributes.get("accent")
    colours = attributes["colour"]
    colours = [colours] if isinstance(colours, str) else colours
    looks = tuple(
        _look(accent) if accent and finger in accent_fingers else _look(attributes, colours[i % len(colours)])
        for i, finger in enumerate(FINGERS)
    )
    return Design(
        attributes["shape"],
        attributes["length"],
        looks,
        accent_fingers if accent else (),
        attributes.get("theme", ""),
        attributes["arrangement"],
    )


def brief_requests(record: Mapping[str, Any], lang: str, count: int) -> list[dict[str, Any]]:
    """At most `count` requests for a photo, dense and plain in turn: `lang`, `level`, `text`, `claims`.

    Each holds for the photo, and belongs to its split as those of its record do (training.synth.holdout).
    Deterministic by the photo's seed. Designs whose nails all differ have none: leaving colours out would
    misname them.
    """
    design = rebuild_design(record["attributes"])
    if design.arrangement == "every":
        return []
    rng = np.random.default_rng([int(record["seed"]), sorted(_GRAMMAR).index(lang), 5])
    words = Words(rng, lang, record["split"])
    grammar = _GRAMMAR[lang]
    refused = [(kind, value) for text in record["texts"] for scope, kind, value in text["claims"]
               if scope == "not"]  # fmt: skip
    absent = list(dict.fromkeys(refused))
    found: dict[str, dict[str, Any]] = {}
    for attempt in range(count):
        claims, words.novel = Claims(), False
        part = _thin_out(design, rng)
        level = ("dense", "plain")[attempt % 2]
        if level == "dense":
            text = grammar.dense(part, absent, words, claims)
        else:
            text = grammar.plain(part, words, claims)
        kept = words.novel or has_held_out_word(text) or sentence_held_out(text)
        # A look without its finish may be called glossy, which the whole design need not be.
        if kept == (record["split"] == "test") and satisfies(record["attributes"], claims.items):
            found[text] = {"lang": lang, "level": level, "text": text,
                           "claims": [list(claim) for claim in claims.items]}  # fmt: skip
    return list(found.values())


def _look(attributes: Mapping[str, Any], colour: str = "") -> Look:
    return Look(
        colour or attributes["colour"],
        attributes["finish"],
        attributes["pattern"],
        tuple(attributes.get("pattern_colours", ())),
        attributes.get("part", ""),
        attributes.get("part_colour", ""),
        attributes.get("bare") == "true",
    )


def _thin_out(design: Design, rng: np.random.Generator) -> Design:
    """The design with some of it left out."""
    main, accent = _thin_out_look(design.main, rng), design.accent
    fingers, arrangement = design.accent_fingers, design.arrangement
    if accent is None or rng.random() > _KEPT:
        looks, fingers, arrangement = (main,) * len(FINGERS), (), "same"
    else:
        accent = _thin_out_look(accent, rng)
        looks = tuple(accent if finger in fingers else main for finger in FINGERS)
    theme = design.theme if rng.random() < _THEME_KEPT else ""
    return replace(design, looks=looks, accent_fingers=fingers, arrangement=arrangement, theme=theme)


def _thin_out_look(look: Look, rng: np.random.Generator) -> Look:
    finish, pattern, part = rng.random(3) < _KEPT
    if not finish:
        look = replace(look, finish="gloss")
    if not pattern:
        look = replace(look, pattern="plain", accents=())
    return look if part else replace(look, part="", part_colour="")
