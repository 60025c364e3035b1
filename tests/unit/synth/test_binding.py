"""Families of designs: the same colours and words, bound in four ways."""

from __future__ import annotations

import numpy as np

from training.synth.design.binding import CASES, FAMILY, FamilyMember, find_family_member
from training.synth.design.designs import Look, holds_out
from training.synth.facts import satisfies
from training.synth.kinds.subjects import choose_subject
from training.synth.scene.record import design_attributes
from training.synth.text.texts import write_texts


def families(count: int) -> list[list[FamilyMember]]:
    found = []
    for group in range(4000):
        members = [find_family_member(FAMILY * group + member) for member in range(FAMILY)]
        whole = [member for member in members if member is not None]
        assert len(whole) in (0, FAMILY)
        if whole:
            found.append(whole)
        if len(found) == count:
            break
    return found


def colours(looks: tuple[Look, ...]) -> set[str]:
    return {name for look in looks for name in (look.colour, *look.accents, look.part_colour) if name}


def test_one_photo_in_eight_belongs_to_a_family() -> None:
    share = np.mean([find_family_member(seed) is not None for seed in range(0, 16000, FAMILY)])
    assert 0.1 < share < 0.15


def test_families_fall_into_every_split() -> None:
    """The hash that picks families must say nothing of the one that picks splits."""
    for first in (0, 102_500_000):
        chosen = [find_family_member(FAMILY * group) for group in range(first, first + 4000)]
        splits = [family.split for family in chosen if family is not None]
        shares = {split: splits.count(split) / len(splits) for split in ("train", "val", "test")}
        assert 0.7 < shares["train"] < 0.9 and min(shares["val"], shares["test"]) > 0.05


def test_all_four_show_the_same_two_colours_and_differ() -> None:
    cases = set()
    for family in families(60):
        assert len({repr(member.design) for member in family}) == FAMILY
        assert len({frozenset(colours(member.design.looks)) for member in family}) == 1
        assert len(colours(family[0].design.looks)) == 2
        assert len({(m.design.shape, m.design.length, m.family, m.case, m.split) for m in family}) == 1
        assert [member.member for member in family] == list(range(FAMILY))
        cases.add(family[0].case)
    assert cases == set(CASES)


def test_no_member_fulfils_the_dense_request_for_another() -> None:
    wrong = total = 0
    for number, family in enumerate(families(30)):
        for member in family:
            written = write_texts(np.random.default_rng(number), member.design, member.split)
            dense = next(t for t in written["texts"] if (t["level"], t["lang"]) == ("dense", "en"))
            assert satisfies(design_attributes(member.design), dense["claims"])
            others = [other for other in family if other is not member]
            wrong += sum(satisfies(design_attributes(other.design), dense["claims"]) for other in others)
            total += len(others)
    assert wrong / total < 0.02


def test_training_families_hold_no_pair_that_is_held_out() -> None:
    for family in families(80):
        assert family[0].split == "test" or not any(holds_out(member.design) for member in family)


def test_a_photo_of_the_kind_designs_says_to_which_family_it_belongs() -> None:
    seed = next(seed for seed in range(2000) if find_family_member(seed))
    found = find_family_member(seed)
    assert found is not None
    subject = choose_subject(np.random.default_rng(1), seed, "designs")
    assert subject.design == found.design
    assert subject.facts({})["binding"] == {
        "family": found.family,
        "case": found.case,
        "member": found.member,
    }
    assert choose_subject(np.random.default_rng(1), seed, "segmentation").more is None
