"""Tags of the aesthetic score: what a photo is meant to be, in words that `text_encode` reads.

A tag is a word or a line. A term of the vocabulary is encoded by its first English word, in whatever language
it was written; anything else is encoded as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from nails.language.phrase_tokens import normal_form
from nails.language.phrases import parse_request
from nails.vocabulary import TERM_BY_NAME

MAX_TAGS = 8
"""Tags that the model takes at once."""
TAG_KINDS = ("theme", "pattern", "finish", "part")
"""Kinds of vocabulary terms that are used as aesthetic tags."""
AUTO_KINDS = ("theme", "pattern")
"""Kinds that are tried automatically for a photo without a tag."""


class PhraseLike(Protocol):
    """A phrase of a request; see nails.language.phrases.Phrase."""

    @property
    def kind(self) -> str:
        """Of the vocabulary."""
        ...

    @property
    def name(self) -> str:
        """Of the vocabulary; "" outside it."""
        ...

    @property
    def negated(self) -> bool:
        """Whether the request refuses it."""
        ...


@dataclass(frozen=True)
class KnownTag:
    """A tag of the vocabulary. words: the first English word."""

    kind: str
    name: str
    words: str


AUTO_TAGS: Final[tuple[KnownTag, ...]] = tuple(
    KnownTag(kind, name, term.en[0]) for kind in AUTO_KINDS for name, term in TERM_BY_NAME[kind].items()
)
_WORDS_BY_NAME: Final[dict[str, str]] = {
    name: term.en[0] for kind in reversed(TAG_KINDS) for name, term in TERM_BY_NAME[kind].items()
}


def words_of_tag(tag: str) -> str:
    """The words that encode a tag: the first English word of a vocabulary term, others as written.

    A term is given by its name ("cherry_blossom") or by any of its words, alone ("Wedding", "ウェディング");
    "wedding nails" stays as it is.
    """
    if named := _WORDS_BY_NAME.get(tag.strip().lower()):
        return named
    whole = normal_form(tag).strip()
    for phrase in parse_request(tag).phrases:
        if phrase.text == whole and phrase.kind in TAG_KINDS and phrase.name and not phrase.negated:
            return TERM_BY_NAME[phrase.kind][phrase.name].en[0]
    return tag


def words_of_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The words that encode tags, in their order, without duplicates, at most MAX_TAGS."""
    return tuple(dict.fromkeys(words_of_tag(tag) for tag in tags))[:MAX_TAGS]


def tags_of_request(phrases: Iterable[PhraseLike], mdd: Sequence[str]) -> tuple[str, ...]:
    """The tags of a request, at most MAX_TAGS.

    They are the themes, patterns, finishes and parts that it names and does not refuse, in the order of the
    text; where it names none, the lines of its multi-level description.
    """
    named = [
        TERM_BY_NAME[phrase.kind][phrase.name].en[0]
        for phrase in phrases
        if phrase.kind in TAG_KINDS and phrase.name and not phrase.negated
    ]
    return tuple(dict.fromkeys(named or mdd))[:MAX_TAGS]
