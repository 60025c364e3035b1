"""What an image of each kind shows: design, split, artist, care, and what only this kind records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from training.synth.design.binding import find_family_member
from training.synth.design.designs import Design, sample_design
from training.synth.holdout import assign_split
from training.synth.kinds import aesthetics, attributes
from training.synth.kinds.artists import ARTISTS, Artist, artist_design, assign_artist
from training.synth.nail.craft import Craft
from training.synth.text import stories

Kind = Literal["designs", "segmentation", "artists", "attributes", "contexts", "aesthetics"]
KINDS: tuple[str, ...] = get_args(Kind)
# Photos of some kinds belong together: a run must have a multiple of this many.
GROUPS = {"attributes": attributes.PAIR, "contexts": stories.GROUP}


@dataclass(frozen=True)
class Subject:
    """What is to be photographed. `like`: the design for which the hand is placed, where photos share a hand;
    `scene`: the seed of hand, light and background, where it is not the photo's own; `more`: what the kind
    adds to the record."""

    design: Design
    split: str
    who: Artist | None = None
    craft: Craft | None = None
    like: Design | None = None
    scene: int | None = None
    pair_member: attributes.PairMember | None = None
    more: dict[str, Any] | None = None

    def facts(self, record: dict[str, Any]) -> dict[str, Any]:
        """What only this kind knows, given the record as it is so far."""
        own = dict(self.more or {})
        if self.pair_member is not None:
            own |= attributes.facts(self.pair_member, record)
        return own


def design_split(seed: int) -> str:
    """The split of the photo `seed` of kind designs: its own, or its family's."""
    family = find_family_member(seed)
    return assign_split(seed) if family is None else family.split


def choose_subject(
    rng: np.random.Generator, seed: int, kind: str, artists: int = ARTISTS, bare_share: float = 0.0
) -> Subject:
    """The subject of the photo `seed` of a kind. `bare_share`: of sets without paint, where the kind samples
    designs freely."""
    split = assign_split(seed)
    if kind == "artists":
        who = assign_artist(seed, artists)
        return Subject(artist_design(rng, who), split, who=who, more={"school": who.school})
    if kind == "attributes":
        member = attributes.make_pair_member(seed)
        return Subject(member.design, member.split, like=member.like, scene=member.group, pair_member=member)
    if kind == "contexts":
        wanted = stories.plan_story_photo(seed)
        return Subject(wanted.design, wanted.split, more=stories.facts(wanted))
    if kind == "aesthetics":
        rated = aesthetics.sample_rated_design(rng, allow_held_out=split == "test")
        return Subject(rated.design, split, craft=rated.craft, more=aesthetics.facts(rated))
    family = find_family_member(seed) if kind == "designs" else None
    if family is not None:
        binding = {"family": family.family, "case": family.case, "member": family.member}
        return Subject(family.design, family.split, more={"binding": binding})
    return Subject(sample_design(rng, bare_share, allow_held_out=split == "test"), split)
