"""Warnings about photos."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lunula.crop.v1 import crop_service_pb2 as pb
from nails.perception.nail_decode import NailInstance, instance_from_mask
from nails.perception.quality import QualityFlag, find_quality_flags


def textured(size: tuple[int, int] = (800, 600), level: int = 128, contrast: int = 60) -> np.ndarray:
    """A sharp photo of something."""
    rng = np.random.default_rng(4)
    coarse = rng.integers(-contrast, contrast + 1, (size[1] // 10, size[0] // 10))
    image = np.kron(coarse, np.ones((10, 10), int)) + level
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def nail(
    side: int = 80, at: tuple[int, int] = (200, 200), size: tuple[int, int] = (800, 600)
) -> NailInstance:
    mask = np.zeros((size[1], size[0]), bool)
    mask[at[1] : at[1] + side, at[0] : at[0] + side] = True
    return instance_from_mask(mask)


def test_a_sharp_well_lit_photo_has_no_warning() -> None:
    assert find_quality_flags(textured(), [nail()]) == []


def test_a_photo_without_nails_is_flagged() -> None:
    assert find_quality_flags(textured(), []) == [QualityFlag.NO_NAILS]


def test_a_blurred_photo_is_flagged_at_any_resolution() -> None:
    blurred = cv2.GaussianBlur(textured(), (0, 0), 12)
    assert find_quality_flags(blurred, [nail()]) == [QualityFlag.BLURRED]
    large = cv2.resize(textured(), (3200, 2400), interpolation=cv2.INTER_NEAREST)
    assert find_quality_flags(large, [nail(320, (800, 800), (3200, 2400))]) == []


def test_a_soft_background_behind_sharp_nails_is_no_fault() -> None:
    image = cv2.GaussianBlur(textured(), (0, 0), 12)
    image[190:290, 190:290] = textured()[190:290, 190:290]
    assert QualityFlag.BLURRED not in find_quality_flags(image, [nail()])
    assert QualityFlag.BLURRED in find_quality_flags(image, [nail(at=(500, 400))])


@pytest.mark.parametrize(("level", "flag"), [(20, QualityFlag.TOO_DARK), (250, QualityFlag.TOO_BRIGHT)])
def test_exposure_errors_are_flagged(level: int, flag: QualityFlag) -> None:
    assert flag in find_quality_flags(textured(level=level, contrast=15), [nail()])


def test_black_nails_and_white_cloths_are_no_exposure_errors() -> None:
    image = textured(level=240, contrast=30)
    image[100:500, 100:700] = textured(level=120)[100:500, 100:700]
    assert find_quality_flags(image, [nail()]) == []


def test_tiny_photos_and_tiny_nails_are_flagged() -> None:
    assert QualityFlag.TOO_SMALL in find_quality_flags(textured((120, 100)), [nail(40, (10, 10), (120, 100))])
    assert QualityFlag.TOO_SMALL in find_quality_flags(textured(), [nail(10)])


@pytest.mark.parametrize("at", [(-40, 200), (760, 200), (200, -40), (200, 560)])
def test_a_nail_that_the_border_cuts_off_is_flagged(at: tuple[int, int]) -> None:
    mask = np.zeros((600, 800), bool)
    x, y = at
    mask[max(0, y) : y + 80, max(0, x) : x + 80] = True
    assert find_quality_flags(textured(), [nail(), instance_from_mask(mask)]) == [QualityFlag.NAIL_CUT]


def test_a_nail_whose_tip_only_touches_the_border_is_whole() -> None:
    mask = np.zeros((600, 800), np.uint8)
    cv2.fillPoly(mask, [np.array([[0, 240], [60, 200], [120, 240], [60, 280]])], 1)
    assert find_quality_flags(textured(), [instance_from_mask(mask > 0)]) == []


def test_the_numbers_are_those_of_the_contract() -> None:
    assert {flag.name: int(flag) for flag in QualityFlag} == {
        name.removeprefix("QUALITY_FLAG_"): number for name, number in pb.QualityFlag.items() if number
    }
