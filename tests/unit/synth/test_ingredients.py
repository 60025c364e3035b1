"""An image can be rendered without one ingredient, and then it is that ingredient that is missing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.synth import generate, write
from training.synth import image as scene
from training.synth.ingredients import INGREDIENTS, validate_ingredients
from training.synth.run.sheet import contact_sheet

SIZE = 128


@pytest.fixture(scope="module")
def red_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one photo that is purely red, so that parts of it are recognised."""
    folder = tmp_path_factory.mktemp("photos")
    cv2.imwrite(str(folder / "red.png"), np.full((400, 400, 3), (0, 0, 255), np.uint8))
    return folder


def differing(name: str, seeds: range, backgrounds: Path | None = None) -> int:
    """How many photos change when an ingredient is left out."""
    count = 0
    for seed in seeds:
        whole = generate(seed, "segmentation", SIZE, backgrounds)
        part = generate(seed, "segmentation", SIZE, backgrounds, without=[name])
        count += whole.image.shape != part.image.shape or not np.array_equal(whole.image, part.image)
    return count


def records(name: str, count: int = 40) -> list[dict]:  # type: ignore[type-arg]  # records are plain JSON
    return [generate(seed, "segmentation", 96, without=[name]).record for seed in range(count)]


def test_an_unknown_ingredient_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown ingredient salt"):
        validate_ingredients(["salt", "clutter"])
    with pytest.raises(ValueError, match="unknown ingredient"):
        generate(1, "segmentation", SIZE, without=["salt"])


def test_leaving_nothing_out_changes_nothing_and_the_bytes_repeat(red_photos: Path) -> None:
    for seed in range(6):
        first = generate(seed, "segmentation", SIZE, red_photos)
        second = generate(seed, "segmentation", SIZE, red_photos, without=())
        assert first.image.tobytes() == second.image.tobytes()
        assert first.mask.tobytes() == second.mask.tobytes()


@pytest.mark.parametrize("name", list(INGREDIENTS))
def test_every_ingredient_makes_a_difference(name: str, red_photos: Path) -> None:
    assert differing(name, range(12), red_photos) >= 1


def test_without_real_backgrounds_no_photo_is_read(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for seed in range(8):  # an empty folder would be refused if it were read
        generate(seed, "segmentation", 96, empty, without=["real_backgrounds"])
    with pytest.raises(ValueError, match="no photo"):
        for seed in range(30):
            generate(seed, "segmentation", 96, empty)


def test_without_bare_nails_all_are_painted() -> None:
    nails = [nail for record in records("bare_nails") for nail in record["nails"]]
    assert nails
    assert not any(nail["attributes"].get("bare") for nail in nails)


def test_without_hard_negatives_there_is_always_a_hand_that_shows_nails() -> None:
    for record in records("hard_negatives"):
        assert record["hands"] or record["arrangement"] in ("set", "feet", "page")
        assert all(hand["manner"] not in ("fist", "palm") for hand in record["hands"])
        assert record["framing"] != "skin"


def test_without_close_ups_no_photo_is_framed_around_fingertips() -> None:
    framings = {r["framing"] for r in records("close_ups") if r["arrangement"] not in ("set", "page")}
    assert framings <= {"whole", "fingers", "skin", "wide"}
    assert {"nails", "macro"} <= {r["framing"] for r in records("clutter", 60)}


def test_without_long_tips_none_is_long() -> None:
    lengths = {record["attributes"]["length"] for record in records("long_tips")}
    assert lengths <= {"short", "medium"}


def test_without_photo_effects_no_camera_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*what: object) -> None:
        raise RuntimeError(f"a camera took {len(what)} things")

    monkeypatch.setattr(scene, "capture", broken)
    monkeypatch.setattr(scene, "expose", broken)
    for seed in range(4):
        assert generate(seed, "segmentation", SIZE, without=["photo_effects"]).image.std() > 0
        with pytest.raises(RuntimeError, match="a camera took"):
            generate(seed, "segmentation", SIZE)


def test_without_skin_detail_skin_is_smoother() -> None:
    rough, smooth = [], []
    for seed in range(10):
        for into, without in ((rough, ["photo_effects"]), (smooth, ["photo_effects", "skin_detail"])):
            sample = generate(seed, "segmentation", 256, without=without)
            for hand in sample.record["hands"]:
                for x, y, visible in hand["joints"][5:18:4]:  # knuckles
                    if visible == 2:
                        patch = sample.image[int(y) - 6 : int(y) + 7, int(x) - 6 : int(x) + 7]
                        if patch.size:
                            into.append(float(np.abs(cv2.Laplacian(patch, cv2.CV_64F)).mean()))
    assert np.mean(smooth) < np.mean(rough)


def test_a_run_remembers_what_it_was_drawn_without(tmp_path: Path) -> None:
    write(tmp_path, 1, seed=2, kind="segmentation", workers=1, size=96, progress=False, without=["clutter"])
    with pytest.raises(ValueError, match="other settings"):
        write(tmp_path, 1, seed=2, kind="segmentation", workers=1, size=96, progress=False)
    with pytest.raises(ValueError, match="unknown ingredient"):
        write(tmp_path / "other", 1, workers=1, without=["salt"])


def test_a_sheet_can_show_real_photos_between_the_drawn_ones(red_photos: Path) -> None:
    page = contact_sheet(3, "segmentation", count=4, cell=40, columns=2, beside=red_photos)
    assert page.shape == (160, 80, 3)
    for row in (1, 3):
        assert page[row * 40 + 20, 20].tolist() == [255, 0, 0]
    with pytest.raises(ValueError, match="no photo"):
        contact_sheet(3, "segmentation", count=1, beside=red_photos / "nothing")
