"""Tags of the aesthetic score: what a photo is meant to be, in words that `text_encode` reads.

A tag is a word or a line. What the vocabulary knows is said in its first English word, whatever the language
it was asked in; anything else stands as it was written.
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
"""Kinds of the vocabulary that a photo can be beautiful as."""
AUTO_KINDS = ("theme", "pattern")
"""Kinds that a photo is looked through for when it comes without a tag."""


class Said(Protocol):
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
    """What is read for a tag: the first English word of what the vocabulary knows, others as written.

    Known is a name ("cherry_blossom"), or what as a whole is a word for one of TAG_KINDS as `parse` reads it
    ("Wedding", "ウェディング"); "wedding nails" stands as it is.
    """
    if named := _WORDS_BY_NAME.get(tag.strip().lower()):
        return named
    whole = normal_form(tag).strip()
    for phrase in parse_request(tag).phrases:
        if phrase.text == whole and phrase.kind in TAG_KINDS and phrase.name and not phrase.negated:
            return TERM_BY_NAME[phrase.kind][phrase.name].en[0]
    return tag


def words_of_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """What is read for tags, in their order, each once however it was said, at most MAX_TAGS."""
    return tuple(dict.fromkeys(words_of_tag(tag) for tag in tags))[:MAX_TAGS]


def tags_of_request(phrases: Iterable[Said], mdd: Sequence[str]) -> tuple[str, ...]:
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
