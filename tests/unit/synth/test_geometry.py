"""Cones, nails and hands against slow and obvious references."""

from __future__ import annotations

import numpy as np
import pytest

from training.synth.graphics.cones import DepthImage, rasterise, surface
from training.synth.hand.anatomy import Build, Cones, Pose, pose_hand
from training.synth.nail.plate import Plate, view_plate
from training.synth.nail.shape import FREE_EDGE, Outline, sample_outline


def one_cone(a: list[float], b: list[float], ra: float, rb: float) -> Cones:
    up = np.array([[0.0, 0.0, 1.0]])
    return Cones(
        np.array([a]),
        np.array([b]),
        np.array([ra]),
        np.array([rb]),
        np.zeros(1, np.int64),
        np.zeros(1),
        np.ones(1),
        up,
        up,
    )


@pytest.mark.parametrize(
    ("a", "b", "ra", "rb"),
    [
        ([20, 20, 0], [44, 40, 0], 10, 6),
        ([20, 30, -10], [44, 30, 25], 9.3, 9.3),
        ([30, 30, 0], [34, 31, 30], 8, 14),
        ([32, 32, 0], [32, 32, 20], 12, 7),
    ],
)
def test_a_round_cone_is_the_hull_of_its_spheres(
    a: list[float], b: list[float], ra: float, rb: float
) -> None:
    cones = one_cone(a, b, ra, rb)
    image = DepthImage.empty(64, 64)
    rasterise(cones, image)
    yy, xx = np.mgrid[0:64, 0:64]
    expected = np.full((64, 64), -np.inf)
    for t in np.linspace(0, 1, 2001):
        centre, r = (1 - t) * np.array(a, float) + t * np.array(b, float), (1 - t) * ra + t * rb
        gap = r * r - (xx - centre[0]) ** 2 - (yy - centre[1]) ** 2
        expected = np.maximum(expected, np.where(gap >= 0, centre[2] + np.sqrt(np.maximum(gap, 0)), -np.inf))
    both = np.isfinite(expected) & (image.cone >= 0)
    assert (np.isfinite(expected) != (image.cone >= 0)).sum() <= 6  # pixels that the outline just touches
    assert np.abs(image.z[both] - expected[both]).max() < 0.25


def test_normals_have_unit_length_and_face_the_viewer() -> None:
    cones = one_cone([20, 20, 0], [44, 40, 8], 10, 6)
    image = DepthImage.empty(64, 64)
    rasterise(cones, image)
    ys, xs = np.nonzero(image.cone >= 0)
    normal, along = surface(
        cones,
        image.cone[ys, xs],
        image.t[ys, xs],
        xs.astype(np.float32),
        ys.astype(np.float32),
        image.z[ys, xs],
    )
    assert np.allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-4)
    assert normal[:, 2].min() > -0.35  # a widening cone turns its far rim away a little
    assert along.min() >= 0 and along.max() <= 1


def straight() -> Pose:
    return Pose(np.zeros((5, 3)), np.zeros(5))


def test_a_straight_finger_is_as_long_as_its_bones_and_a_bent_one_comes_closer() -> None:
    flat = pose_hand(straight(), Build())
    bent = pose_hand(Pose(np.full((5, 3), 80.0), np.zeros(5)), Build())
    for finger in range(1, 5):
        base, tip = 1 + 4 * finger, 4 + 4 * finger
        bones = np.linalg.norm(np.diff(flat.joints[base : tip + 1], axis=0), axis=1)
        assert np.linalg.norm(flat.joints[tip] - flat.joints[base]) == pytest.approx(bones.sum())
        assert np.linalg.norm(bent.joints[tip] - bent.joints[base]) < 0.6 * bones.sum()
        assert bent.joints[tip, 2] < bent.joints[base, 2]  # fingers bend towards the palm


def test_a_left_hand_mirrors_the_right() -> None:
    right, left = pose_hand(straight(), Build(), "right"), pose_hand(straight(), Build(), "left")
    assert np.allclose(left.joints, right.joints * [-1, 1, 1])
    assert right.joints[4, 0] < right.joints[20, 0]  # seen from the back, the thumb of a right hand is left


def test_bone_frames_are_orthonormal() -> None:
    hand = pose_hand(Pose(np.full((5, 3), 35.0), np.full(5, 6.0)), Build())
    for a, d, lateral in zip(
        hand.axis.reshape(-1, 3), hand.dorsal.reshape(-1, 3), hand.lateral.reshape(-1, 3), strict=True
    ):
        assert np.allclose(np.stack([a, d, lateral]) @ np.stack([a, d, lateral]).T, np.eye(3), atol=1e-9)


@pytest.mark.parametrize("shape", ["square", "squoval", "round", "oval", "almond", "coffin", "stiletto"])
def test_an_outline_is_widest_in_the_bed_and_ends_at_its_length(shape: str) -> None:
    outline = sample_outline(np.random.default_rng(1), shape, "long", 1.8)
    y = np.linspace(0, outline.length + 0.5, 300, dtype=np.float32)
    width = outline.half_width(np.minimum(y, outline.length))
    assert width[y < outline.bed].max() <= 1.001
    assert width[np.abs(y - 0.6).argmin()] > 0.85
    assert (outline.inside(np.zeros_like(y), y)[y > outline.length + 0.01] < 0).all()


def test_pointed_shapes_end_narrower_than_square_ones() -> None:
    ends = {}
    for shape in ("square", "coffin", "almond", "stiletto"):
        outline = Outline(shape, 3.6, 1.8, 0.5)
        ends[shape] = float(outline.half_width(np.array([3.3], np.float32))[0])
    assert ends["square"] > ends["coffin"] > ends["almond"] > ends["stiletto"]


def test_longer_classes_have_longer_free_edges() -> None:
    middles = [np.mean(FREE_EDGE[name]) for name in ("short", "medium", "long", "extra_long")]
    assert middles == sorted(middles)


def test_a_nail_that_faces_the_viewer_is_seen_at_its_own_coordinates() -> None:
    outline = Outline("square", 3.0, 2.0, 0.4)
    plate = Plate(
        np.array([40.0, 60.0, 10.0]),
        np.array([0.0, -1, 0]),
        np.array([0.0, 0, 1]),
        np.array([1.0, 0, 0]),
        12.0,
        10.0,
        0.0,
        outline,
    )
    view = view_plate(plate, (0, 0, 80, 80))
    assert view is not None
    assert view.x[50, 40] == pytest.approx(0, abs=1e-5)
    assert view.y[50, 40] == pytest.approx(1.0, abs=1e-5)
    assert view.z[50, 40] == pytest.approx(10.0, abs=1e-4)
    assert view.inside[45, 40] > 0 > view.inside[20, 40]
    assert np.allclose(view.normal[50, 40], [0, 0, 1], atol=1e-5)
