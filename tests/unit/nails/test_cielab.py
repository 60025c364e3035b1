"""Colour conversions and differences against published values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nails.colour.cielab import ciede2000, in_gamut, lab_to_srgb, lab_to_srgb_u8, srgb_to_lab
from nails.vocabulary import COLOURS

# sRGB and CIELAB (D65) of the primaries and greys, as colour science tables give them.
KNOWN = [
    ((255, 255, 255), (100.0, 0.0, 0.0)),
    ((0, 0, 0), (0.0, 0.0, 0.0)),
    ((255, 0, 0), (53.24, 80.09, 67.20)),
    ((0, 255, 0), (87.73, -86.18, 83.18)),
    ((0, 0, 255), (32.30, 79.19, -107.86)),
    ((255, 255, 0), (97.14, -21.55, 94.48)),
    ((0, 255, 255), (91.11, -48.09, -14.13)),
    ((255, 0, 255), (60.32, 98.23, -60.82)),
    ((119, 119, 119), (50.03, 0.0, 0.0)),
]

# The test data of Sharma, Wu and Dalal (2005), table 1: two colours and their difference.
SHARMA = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""
PAIRS = np.array([line.split() for line in SHARMA.strip().splitlines()], float)


@pytest.mark.parametrize(("rgb", "lab"), KNOWN)
def test_known_colours_convert_both_ways(rgb: tuple[int, ...], lab: tuple[float, ...]) -> None:
    found = srgb_to_lab(np.array(rgb, np.uint8))
    assert found == pytest.approx(lab, abs=0.02)
    assert np.allclose(srgb_to_lab(np.array(rgb) / 255), found)
    assert lab_to_srgb_u8(lab).tolist() == list(rgb)


@pytest.mark.parametrize("row", range(len(PAIRS)))
def test_differences_are_those_of_sharma(row: int) -> None:
    first, second, expected = PAIRS[row, :3], PAIRS[row, 3:6], PAIRS[row, 6]
    assert float(ciede2000(first, second)) == pytest.approx(expected, abs=5e-5)
    assert float(ciede2000(second, first)) == pytest.approx(expected, abs=5e-5)


def test_differences_of_tables_are_those_of_their_rows() -> None:
    whole = ciede2000(PAIRS[:, None, :3], PAIRS[None, :, 3:6])
    assert whole.shape == (34, 34)
    assert np.allclose(np.diag(whole), PAIRS[:, 6], atol=5e-5)


@settings(deadline=None)
@given(hnp.arrays(np.uint8, (5, 3)))
def test_every_display_colour_survives_the_way_to_lab_and_back(rgb: np.ndarray) -> None:
    lab = srgb_to_lab(rgb)
    assert np.array_equal(lab_to_srgb_u8(lab), rgb)
    assert all(in_gamut(colour) for colour in lab)
    assert np.allclose(ciede2000(lab, lab), 0)


@pytest.mark.parametrize(
    "lab", [(50, 120, 0), (100, 60, 0), (0, 40, 40), (50, 0, -128), (-5, 0, 0), (110, 0, 0), (1e300, 0, 0)]
)
def test_colours_that_no_display_shows_are_out_of_gamut(lab: tuple[float, ...]) -> None:
    assert not in_gamut(lab)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", range(3))
def test_colours_that_are_not_finite_are_out_of_gamut(value: float, place: int) -> None:
    lab = [50.0, 0.0, 0.0]
    lab[place] = value
    assert not in_gamut(lab)


def test_colours_rounded_to_whole_units_are_forgiven() -> None:
    assert in_gamut(np.rint(srgb_to_lab(np.array([255, 0, 0], np.uint8))))


def test_out_of_gamut_colours_are_clipped_when_shown() -> None:
    assert lab_to_srgb((50, 120, 0)).max() <= 1
    assert lab_to_srgb((50, 120, 0), clip=False).min() < 0


@pytest.mark.parametrize("colour", COLOURS, ids=lambda colour: colour.name)
def test_every_colour_of_the_vocabulary_can_be_shown(colour: object) -> None:
    assert in_gamut(colour.lab)  # type: ignore[attr-defined]  # a Colour


@settings(deadline=None)
@given(st.tuples(st.floats(0, 100), st.floats(-128, 127), st.floats(-128, 127)))
def test_a_difference_is_finite_and_not_negative_anywhere(lab: tuple[float, ...]) -> None:
    found = float(ciede2000(lab, (50, 10, -10)))
    assert np.isfinite(found)
    assert found >= 0
