"""Feet are rendered as feet, and pictures of several photos know where every nail went."""

from __future__ import annotations

import numpy as np
import pytest

from training.synth import Sample, generate
from training.synth.design.designs import natural_design
from training.synth.hand.anatomy import Build
from training.synth.hand.feet import pose_foot
from training.synth.scene.pages import page


def found(wanted: str, count: int) -> list[Sample]:
    """Small segmentation samples of an arrangement."""
    samples = []
    for seed in range(600):
        sample = generate(seed, "segmentation", 96)
        if sample.record["arrangement"] == wanted:
            samples.append(sample)
            if len(samples) == count:
                break
    return samples


def test_a_left_foot_mirrors_the_right() -> None:
    right = pose_foot(np.random.default_rng(1), Build(), "right")
    left = pose_foot(np.random.default_rng(1), Build(), "left")
    assert np.allclose(left.joints, right.joints * [-1, 1, 1])
    assert right.joints[4, 0] < right.joints[20, 0]  # seen from above, the big toe of a right foot is left


def test_toes_point_forward_with_orthonormal_frames_and_nails_up() -> None:
    for seed in range(8):
        foot = pose_foot(np.random.default_rng(seed), Build(), "right")
        for toe in range(5):
            frame = np.stack([foot.axis[toe, 2], foot.dorsal[toe, 2], foot.lateral[toe, 2]])
            assert np.allclose(frame @ frame.T, np.eye(3), atol=1e-9)
            assert frame[0, 1] > 0 and frame[1, 2] > 0
        assert foot.radius[0] > 1.3 * foot.radius[1:].max()


def test_feet_have_nails_but_are_no_hands() -> None:
    samples = found("feet", 3)
    assert len(samples) == 3
    for sample in samples:
        assert sample.record["body"] == "foot"
        assert sample.record["hands"] == []
        assert 1 <= len(sample.record["feet"]) <= 2
        assert all(nail["body"] == "foot" for nail in sample.record["nails"])
        assert all(0 <= nail["hand"] < len(sample.record["feet"]) for nail in sample.record["nails"])


def test_designs_are_never_shown_on_feet_or_pages() -> None:
    for seed in range(40):
        record = generate(seed, "designs", 96).record
        assert record["body"] == "hand"
        assert record["arrangement"] not in ("feet", "page")


def test_on_a_page_mask_and_record_agree() -> None:
    samples = found("page", 4)
    assert len(samples) == 4
    for sample in samples:
        height, width = sample.image.shape[:2]
        assert sample.record["size"] == [width, height]
        listed = {nail["instance"]: nail for nail in sample.record["nails"]}
        assert set(np.unique(sample.mask)) - {0} == set(listed)
        for instance, nail in listed.items():
            ys, xs = np.nonzero(sample.mask == instance)
            assert nail["box"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            assert nail["area"] == len(ys)
        whole = [hand for hand in sample.record["hands"] if hand["box"] != [0, 0, 0, 0]]
        assert len(set(np.unique(sample.hands)) - {0}) >= len(whole)
        for hand in sample.record["hands"]:
            for x, y, visible in hand["joints"]:
                assert not visible or (0 <= x <= width and 0 <= y <= height)


def test_photos_on_a_page_keep_their_places() -> None:
    parts = []
    for value in (60, 200):
        image = np.full((40, 40, 3), value, np.uint8)
        mask = np.zeros((40, 40), np.uint8)
        mask[15:25, 15:25] = 1
        nail = {"instance": 1, "hand": -1}
        parts.append((image, mask, np.zeros_like(mask), {"nails": [nail], "hands": []}))
    image, mask, _, record = page(np.random.default_rng(0), 80, parts, (1, 2))
    assert [nail["instance"] for nail in record["nails"]] == [1, 2]
    for nail, value in zip(record["nails"], (60, 200), strict=True):
        x, y = (int(v) for v in nail["centroid"])
        assert image[y, x, 0] == value
        assert mask[y, x] == nail["instance"]
    with pytest.raises(ValueError, match="2 photos are needed"):
        page(np.random.default_rng(0), 80, parts[:1], (1, 2))


def test_natural_designs_are_nude_with_pale_tips() -> None:
    for seed in range(30):
        design = natural_design(np.random.default_rng(seed))
        assert not design.main.bare
        assert design.main.pattern in ("plain", "french", "ombre")
        assert set(design.main.accents) <= {"white", "milky_white", "ivory"}
        assert design.main.colour not in design.main.accents
