"""Tokens of a request bound into groups: one noun phrase each, with its colours, place and refusal.

Adjectives (colours, shapes, sizes) wait for the noun that follows them; a noun followed by another noun is a
compound ("gold foil accents"); an adjective after a noun begins another phrase. Connectors end a phrase, but
for those that carry a description back to its noun: "tips in white", 「ベースはピンク」. A finger is a place,
of the phrase before it ("a pearl on the ring finger") or of those after it (「薬指にだけ花」).
"""

from __future__ import annotations

from collections.abc import Sequence

from nails.language.noun_phrase import Group, is_noun, is_shade
from nails.language.phrase_tokens import Token
from nails.language.phrase_words import Role

_CONTENT = frozenset({Role.TERM, Role.MODIFIER, Role.COUNT, Role.HEAD, Role.OTHER})
_MAX_ITEMS = 12  # no noun phrase is longer; keeps hostile texts linear


def group_tokens(found: Sequence[Token]) -> list[Group]:
    """The noun phrases of a request, in its order; empty ones left out."""
    builder = _Builder(found)
    for index in range(len(found)):
        builder.take(index)
    builder.end_clause()
    return [group for group in builder.groups if group.items or group.places]


class _Builder:
    """Walks over the tokens once, holding the phrase that is being read."""

    def __init__(self, found: Sequence[Token]) -> None:
        self.found = found
        self.groups: list[Group] = []
        self.open = Group()
        self.clause = 0
        self.places: list[Token] = []  # of the phrases to come
        self.places_used = False
        self.negating = False
        self.post = False  # what follows still describes the open phrase
        self.join = False
        self.attribute = False
        self.place_next = False

    def take(self, index: int) -> None:
        """Read one token."""
        token = self.found[index]
        if token.kind == "finger":
            self._finger(token)
        elif token.role in _CONTENT:
            self._content(token)
        elif token.role in (Role.JOIN, Role.POST, Role.ATTRIBUTE):
            self._connect(token.role)
        elif token.role is Role.GRADIENT:
            self._gradient(index)
        elif token.role is Role.LINK and self._finish_follows(index):
            self.attribute = bool(self.open.items)
        elif token.role in (Role.LINK, Role.PLACE, Role.NOT_BEFORE):
            self._close()
            self.place_next = token.role is Role.PLACE
            self.negating = self.negating or token.role is Role.NOT_BEFORE
        elif token.role is Role.NOT_AFTER:
            self._not_after()
        elif token.role is Role.BREAK:
            self._break(index)
        elif token.role in (Role.BUT, Role.STOP):
            self.end_clause()

    def end_clause(self) -> None:
        """A comma, a full stop: places and refusals end here."""
        self._close()
        if self.places and not self.places_used:
            before = next((group for group in reversed(self.groups) if group.clause == self.clause), None)
            if before is not None:
                before.places += self.places
            else:
                self.groups.append(Group(places=self.places, clause=self.clause, negated=self.negating))
        self.clause += 1
        self.places, self.places_used = [], False
        self.negating = self.join = self.place_next = False

    def _close(self) -> None:
        if self.open.items:
            self.groups.append(self.open)
        self.open = Group()
        self.post = self.attribute = self.join = False

    def _content(self, token: Token) -> None:
        if self.open.items and self._begins_another(token):
            joined = self.join
            self._close()
            self.open.joined = joined
        if not self.open.items:
            self.open.clause, self.open.negated = self.clause, self.negating
            self.open.joined = self.open.joined or self.join
            self.open.upon = self.place_next and bool(self.groups) and self.groups[-1].clause == self.clause
            if self.places and not self.place_next:
                self.open.places = list(self.places)
                self.places_used = True
        self.open.items.append(token)
        self.join = self.attribute = self.place_next = False

    def _begins_another(self, token: Token) -> bool:
        if len(self.open.items) >= _MAX_ITEMS:
            return True
        if self.post and self.join:
            # "the tips are pink and white", but "the tips are pink and the base ..."
            return not is_shade(token)
        if self.attribute or self.post:
            return False
        has_noun = any(is_noun(item) for item in self.open.items)
        if self.join:
            # "pink and white french" is one phrase; "pink and glitter", "french and glitter" are two.
            return has_noun or not (is_shade(token) and is_shade(self.open.items[-1]))
        return has_noun and not is_noun(token)

    def _finger(self, token: Token) -> None:
        japanese_after_noun = token.japanese and not self.attribute
        if self.open.items and not self.place_next and not japanese_after_noun:
            # "glitter ring finger"
            self.open.places.append(token)
            self._close()
        elif self.place_next and self.groups and self.groups[-1].clause == self.clause:
            self._close()
            for group in reversed(self.groups):
                group.places.append(token)
                if not group.upon:
                    break
        else:
            self._close()
            if self.places_used:
                self.places, self.places_used = [], False
            self.places.append(token)
            # "ring and middle fingers": the place stays open for the next finger.
            return

    def _connect(self, role: Role) -> None:
        """Words that tie what follows to what is open."""
        if role is Role.JOIN:
            last_clause = self.groups[-1].clause if self.groups else -1
            self.join = bool(self.open.items) or last_clause == self.clause
        elif role is Role.ATTRIBUTE:
            self.attribute = bool(self.open.items) or self.attribute
        elif any(is_noun(item) for item in self.open.items):
            self.post = True

    def _finish_follows(self, index: int) -> bool:
        """ "with a matte finish" describes what stands before it."""
        ahead = [
            token for token in self.found[index + 1 : index + 5] if token.text.lower() not in ("a", "an")
        ]
        return len(ahead) > 1 and ahead[0].kind == "finish" and ahead[1].text.lower() == "finish"

    def _gradient(self, index: int) -> None:
        """One colour to another, where colours stand on both sides."""
        ahead = [token for token in self.found[index + 1 : index + 6] if token.role is not Role.FILL]
        colour_follows = False
        for token in ahead:
            if token.kind == "colour":
                colour_follows = True
                break
            if token.role not in (Role.MODIFIER, Role.ATTRIBUTE) and token.name != "ombre":
                break
        if self.open.gradient or (colour_follows and self.open.colours):
            self.open.gradient = True
            self.post = True
        else:
            self._close()

    def _not_after(self) -> None:
        """なし, -free: the phrase before, and those joined to it."""
        self._close()
        for group in reversed(self.groups):
            if group.clause != self.clause:
                break
            group.negated = True
            if not group.joined:
                break

    def _break(self, index: int) -> None:
        """A comma ends a clause, unless it stands in a list that a refusal governs ("no a, b or c")."""
        if self.negating and self._list_goes_on(index):
            self._close()
            return
        if self._places_wait(index):
            return
        if self._shades_go_on(index):
            self.join = True
            return
        self.end_clause()

    def _places_wait(self, index: int) -> bool:
        """「薬指、中指に花」: a comma between fingers."""
        following = self.found[index + 1] if index + 1 < len(self.found) else None
        return bool(
            self.places and not self.places_used and following is not None and following.kind == "finger"
        )

    def _shades_go_on(self, index: int) -> bool:
        """ "black, navy and grey daisies": a comma between colours of one noun."""
        if not self.open.items or not is_shade(self.open.items[-1]):
            return False
        if any(is_noun(item) for item in self.open.items) and not self.post:
            return False
        joined = False
        for token in self.found[index + 1 : index + 12]:
            if token.role is Role.JOIN:
                joined = True
            elif not (is_shade(token) or (token.role is Role.BREAK and not joined)):
                return joined and is_noun(token)
        return False

    def _list_goes_on(self, index: int) -> bool:
        for token in self.found[index + 1 : index + 12]:
            if token.role is Role.JOIN and token.name in ("or", "nor"):
                return True
            if token.role not in (Role.TERM, Role.MODIFIER, Role.HEAD, Role.OTHER, Role.BREAK, Role.FILL):
                return False
        return False
