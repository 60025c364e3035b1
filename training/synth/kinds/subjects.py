"""What a photo of each kind shows: design, split, artist, care, and the facts that only this kind knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from training.synth.design.binding import bound
from training.synth.design.designs import Design, sample_design
from training.synth.holdout import split_of
from training.synth.kinds import aesthetics, attributes
from training.synth.kinds.artists import ARTISTS, Artist, artist_design, artist_of
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
    asked: attributes.Asked | None = None
    more: dict[str, Any] | None = None

    def facts(self, record: dict[str, Any]) -> dict[str, Any]:
        """What only this kind knows, given the record as it is so far."""
        own = dict(self.more or {})
        if self.asked is not None:
            own |= attributes.facts(self.asked, record)
        return own


def design_split(seed: int) -> str:
    """The split of the photo `seed` of kind designs: its own, or its family's."""
    family = bound(seed)
    return split_of(seed) if family is None else family.split


def subject_of(
    rng: np.random.Generator, seed: int, kind: str, artists: int = ARTISTS, bare_share: float = 0.0
) -> Subject:
    """The subject of the photo `seed` of a kind. `bare_share`: of sets without paint, where the kind draws
    designs freely."""
    split = split_of(seed)
    if kind == "artists":
        who = artist_of(seed, artists)
        return Subject(artist_design(rng, who), split, who=who, more={"school": who.school})
    if kind == "attributes":
        asked = attributes.asked(seed)
        return Subject(asked.design, asked.split, like=asked.like, scene=asked.group, asked=asked)
    if kind == "contexts":
        wanted = stories.wanted(seed)
        return Subject(wanted.design, wanted.split, more=stories.facts(wanted))
    if kind == "aesthetics":
        judged = aesthetics.judged(rng, allow_held_out=split == "test")
        return Subject(judged.design, split, craft=judged.craft, more=aesthetics.facts(judged))
    family = bound(seed) if kind == "designs" else None
    if family is not None:
        binding = {"family": family.family, "case": family.case, "member": family.member}
        return Subject(family.design, family.split, more={"binding": binding})
    return Subject(sample_design(rng, bare_share, allow_held_out=split == "test"), split)
