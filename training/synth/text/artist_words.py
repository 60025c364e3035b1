"""How an artist writes: favourite words, signature, closing phrase; the words of a work without its photo.

Little of it is an artist's own. Of the words for a thing some are hers, some are her school's, for others she
takes any; most works end without a signature, and studios share names and ways to sign.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np

from nails.vocabulary import ATTRIBUTES, TERM_BY_NAME
from training.synth.design.designs import Design
from training.synth.facts import Claims
from training.synth.holdout import has_held_out_word
from training.synth.text import grammar_en, grammar_ja
from training.synth.text.texts import title
from training.synth.text.wording import Words

LANGUAGES = ("en", "ja")
_OWN_WORDS, _SCHOOL_WORDS = 0.22, 0.35  # shares of things for which an artist has a word, her school has one
_WRITING = zlib.crc32(b"writing")


@dataclass(frozen=True)
class Wording:
    """`words` the favourite words by language and "kind:name"; `dense` how often a description is a long one;
    `signature_share` and `closing_share` how often the signature and the closing phrase are written."""

    language: str
    words: Mapping[str, dict[str, str]]
    dense: float
    signature: str
    signature_share: float
    closing: str
    closing_share: float


_SIGNATURES = {
    "en": ("by {n}", "~ {n} ~", "{n} nail studio", "made at {n}", "{n} gel art", "hand painted, {n}"),
    "ja": ("{n}のネイル", "{n}ネイルサロン", "{n}にて施術", "手描き {n}", "作:{n}", "{n}工房"),
}
_CLOSINGS = {
    "en": (
        "Made to order.",
        "Ships in two days.",
        "Ask me about sizes.",
        "Thank you for looking!",
        "Hand painted gel.",
        "Reusable press-ons.",
        "Cured under a lamp, lasts three weeks.",
        "One of a kind.",
        "DM for bookings.",
        "",
    ),
    "ja": (
        "オーダー承ります。",
        "サイズはご相談ください。",
        "二日以内に発送します。",
        "ご覧いただきありがとうございます。",
        "ジェルで手描きしました。",
        "繰り返し使えるチップです。",
        "持ちがよいデザインです。",
        "一点ものです。",
        "ご予約お待ちしています。",
        "",
    ),
}
# Studios share first names: a name alone is no signature.
_NAMES = {
    "en": ("Mira", "Noelle", "Saki", "Luna", "Vera", "Tori"),
    "ja": ("みらの", "さくや", "ゆきの", "はなえ", "るな", "こはる"),
}


@cache
def _free_words(kind: str, name: str, lang: str) -> tuple[str, ...]:
    term = TERM_BY_NAME[kind][name]
    return tuple(word for word in (term.en if lang == "en" else term.ja) if not has_held_out_word(word))


def _favourites(rng: np.random.Generator) -> dict[str, dict[str, str]]:
    """A word for everything, by language and "kind:name"."""
    words: dict[str, dict[str, str]] = {lang: {} for lang in LANGUAGES}
    for kind, terms in ATTRIBUTES.items():
        for term in terms:
            for lang in LANGUAGES:
                free = _free_words(kind, term.name, lang)
                if free and not (lang == "ja" and kind in ("shape", "length")):
                    words[lang][f"{kind}:{term.name}"] = free[int(rng.integers(0, len(free)))]
    return words


@lru_cache(maxsize=64)
def _of_school(seed: int, school: int) -> dict[str, dict[str, str]]:
    return _favourites(np.random.default_rng([seed, 2, school]))


def sample_wording(rng: np.random.Generator, seed: int, school: int) -> Wording:
    """How an artist of a school writes. `seed`: the schools' own."""
    language = "ja" if rng.random() < 0.5 else "en"
    own, shared = _favourites(rng), _of_school(seed, school)
    words: dict[str, dict[str, str]] = {lang: {} for lang in LANGUAGES}
    for lang in LANGUAGES:
        for key, word in own[lang].items():
            turn = rng.random()
            if turn < _OWN_WORDS:
                words[lang][key] = word
            elif turn < _OWN_WORDS + _SCHOOL_WORDS:
                words[lang][key] = shared[lang][key]
    name = str(rng.choice(_NAMES[language]))
    return Wording(
        language=language,
        words=words,
        dense=float(rng.uniform(0.25, 0.75)),
        signature=str(rng.choice(_SIGNATURES[language])).format(n=name),
        signature_share=float(rng.beta(1.2, 3.6)),
        closing=str(rng.choice(_CLOSINGS[language])),
        closing_share=float(rng.uniform(0.05, 0.35)),
    )


def farewell(rng: np.random.Generator, who: Wording) -> tuple[str, ...]:
    """What an artist adds to a description: signature, closing phrase, both or nothing."""
    parts = (
        who.signature if rng.random() < who.signature_share else "",
        who.closing if rng.random() < who.closing_share else "",
    )
    return tuple(text for text in parts if text)


def describe_work(seed: int, design: Design, split: str, who: Wording) -> dict[str, Any]:
    """`language`, `title`, `description` and `tags` of the photo `seed`.

    They depend on nothing that is rendered: the texts of a run can be written without its images.
    """
    rng = np.random.default_rng([seed, _WRITING])
    words = Words(rng, who.language, split, who.words[who.language])
    grammar = grammar_en if who.language == "en" else grammar_ja
    name = title(design, words)
    dense = rng.random() < who.dense
    text = grammar.dense(design, [], words, Claims()) if dense else grammar.plain(design, words, Claims())
    return {
        "language": who.language,
        "title": name,
        "description": " ".join((text, *farewell(rng, who))),
        "tags": grammar.tags(design, words, Claims()),
    }
