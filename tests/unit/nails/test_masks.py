"""Masks: COCO run lengths, polygons and measures."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pycocotools import mask as coco

from nails.perception import masks
from nails.perception.masks import MaskError, decode_rle, encode_rle

# pycocotools, the reference, predates NumPy 2's copy keyword and says so at every decoding.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))
mask_arrays = shapes.flatmap(lambda shape: hnp.arrays(np.bool_, shape))


def disk(size: int, centre: tuple[float, float], radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:size, :size] + 0.5
    return (columns - centre[0]) ** 2 + (rows - centre[1]) ** 2 <= radius**2


@settings(deadline=None)
@given(mask_arrays)
def test_run_lengths_are_those_of_pycocotools(mask: NDArray[np.bool_]) -> None:
    assert encode_rle(mask) == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]


@settings(deadline=None)
@given(mask_arrays)
def test_decoding_undoes_encoding_and_agrees_with_pycocotools(mask: NDArray[np.bool_]) -> None:
    counts = encode_rle(mask)
    height, width = mask.shape
    assert np.array_equal(decode_rle(counts, height, width), mask)
    assert np.array_equal(coco.decode({"size": [height, width], "counts": counts}).astype(bool), mask)


@pytest.mark.parametrize("fill", [False, True])
def test_large_uniform_masks_have_large_counts(fill: bool) -> None:
    mask = np.full((3000, 4000), fill)
    counts = encode_rle(mask)
    assert counts == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    assert np.array_equal(decode_rle(counts, 3000, 4000), mask)


def test_a_mask_worked_by_hand() -> None:
    # Column-major: one zero, two ones, one zero.
    assert encode_rle(np.array([[0, 1], [1, 0]], bool)) == b"121"


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 50), st.integers(0, 50))
def test_any_counts_give_a_mask_or_a_mask_error(counts: bytes, height: int, width: int) -> None:
    try:
        mask = decode_rle(counts, height, width)
    except MaskError:
        return
    assert mask.shape == (height, width)


@pytest.mark.parametrize(
    "counts",
    [
        b"oooooooooooooooooooooooooo",  # a number without end
        b"ooooooo1",  # a number beyond 35 bits
        b"\xff\xff",
        b"0" * 500,  # more runs than pixels
        b"1",  # covers too little
        b"9999",  # covers too much
        b"N",  # a negative run
    ],
)
def test_hostile_counts_are_refused(counts: bytes) -> None:
    with pytest.raises(MaskError):
        decode_rle(counts, 4, 4)


def test_hostile_counts_do_not_take_memory() -> None:
    tracemalloc.start()
    try:
        for counts in (b"ooooooo" * 1000, b"PPPPPP0" * 1000, b"0" * 100_000):
            with pytest.raises(MaskError):
                decode_rle(counts, 64, 64)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(("height", "width"), [(40_000, 40_000), (-1, 5)])
def test_absurd_sizes_are_refused_before_anything_is_allocated(height: int, width: int) -> None:
    with pytest.raises(MaskError):
        decode_rle(b"1", height, width)


def test_a_disk_survives_the_way_to_polygons_and_back() -> None:
    mask = disk(80, (40, 35), 22)
    back = masks.polygons_to_mask(masks.mask_to_polygons(mask), 80, 80)
    assert masks.iou(mask, back) > 0.97


def test_separate_pieces_give_a_polygon_each_and_unite_again() -> None:
    mask = disk(60, (15, 15), 8) | disk(60, (45, 40), 10)
    polygons = masks.mask_to_polygons(mask)
    assert len(polygons) == 2
    assert masks.iou(mask, masks.polygons_to_mask(polygons, 60, 60)) > 0.95


def test_a_single_pixel_survives_the_way_to_polygons_and_back() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 5] = True
    assert np.array_equal(masks.polygons_to_mask(masks.mask_to_polygons(mask), 9, 9), mask)


def test_simplified_polygons_have_fewer_points_and_nearly_the_same_shape() -> None:
    mask = disk(120, (60, 60), 40)
    exact, simple = masks.mask_to_polygons(mask), masks.mask_to_polygons(mask, tolerance=1.0)
    assert len(simple[0]) < len(exact[0]) / 2
    assert masks.iou(mask, masks.polygons_to_mask(simple, 120, 120)) > 0.94


def test_a_polygon_is_filled_where_its_coordinates_say() -> None:
    mask = masks.polygons_to_mask([[2.5, 3.5, 7.5, 3.5, 7.5, 6.5, 2.5, 6.5]], 10, 10)
    assert masks.box(mask) == (2, 3, 8, 7)


def test_points_outside_are_cut_off_at_the_border() -> None:
    mask = masks.polygons_to_mask([[-1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9]], 12, 16)
    assert mask.all()


@pytest.mark.parametrize("polygon", [[0, 0, 1, 1], [0, 0, 5, 0, 5], [0, 0, float("nan"), 3, 4, 5], []])
def test_polygons_that_are_none_are_refused(polygon: list[float]) -> None:
    with pytest.raises(MaskError):
        masks.polygons_to_mask([polygon], 10, 10)


@settings(deadline=None)
@given(mask_arrays.filter(lambda mask: bool(mask.any())))
def test_measures_agree_with_counting_pixels(mask: NDArray[np.bool_]) -> None:
    rows, columns = np.nonzero(mask)
    assert masks.area(mask) == len(rows)
    assert masks.centroid(mask) == pytest.approx((columns.mean() + 0.5, rows.mean() + 0.5))
    assert masks.box(mask) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert masks.iou(mask, mask) == 1.0
    assert masks.iou(mask, ~mask) == 0.0


def test_an_empty_mask_has_an_area_and_nothing_else() -> None:
    empty = np.zeros((4, 4), bool)
    assert masks.area(empty) == 0
    assert masks.iou(empty, empty) == 0.0
    assert masks.mask_to_polygons(empty) == []
    for measure in (masks.centroid, masks.box):
        with pytest.raises(MaskError):
            measure(empty)
