"""Groups by tone and by polish are what their definitions say."""

from __future__ import annotations

import pytest

from evaluation.perception.groups import (
    BARE,
    FAMILIES,
    GroupedPhoto,
    NailScore,
    by_group,
    main_family,
    polish_family,
)
from nails.vocabulary import COLOURS


def photo(tone: int, iou: float, *nails: tuple[str, int, float]) -> GroupedPhoto:
    return GroupedPhoto(tone, iou, tuple(NailScore(*nail) for nail in nails))


def test_every_colour_of_the_vocabulary_has_exactly_one_family() -> None:
    listed = [colour for colours in FAMILIES.values() for colour in colours]
    assert sorted(listed) == sorted({*(colour.name for colour in COLOURS), BARE})
    assert polish_family("no such colour") == "other"


def test_a_photo_belongs_to_the_family_of_most_of_its_nail_pixels() -> None:
    assert main_family(photo(3, 0.5, ("red", 100, 0.5), ("gold", 60, 0.5), ("silver", 60, 0.5))) == "metal"
    with pytest.raises(ValueError, match="without a nail"):
        main_family(photo(3, 0.5))


def test_groups_are_means_beside_the_mean_of_all() -> None:
    photos = [
        photo(1, 0.9, ("red", 50, 0.8)),
        photo(1, 0.7, ("wine", 50, 0.6), ("white", 10, 0.4)),
        photo(10, 0.5, ("black", 50, 0.2)),
        photo(10, 0.0),  # no nail: in no group and in no mean
    ]
    light, dark = by_group(photos, "tone")
    assert (light.name, light.photos, light.nails) == ("tone 1", 2, 3)
    assert light.iou == pytest.approx(0.8) and light.iou_gap == pytest.approx(0.1)
    assert light.nail_iou == pytest.approx(0.6) and light.nail_iou_gap == pytest.approx(0.1)
    assert (dark.name, dark.photos) == ("tone 10", 1) and dark.iou_gap == pytest.approx(-0.2)


def test_a_family_that_leads_no_photo_still_counts_its_nails() -> None:
    rows = {
        row.name: row for row in by_group([photo(2, 0.6, ("red", 50, 0.8), ("white", 10, 0.4))], "family")
    }
    assert (rows["white"].photos, rows["white"].iou, rows["white"].nails) == (0, None, 1)
    assert rows["white"].nail_iou_gap == pytest.approx(-0.2)
    assert list(rows) == ["white", "red"]


def test_nude_and_bare_nails_are_compared_with_all_nails_by_tone() -> None:
    photos = [
        photo(2, 0.4, ("nude", 50, 0.3)),
        photo(2, 0.6, ("bare", 50, 0.5)),
        photo(2, 0.9, ("red", 50, 0.9)),
        photo(8, 0.5, ("black", 50, 0.7)),
    ]
    (row,) = by_group(photos, "nude")
    assert (row.name, row.photos, row.nails) == ("tone 2", 2, 2)
    assert row.iou_gap == pytest.approx(0.5 - 0.6) and row.nail_iou_gap == pytest.approx(0.4 - 0.6)


def test_photos_without_hands_come_last_and_nothing_gives_nothing() -> None:
    rows = by_group([photo(0, 0.5, ("red", 9, 0.5)), photo(5, 0.5, ("red", 9, 0.5))], "tone")
    assert [row.name for row in rows] == ["tone 5", "no hand"]
    assert by_group([photo(1, 1.0)], "tone") == []


def test_an_unknown_grouping_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot group by 'luck'"):
        by_group([], "luck")
