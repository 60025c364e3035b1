"""Kinds: each has its own subjects, and its images show what they are about."""

from __future__ import annotations

import numpy as np
import pytest

from training.synth import generate
from training.synth.kinds.subjects import GROUPS, KINDS, choose_subject
from training.synth.run.writer import photo_seed
from training.synth.scene.record import is_visible

OWN = {
    "designs": set(),
    "artists": {"artist", "school"},
    "attributes": {"role", "values", "pair"},
    "contexts": {"group", "member", "stories"},
    "aesthetics": {"aesthetics"},
}  # fmt: skip


@pytest.mark.parametrize("kind", OWN)
def test_a_record_has_texts_a_palette_and_what_its_kind_knows(kind: str) -> None:
    record = generate(3, kind, 96).record
    assert {"texts", "title", "tags", "palette", "split", "attributes", "seen"} <= set(record)
    others = {key for name, keys in OWN.items() if name != kind for key in keys}
    assert OWN[kind] <= set(record)
    assert not others & set(record)


@pytest.mark.parametrize("kind", ["designs", "contexts"])
def test_nearly_every_photo_shows_its_design_and_all_say_how_much_of_it(kind: str) -> None:
    good = []
    for seed in range(12):
        record = generate(seed, kind, 80).record
        accent = record["attributes"].get("accent_fingers", [])
        seen = sum(nail["finger"] in accent for nail in record["nails"])
        assert record["seen"] == {"main": len(record["nails"]) - seen, "accent": seen}
        good.append(is_visible(record))
    assert np.mean(good) > 0.9


@pytest.mark.parametrize(
    ("main", "accent", "two", "good"),
    [(2, 0, False, True), (1, 0, False, False), (4, 0, True, False), (0, 3, True, False), (1, 1, True, True)],
)
def test_a_design_shows_when_both_its_looks_do(main: int, accent: int, two: bool, good: bool) -> None:
    attributes = {"accent": {"colour": "red"}} if two else {}
    assert is_visible({"seen": {"main": main, "accent": accent}, "attributes": attributes}) == good


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_one_subject(kind: str) -> None:
    first, second = (choose_subject(np.random.default_rng(4), 4, kind) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("kind", GROUPS)
def test_the_photos_of_a_run_begin_with_a_whole_group(kind: str) -> None:
    assert all(photo_seed(seed, 0) % GROUPS[kind] == 0 for seed in range(50))
