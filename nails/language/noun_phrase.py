"""One noun phrase of a request: its terms, its place, whether it is refused, and its canonical wording."""

from __future__ import annotations

from dataclasses import dataclass, field

from nails.language.phrase_tokens import Token
from nails.language.phrase_words import Role
from nails.vocabulary import TERM_BY_NAME

_NOUN_KINDS = frozenset({"pattern", "part"})
_SHADES = frozenset({"pastel", "neon", "dusty", "milky", "sheer"})  # "pastel nails"
_ORDER = ("theme", "length", "shape", "colour", "finish", "pattern", "part")


@dataclass(eq=False)
class Group:
    """One noun phrase of a request, while it is built."""

    items: list[Token] = field(default_factory=list)
    places: list[Token] = field(default_factory=list)
    negated: bool = False
    gradient: bool = False
    joined: bool = False  # to the group before it, by "and", "or", や
    upon: bool = False  # the group before it lies on it: "waves on nude"
    clause: int = 0

    def select_terms(self, kind: str) -> list[Token]:
        """Its tokens that are vocabulary terms of one kind."""
        return [token for token in self.items if token.role is Role.TERM and token.kind == kind]

    @property
    def colours(self) -> list[tuple[Token, list[Token]]]:
        """Its colours, each with the modifiers that stand before it."""
        found: list[tuple[Token, list[Token]]] = []
        waiting: list[Token] = []
        for token in self.items:
            if token.role is Role.MODIFIER:
                waiting.append(token)
            else:
                if token.kind == "colour":
                    found.append((token, waiting))
                waiting = []
        return found

    @property
    def content(self) -> list[Token]:
        """Terms (and "sheer", which is a finish), unknown words and places: what phrases are made of."""
        roles = (Role.TERM, Role.OTHER)
        return [*self.places, *(one for one in self.items if one.role in roles or one.name == "sheer")]

    @property
    def has_content(self) -> bool:
        """Whether anything but fillers, sizes and the word "nails" is in it."""
        names = {token.name for token in self.items if token.role in (Role.HEAD, Role.MODIFIER)}
        heads = any(token.role is Role.HEAD for token in self.items)
        return (
            any(token.role in (Role.TERM, Role.OTHER) for token in self.items)
            or (heads and (bool(self.places) or not names.isdisjoint(_SHADES)))
            or not names.isdisjoint(("negative space", "bare nails"))
        )

    @property
    def level(self) -> str:
        """ "part" for parts, pieces of the nail and single fingers, "pattern", or "whole"."""
        if self.places or self.select_terms("part"):
            return "part"
        if self.select_terms("pattern") or self.gradient:
            return "pattern"
        heads = {token.name for token in self.items if token.role is Role.HEAD}
        if not heads and any(token.name == "glitter" for token in self.items):
            return "pattern"
        if any(token.role is Role.OTHER for token in self.items) or heads & {"line", "tips", "accent"}:
            return "part"
        return "whole"

    def colour_words(self) -> str:
        """ "deep plum to wine", "milky pink and white"."""
        words = []
        for token, modifiers in self.colours:
            shades = [modifier.name for modifier in modifiers]
            words.append(" ".join([*shades, TERM_BY_NAME["colour"][token.name].en[0]]))
        return (" to " if self.gradient else " and ").join(dict.fromkeys(words))

    def loose_shades(self) -> list[str]:
        """Shades without a colour: "pastel nails"."""
        return (
            [] if self.colours else [one.name for one in self.items if one.name in _SHADES and not one.kind]
        )

    def canonical(self) -> str:
        """The phrase in canonical English: "one pearl on ring finger", "thin gold french line"."""
        shades = {id(modifier) for _, modifiers in self.colours for modifier in modifiers}
        sizes = [
            token.name
            for token in self.items
            if token.role in (Role.COUNT, Role.MODIFIER) and id(token) not in shades
        ]
        words = list(dict.fromkeys(sizes))
        for kind in _ORDER:
            if kind == "colour":
                if self.colours:
                    words.append(self.colour_words())
            else:
                words += dict.fromkeys(_shown(token, "one" in sizes) for token in self.select_terms(kind))
        if self.gradient and not any(token.name == "ombre" for token in self.select_terms("pattern")):
            words.append("ombre")
        words += [token.name for token in self.items if token.role is Role.OTHER]
        words += dict.fromkeys(token.name for token in self.items if token.role is Role.HEAD)
        phrase = " ".join(words)
        if self.places:
            fingers = dict.fromkeys(TERM_BY_NAME["finger"][place.name].en[0] for place in self.places)
            phrase += " on " + " and ".join(fingers)
        return phrase.strip()


def _shown(token: Token, single: bool) -> str:
    """A term in canonical English; its singular, where it has one, after "one"."""
    words = TERM_BY_NAME[token.kind][token.name].en
    singular = words[0].removesuffix("s")
    return singular if single and singular in words else words[0]


def is_noun(token: Token) -> bool:
    """Whether a token can carry adjectives: patterns, parts, glitter, heads and unknown words."""
    if token.role in (Role.HEAD, Role.OTHER):
        return True
    if token.role is not Role.TERM or token.name == "plain":  # "plain pink" is an adjective's work
        return False
    return token.kind in _NOUN_KINDS or token.name == "glitter"


def is_shade(token: Token) -> bool:
    """Whether a token is a colour or a modifier."""
    return token.role is Role.MODIFIER or token.kind == "colour"
