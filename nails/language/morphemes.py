"""Words of a text as a Japanese dictionary divides it (MeCab by fugashi, UniDic in its small edition), as
paper A does before fastText.

Text of other languages is divided at blanks and punctuation by the same dictionary's rules for unknown words.
Both packages are loaded with the first text: about 20 ms, and the dictionary's 250 MB are mapped, not read.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from nails.language.words import normalise

VERSION = "unidic-lite-1"
"""Of the rules here and of the dictionary: a model of these words names it."""

_LOCK = threading.Lock()  # a tagger is not safe in two threads at once


def split_morphemes(text: str) -> list[str]:
    """The words of a text in its order, normalised as nails.language.words does, without punctuation; [] for
    none.

    Raises ModuleNotFoundError where fugashi or unidic-lite is not installed.
    """
    whole = normalise(text).encode("utf-8", "ignore").decode()  # MeCab reads UTF-8: no lone surrogates
    line = " ".join(whole.replace("\x00", " ").split())
    if not line:
        return []
    with _LOCK:
        found: str = _tagger().parse(line)
    return [word for word in found.split() if any(letter.isalnum() for letter in word)]


@cache
def _tagger() -> Any:
    import fugashi
    import unidic_lite

    return fugashi.GenericTagger(f'-r /dev/null -d "{unidic_lite.DICDIR}" -Owakati')
