"""Words of a text in any language, for fastText and BM25: deterministic and without a dictionary.

Text is NFKC-normalised and lower-cased. Runs of letters and digits are words; runs of Chinese characters and
kana have no spaces, so they give their characters and pairs of neighbours, which match across spellings.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

MAX_CHARACTERS = 100_000

# Hiragana, katakana (with the long-vowel mark), CJK ideographs and the iteration mark.
_CJK = "々〇ぁ-ゖァ-ヺー㐀-䶿一-鿿豈-﫿"
_RUN = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:['’][^\W\d_{_CJK}]+)*")
_CJK_START = re.compile(rf"[{_CJK}]")


def normalise(text: str) -> str:
    """NFKC, lower case, at most 100,000 characters before and after (NFKC makes eighteen of some)."""
    return unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).lower()[:MAX_CHARACTERS]


def split_words(text: str) -> list[str]:
    """The words of a text, in its order; [] where it has none."""
    found: list[str] = []
    for match in _RUN.finditer(normalise(text)):
        run = match.group()
        if _CJK_START.match(run):
            found.extend(run)
            found.extend(first + second for first, second in pairwise(run))
        else:
            found.append(run.replace("’", "'"))
    return found
