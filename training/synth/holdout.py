"""What training texts never contain: words, pairs of colours and sentence templates kept for val and test.

A photo belongs to a split by a hash of its seed. Train photos draw no held-out pair and say no held-out word;
test photos may draw anything, and their texts prefer what was held out.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import Final

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

_PAIR_SHARE: Final = 24  # one pair of colours in 24


def split_of(seed: int) -> str:
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


def has_held_out_word(text: str) -> bool:
    """Whether a text says a held-out word."""
    lowered = text.lower()
    return any(word in lowered for word in HELD_OUT_WORDS)
