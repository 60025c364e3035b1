"""Attributes: sampled evenly and by themselves; pairs that differ in exactly one; lists in ASEN's form."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest

from nails.vocabulary import ATTRIBUTES
from training.synth import generate
from training.synth.design.binding import difference
from training.synth.design.designs import Design
from training.synth.kinds.attributes import VALUES, PairMember, facts, lists, make_pair_member

FIRSTS = range(0, 2000, 2)  # the first photos of pairs
FULL = {"size": [100, 100], "nails": [{"finger": f, "area": 900} for f in ("index", "middle", "ring")]}


@pytest.fixture(scope="module")
def subjects() -> list[PairMember]:
    return [make_pair_member(seed) for seed in FIRSTS]


def shown(design: Design) -> dict[str, str]:
    """The attributes of a design, read from its looks."""
    main = design.main
    return {
        "shape": design.shape,
        "length": design.length,
        "colour": main.colour,
        "finish": main.finish,
        "pattern": main.pattern,
        "part": main.part or "none",
        "arrangement": design.arrangement,
    }


def test_a_design_has_the_values_that_its_record_states() -> None:
    for seed in range(200):
        subject = make_pair_member(seed)
        assert shown(subject.design) == subject.values


@pytest.mark.parametrize("name", VALUES)
def test_every_value_occurs_about_equally_often(name: str, subjects: list[PairMember]) -> None:
    values = [subject.values[name] for subject in subjects]
    counts = np.array([values.count(value) for value in VALUES[name]])
    mean = len(values) / len(counts)
    assert counts.min() > mean - 4.5 * np.sqrt(mean)
    assert counts.max() < mean + 4.5 * np.sqrt(mean)


@pytest.mark.parametrize(
    ("one", "other"), list(combinations(["shape", "length", "finish", "arrangement"], 2))
)
def test_attributes_say_nothing_of_each_other(one: str, other: str, subjects: list[PairMember]) -> None:
    table = np.zeros((len(VALUES[one]), len(VALUES[other])))
    for values in (subject.values for subject in subjects):
        table[VALUES[one].index(values[one]), VALUES[other].index(values[other])] += 1
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    chi2 = float(((table - expected) ** 2 / expected).sum())
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    assert chi2 < freedom + 4.5 * np.sqrt(2 * freedom)


def test_values_are_those_of_the_vocabulary() -> None:
    for name in ("shape", "length", "finish", "pattern"):
        assert set(VALUES[name]) == {term.name for term in ATTRIBUTES[name]}
    assert set(VALUES["part"]) - {"none"} == {term.name for term in ATTRIBUTES["part"]}


def test_a_pair_differs_in_exactly_the_attribute_that_it_names() -> None:
    seen = set()
    for seed in range(0, 240, 2):
        first, second = make_pair_member(seed), make_pair_member(seed + 1)
        differing = {name for name in VALUES if first.values[name] != second.values[name]}
        assert differing == {second.changed}
        assert first.changed == ""
        assert (second.split, second.role) == (first.split, first.role)
        assert second.like == first.design
        seen |= differing
    assert seen == set(VALUES)


def test_a_pair_shows_one_hand_in_one_place() -> None:
    for seed in (0, 6, 10):
        first, second = generate(seed, "attributes", 128), generate(seed + 1, "attributes", 128)
        assert [h["joints"] for h in first.record["hands"]] == [
            [[x, y, pytest.approx(v, abs=2)] for x, y, v in hand["joints"]] for hand in second.record["hands"]
        ]
        assert first.record["tone"] == second.record["tone"]
        changed = np.abs(first.image.astype(int) - second.image).max(axis=2) > 60
        assert changed.mean() < 0.25


def test_colours_of_accents_and_patterns_are_told_apart_from_the_base(subjects: list[PairMember]) -> None:
    for subject in subjects[:200]:
        for look in subject.design.looks:
            for name in look.accents:
                assert difference(look.colour, name) > 20


def test_splits_are_eight_to_one_to_one_and_queries_one_in_five(subjects: list[PairMember]) -> None:
    splits = [subject.split for subject in subjects]
    assert 0.75 < splits.count("train") / len(splits) < 0.85
    roles = [subject.role for subject in subjects if subject.split != "train"]
    assert set(roles) == {"query", "candidate"}
    assert 0.11 < roles.count("query") / len(roles) < 0.29


def test_attributes_that_the_nails_in_view_do_not_show_are_not_asked_for() -> None:
    subject = next(s for s in map(make_pair_member, range(200)) if s.values["arrangement"] == "accent")
    accent = subject.design.accent_fingers
    everything = facts(
        subject, FULL | {"nails": [{"finger": f, "area": 900} for f in ("thumb", "index", *accent)]}
    )
    assert set(everything["values"]) == set(VALUES)
    only = facts(subject, FULL | {"nails": [{"finger": f, "area": 900} for f in accent]})
    assert not {"colour", "arrangement"} & set(only["values"])
    assert facts(subject, FULL | {"nails": []})["values"] == {}
    tiny = facts(subject, FULL | {"size": [4000, 4000]})
    assert not {"pattern", "part"} & set(tiny["values"])
    every = next(s for s in map(make_pair_member, range(200)) if s.values["arrangement"] == "every")
    assert "colour" not in facts(every, FULL)["values"]


def test_lists_name_every_value_once_in_its_split_and_role() -> None:
    records = [{"id": f"{seed:06d}", **facts(make_pair_member(seed), FULL)} for seed in range(300)]
    files = lists(records)
    names = json.loads(files["attributes.json"])
    assert list(names) == list(VALUES)
    rows = 0
    for record in records:
        name = "train" if record["split"] == "train" else f"{record['role']}_{record['split']}"
        own = [row.split() for row in files[f"{name}.txt"].splitlines() if row.startswith(record["id"])]
        found = {list(names)[int(a)]: names[list(names)[int(a)]][int(v)] for _, a, v in own}
        assert found == record["values"]
        rows += len(own)
    assert rows == sum(files[f"{n}.txt"].count("\n") for n in files_of_rows(files))
    by_id = {record["id"]: record for record in records}
    for row in files["pairs.txt"].splitlines():
        one, other, attribute = row.split()
        name = list(VALUES)[int(attribute)]
        assert by_id[one]["values"][name] != by_id[other]["values"][name]
    assert files["pairs.txt"].count("\n") > 90


def files_of_rows(files: dict[str, str]) -> list[str]:
    return [name.removesuffix(".txt") for name in files if name.endswith(".txt") and name != "pairs.txt"]
