"""A request cut into tokens: longest match against the vocabulary and the words that hold sentences together.

English is matched by whole words, up to five at a time, hyphens and plurals forgiven. Japanese is matched by
characters; what is not in the lexicon becomes a content word if it is written in katakana or ideographs.
One pass, linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from nails.language.phrase_words import (
    AFFIXES_JA,
    CONNECTORS_EN,
    CONNECTORS_JA,
    COUNTS,
    CUES,
    HEADS,
    MODIFIERS,
    Role,
    table_rows,
)
from nails.vocabulary import ATTRIBUTES

_JA = "々〇ぁ-ゖァ-ヺー一-鿿㐀-䶿豈-﫿"
_WORD = re.compile(r"[a-z0-9à-ɏ]+(?:'[a-z]+)?")
_SPLIT = re.compile(rf"(?P<word>[a-z0-9à-ɏ]+(?:'[a-z]+)?)|(?P<ja>[{_JA}]+)|(?P<mark>[^\s])|(?P<line>\n+)")
_KATAKANA = re.compile(r"[ァ-ヺー]")
_KANJI = re.compile(r"[々一-鿿㐀-䶿豈-﫿]")
# Unknown nouns: katakana, ideographs, and one ideograph alone where no verb ending follows it.
_OTHER_JA = re.compile(
    r"[ァ-ヺー]{2,}|[々一-鿿㐀-䶿豈-﫿]{2,}|[一-鿿㐀-䶿豈-﫿](?=[のにをとがはでやも]|[^ぁ-ゖ]|$)"
)
_STOPS, _BREAKS = frozenset(".。!！?？;；"), frozenset(",、，:：()（）「」『』[]/／・")
_LONGEST_EN = 5
MAX_CHARACTERS = 10_000
_SHORT_FINGERS = {"index": "index", "pointer": "index", "middle": "middle", "ring": "ring", "little": "pinky"}
# Kinds of the vocabulary, first come first served where a word is in two of them.
_KIND_ORDER = ("finger", "colour", "part", "pattern", "finish", "theme", "shape", "length")


@dataclass(frozen=True)
class Token:
    """One piece of a request. `text` as written (NFKC); `name` canonical; `kind` for TERM tokens."""

    role: Role
    text: str
    start: int
    name: str = ""
    kind: str = ""
    japanese: bool = False


Entry = tuple[Role, str, str]  # role, kind, name


@cache
def english_lexicon() -> dict[tuple[str, ...], list[Entry]]:
    """Word tuples to what they may mean."""
    lexicon: dict[tuple[str, ...], list[Entry]] = {}

    def put(words: str, entry: Entry) -> None:
        key = tuple(_WORD.findall(words.lower()))
        if key and entry not in lexicon.setdefault(key, []):
            lexicon[key].append(entry)

    for kind in _KIND_ORDER:
        for term in ATTRIBUTES[kind]:
            for word in term.en:
                put(word, (Role.TERM, kind, term.name))
    for kind_field, name_field, english, _ in table_rows(CUES):
        for word in english:
            put(word, (Role.TERM, kind_field[0], name_field[0]))
    for table, role in ((HEADS, Role.HEAD), (COUNTS, Role.COUNT), (MODIFIERS, Role.MODIFIER)):
        for (canonical, *_), english, _ in table_rows(table):
            for word in english:
                put(word, (role, "", canonical))
    for role, words in CONNECTORS_EN.items():
        for word in words.split():
            if role is not Role.FILL or (word,) not in lexicon:
                put(word.replace("_", " "), (role, "", word))
    return lexicon


@cache
def japanese_lexicon() -> dict[str, list[Entry]]:
    """Character strings to what they may mean."""
    lexicon: dict[str, list[Entry]] = {}

    def put(word: str, entry: Entry) -> None:
        if entry not in lexicon.setdefault(word, []):
            lexicon[word].append(entry)

    for kind in _KIND_ORDER:
        for term in ATTRIBUTES[kind]:
            for word in term.ja:
                put(_fold(word), (Role.TERM, kind, term.name))
    for kind_field, name_field, _, japanese in table_rows(CUES):
        for word in japanese:
            put(word, (Role.TERM, kind_field[0], name_field[0]))
    for table, role in ((HEADS, Role.HEAD), (COUNTS, Role.COUNT), (MODIFIERS, Role.MODIFIER)):
        for (canonical, *_), _, japanese in table_rows(table):
            for word in japanese:
                put(word, (role, "", canonical))
    for role, words in CONNECTORS_JA.items():
        for word in words.split():
            put(word, (role, "", word))
    return lexicon


@cache
def _longest_japanese() -> int:
    return max(len(word) for word in japanese_lexicon())


def normal_form(text: str) -> str:
    """NFKC of at most MAX_CHARACTERS characters, and no more of them afterwards (one can become eighteen)."""
    return unicodedata.normalize("NFKC", text[:MAX_CHARACTERS])[:MAX_CHARACTERS]


def _fold(text: str) -> str:
    """NFKC and lower case, with as many characters as NFKC left: positions stay true."""
    normal = normal_form(text)
    return "".join(low if len(low := char.lower()) == 1 else char for char in normal).replace("’", "'")


def tokenize(text: str) -> list[Token]:
    """The tokens of a request in its order. Deterministic; never fails."""
    shown = normal_form(text)
    folded = _fold(text)
    found: list[Token] = []
    words: list[tuple[str, int, int]] = []
    for match in _SPLIT.finditer(folded):
        piece, start = match.group(), match.start()
        if match.lastgroup == "word":
            # A mark between two words (a hyphen apart) ends a run; a space does not.
            words.append((piece, start, match.end()))
            continue
        if piece in "-‐‑–" and words and _hyphenates(folded, match.end()):
            continue
        mixed = _mixed(folded, words, start, match.end()) if match.lastgroup == "ja" else 0
        if mixed:
            _, start, _ = words.pop()
        found.extend(_english(words, shown))
        words = []
        if mixed:
            role, kind, name = _meant(japanese_lexicon()[folded[start:mixed]], before_colour=False)
            found.append(Token(role, shown[start:mixed], start, name, kind, japanese=True))
            start = mixed
        if match.lastgroup == "ja":
            found.extend(_japanese(folded, shown, start, match.end()))
        elif match.lastgroup == "line" or piece in _STOPS:
            found.append(Token(Role.STOP, piece, start))
        elif piece in _BREAKS or piece in "-–—|~":
            found.append(Token(Role.BREAK, piece, start))
        elif piece in "&+×":
            found.append(Token(Role.JOIN, piece, start, "and"))
    found.extend(_english(words, shown))
    return found


def _hyphenates(folded: str, end: int) -> bool:
    return _WORD.match(folded, end) is not None


def _mixed(folded: str, words: list[tuple[str, int, int]], start: int, end: int) -> int:
    """End of a Japanese term that begins with the Latin word before it (3Dフラワー), or 0."""
    if not words or words[-1][2] != start:
        return 0
    begin = words[-1][1]
    for stop in range(min(end, begin + _longest_japanese()), start, -1):
        if folded[begin:stop] in japanese_lexicon():
            return stop
    return 0


def _english(words: list[tuple[str, int, int]], shown: str) -> Iterator[Token]:
    lexicon = english_lexicon()
    index = 0
    while index < len(words):
        length, entries = _longest_english(words, index, lexicon)
        start, end = words[index][1], words[index + max(length, 1) - 1][2]
        text = shown[start:end]
        if finger := _short_finger(words, index):
            yield Token(Role.TERM, text, start, finger, "finger")
            index += 1
            continue
        if not entries:
            yield Token(Role.OTHER, text, start, words[index][0])
            index += 1
            continue
        index += length
        role, kind, name = _meant(entries, _next_is_colour(words, index, lexicon))
        yield Token(role, text, start, name, kind)


def _longest_english(
    words: list[tuple[str, int, int]], index: int, lexicon: dict[tuple[str, ...], list[Entry]]
) -> tuple[int, list[Entry]]:
    for length in range(min(_LONGEST_EN, len(words) - index), 0, -1):
        key = tuple(word for word, _, _ in words[index : index + length])
        for last in _singulars(key[-1]):
            if entries := lexicon.get((*key[:-1], last)):
                return length, entries
    return 0, []


def _singulars(word: str) -> list[str]:
    forms = [word, word.removesuffix("'s")]
    if len(word) > 3 and word.endswith("s"):
        forms.append(word[:-1])
        if word.endswith("es"):
            forms.append(word[:-2])
    return forms


def _short_finger(words: list[tuple[str, int, int]], index: int) -> str:
    """ "ring" in "ring and middle fingers": a finger only where the word finger closes the list."""
    finger = _SHORT_FINGERS.get(words[index][0], "")
    after = [word for word, _, _ in words[index + 1 : index + 6]]
    if not finger or not after or after[0] not in ("and", "or"):
        return ""
    for word in after:
        if word in ("finger", "fingers"):
            return finger
        if word not in _SHORT_FINGERS and word not in ("and", "or"):
            return ""
    return ""


def _next_is_colour(
    words: list[tuple[str, int, int]], index: int, lexicon: dict[tuple[str, ...], list[Entry]]
) -> bool:
    if index >= len(words):
        return False
    _, entries = _longest_english(words, index, lexicon)
    return any(entry[1] == "colour" for entry in entries)


def _meant(entries: list[Entry], before_colour: bool) -> Entry:
    """Of a word's meanings: before a colour it modifies ("dark plum"), else the vocabulary's comes first."""
    if before_colour:
        for entry in entries:
            if entry[0] is Role.MODIFIER:
                return entry
    return next((entry for entry in entries if entry[0] is Role.TERM), entries[0])


def _japanese(folded: str, shown: str, start: int, end: int) -> Iterator[Token]:
    lexicon = japanese_lexicon()
    position, known_until = start, start
    while position < end:
        length, entries = _match_japanese(folded, position, end, known_until, lexicon)
        if not entries:
            position += 1
            continue
        if position > known_until:
            yield from _others(shown, known_until, position)
        after = position + length
        following = _match_japanese(folded, after, end, after, lexicon)[1]
        role, kind, name = _meant(entries, any(entry[1] == "colour" for entry in following))
        yield Token(role, shown[position:after], position, name, kind, japanese=True)
        position = known_until = after
    yield from _others(shown, known_until, end)


def _match_japanese(
    folded: str, position: int, end: int, known_until: int, lexicon: dict[str, list[Entry]]
) -> tuple[int, list[Entry]]:
    for length in range(min(_longest_japanese(), end - position), 0, -1):
        entries = lexicon.get(folded[position : position + length])
        if entries and _stands_alone(folded, position, position + length, end, known_until):
            return length, entries
    return 0, []


def _stands_alone(folded: str, start: int, stop: int, end: int, known_until: int) -> bool:
    """Whether a match is a word and not a piece of an unknown one (白 in 面白い, スター in マスター)."""
    first = folded[start]
    unknown_before = start > known_until
    if _KATAKANA.match(first) and unknown_before and _KATAKANA.match(folded[start - 1]) and stop - start <= 3:
        return False
    if _KANJI.match(first):
        if stop - start > 1 and _KANJI.match(folded[start + 1]):
            return True
        before_ok = not (unknown_before and _KANJI.match(folded[start - 1]))
        if stop - start > 1:
            return before_ok
        after = folded[stop] if stop < end else ""
        after_ok = not (after and _KANJI.match(after)) or after in AFFIXES_JA or _begins_word(folded, stop)
        return before_ok and after_ok
    # A particle of one character after an unknown hiragana would cut unknown words into pieces.
    return stop - start > 1 or not (unknown_before and _is_hiragana(folded[start - 1]))


def _begins_word(folded: str, position: int) -> bool:
    lexicon = japanese_lexicon()
    return any(folded[position : position + length] in lexicon for length in range(6, 1, -1))


def _is_hiragana(char: str) -> bool:
    return "ぁ" <= char <= "ゖ"


def _others(shown: str, start: int, end: int) -> Iterator[Token]:
    for match in _OTHER_JA.finditer(shown, start, end):
        yield Token(Role.OTHER, match.group(), match.start(), match.group(), japanese=True)
