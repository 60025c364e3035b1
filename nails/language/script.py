"""The script that a text is written in, and the language as far as the script determines it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

_READ = 2_000  # letters: more would not change the answer
# The first word of a letter's Unicode name, and the ISO 15924 code of the script.
_SCRIPTS = {
    "ARABIC": "Arab",
    "ARMENIAN": "Armn",
    "BENGALI": "Beng",
    "BOPOMOFO": "Bopo",
    "CJK": "Hani",
    "CYRILLIC": "Cyrl",
    "DEVANAGARI": "Deva",
    "ETHIOPIC": "Ethi",
    "GEORGIAN": "Geor",
    "GREEK": "Grek",
    "HANGUL": "Hang",
    "HEBREW": "Hebr",
    "HIRAGANA": "Kana",
    "KATAKANA": "Kana",
    "KATAKANA-HIRAGANA": "Kana",
    "KHMER": "Khmr",
    "LAO": "Laoo",
    "LATIN": "Latn",
    "MYANMAR": "Mymr",
    "SINHALA": "Sinh",
    "TAMIL": "Taml",
    "TELUGU": "Telu",
    "THAI": "Thai",
    "TIBETAN": "Tibt",
}


def language_tag(text: str) -> str:
    """A BCP 47 tag: "ja" where there is kana, "ko" for hangul, else "und-" and the script of most letters.

    "und" for a text without letters, and for scripts that are not in the table. A quarter of the letters in
    kana or hangul are enough: texts in these languages are full of Latin names.
    """
    letters = [letter for letter in unicodedata.normalize("NFKC", text[:_READ]) if letter.isalpha()]
    counts = Counter(_script(letter) for letter in letters)
    if not counts:
        return "und"
    for script, language in (("Kana", "ja"), ("Hang", "ko")):
        if 4 * counts[script] >= len(letters):
            return language
    most = max(sorted(counts), key=lambda script: counts[script])
    return f"und-{most}" if most else "und"


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    return _SCRIPTS.get(unicodedata.name(letter, "").split(" ")[0], "")
