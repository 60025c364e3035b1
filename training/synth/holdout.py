"""What training texts never contain: words, pairs of colours, sentence templates, sentences and stories kept
for testing.

A photo belongs to a split by a hash of its seed, or of its group's where photos belong together. Train and
val images show no held-out pair and their texts contain no held-out word, template or sentence; every
sentence of a test image contains at least one of them, so no test sentence occurs in training. `listing` says
which.
"""

from __future__ import annotations

import ast
import zlib
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from nails.vocabulary import COLOURS

# One synonym of many terms: the meaning is learnt from the others, the sentence encoder must bridge the word.
HELD_OUT_WORDS: Final[frozenset[str]] = frozenset(
    """scarlet, tangerine, aubergine, espresso, peacock, fuchsia, apricot, bordeaux, cobalt, lilac,
    vanilla, midnight blue, tiffany blue, ballerina, claw, pointy, squared, velvet, holographic,
    magnetic, polka dot, cheetah, gingham, chevron, bling, decals, spooky, bridal, night sky,
    minimalist, cherries, terrazzo, fishnet, seashell, ribbon, 真紅, 橙色, ナス色, こげ茶,
    ピーコックグリーン, フューシャ, アプリコット, ボルドー, ライラック, 象牙色, 濃紺, バレリーナ,
    尖った, つや消し, ホログラム, マグネット, 水玉, 豹柄, ギンガム, シェブロン, ビジュー, シール,
    ブライダル, 夜空, ミニマル, さくらんぼ, テラゾー, 網目, 貝殻, 蝶結び""".replace("\n    ", " ").split(", ")
)

# Themes that no training story wants; photos of the kind "contexts" show them in test stories alone.
HELD_OUT_THEMES: Final[frozenset[str]] = frozenset({"cherry_blossom", "galaxy", "retro"})
# People and frames of training.synth.text.moments in test stories, and in no other.
HELD_OUT_PEOPLE: Final[frozenset[str]] = frozenset({"Ines", "Kaede", "Sae"})
HELD_OUT_FRAMES: Final[frozenset[str]] = frozenset({"What {p} packs", "{p} starts over"})

_PAIR_SHARE: Final = 24  # one pair of colours in 24
_SENTENCE_SHARE: Final = 4  # one sentence in 4


def assign_split(seed: int) -> str:
    """ "train" (80 %), "val" (10 %) or "test" (10 %) by a hash of a photo's seed."""
    bucket = zlib.crc32(f"split:{seed}".encode()) % 10
    return "val" if bucket == 8 else "test" if bucket == 9 else "train"


def pair_held_out(first: str, second: str) -> bool:
    """Whether two colours on one hand are kept from training."""
    low, high = sorted((first, second))
    return low != high and zlib.crc32(f"pair:{low}:{high}".encode()) % _PAIR_SHARE == 0


@cache
def template_held_out(template: str) -> bool:
    """Whether a sentence template is kept from training: one in eight."""
    return zlib.crc32(f"template:{template}".encode()) % 8 == 0


def sentence_held_out(text: str) -> bool:
    """Whether a whole sentence is kept from training, whatever it is made of."""
    return zlib.crc32(f"sentence:{text}".encode()) % _SENTENCE_SHARE == 0


def has_held_out_word(text: str) -> bool:
    """Whether a text contains a held-out word."""
    lowered = text.lower()
    return any(word in lowered for word in HELD_OUT_WORDS)


@cache
def templates(module: str) -> tuple[tuple[str, ...], ...]:
    """The groups of templates from which a module of `training.synth.text` chooses, read from its source.

    A group is the arguments of one call of `Words.template`.
    """
    source = (Path(__file__).parent / "text" / f"{module}.py").read_text(encoding="utf-8")
    groups = []
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "template"
        ):
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            if texts:
                groups.append(tuple(str(text) for text in texts))
    return tuple(groups)


def listing() -> dict[str, Any]:
    """Everything that is held out: words, pairs of colours, templates by module, themes, and the rule for
    sentences."""
    names = [colour.name for colour in COLOURS]
    modules = ("grammar_en", "grammar_ja", "stories")
    return {
        "words": sorted(HELD_OUT_WORDS),
        "colour_pairs": [list(pair) for pair in combinations(names, 2) if pair_held_out(*pair)],
        "templates": {
            name: [text for group in templates(name) for text in group if template_held_out(text)]
            for name in modules
        },
        "story_themes": sorted(HELD_OUT_THEMES),
        "story_people": sorted(HELD_OUT_PEOPLE),
        "story_frames": sorted(HELD_OUT_FRAMES),
        "sentences": f"those whose CRC-32, after 'sentence:', is divisible by {_SENTENCE_SHARE}",
    }
