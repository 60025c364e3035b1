"""Palettes: extraction from nails, validation, and similarity."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from nails.colour.assignment import assign
from nails.colour.cielab import ciede2000, in_gamut, lab_to_srgb_u8, srgb_to_lab
from nails.colour.palette import (
    PaletteColour,
    PaletteError,
    equivalent_difference,
    extract_palette,
    likeness,
    match_colours,
    nearest_name,
    palette_similarity,
    validate_palette,
)
from nails.vocabulary import COLOURS

RED, WHITE, NAVY, SKIN = (190, 20, 40), (245, 244, 240), (20, 30, 80), (224, 172, 140)


def lab_of(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    found = srgb_to_lab(np.array(rgb, np.uint8))
    return float(found[0]), float(found[1]), float(found[2])


def palette_of(*rgbs: tuple[int, int, int], weights: tuple[float, ...] | None = None) -> list[PaletteColour]:
    return validate_palette([lab_of(rgb) for rgb in rgbs], weights)


def nearest(palette: list[PaletteColour], rgb: tuple[int, int, int]) -> float:
    return min(float(ciede2000(colour.lab, lab_of(rgb))) for colour in palette)


def photo_with_nails(count: int = 4) -> tuple[np.ndarray, list[np.ndarray]]:
    """Round nails, red above and white below, on skin."""
    image = np.full((200, 100 * count, 3), SKIN, np.uint8)
    rows, columns = np.mgrid[:200, : 100 * count]
    masks = []
    for index in range(count):
        mask = (columns - 50 - 100 * index) ** 2 / 40**2 + (rows - 100) ** 2 / 80**2 <= 1
        image[mask] = RED
        image[mask & (rows >= 140)] = WHITE
        masks.append(mask)
    return image, masks


class TestExtraction:
    def test_the_colours_of_the_nails_are_found_with_their_shares(self) -> None:
        image, masks = photo_with_nails()
        found = extract_palette(image, masks)
        assert len(found) == 2
        assert nearest(found[:1], RED) < 1
        assert nearest(found[1:], WHITE) < 1
        assert sum(colour.weight for colour in found) == pytest.approx(1)
        # The erosion takes more of the narrow tip than of the middle.
        assert 0.10 < found[1].weight < 0.25
        assert [colour.name for colour in found] == ["red", "white"]

    def test_skin_at_the_border_of_a_sloppy_mask_is_not_a_colour(self) -> None:
        image, masks = photo_with_nails()
        rows, columns = np.mgrid[:200, :400]
        sloppy = [
            (columns - 50 - 100 * index) ** 2 / 43**2 + (rows - 100) ** 2 / 83**2 <= 1 for index in range(4)
        ]
        assert nearest(extract_palette(image, sloppy), SKIN) > 20
        assert len(extract_palette(image, sloppy)) == len(extract_palette(image, masks))

    def test_small_highlights_are_no_colour_but_white_nails_are_white(self) -> None:
        image, masks = photo_with_nails()
        for mask in masks:
            image[mask] = NAVY
        rows, columns = np.mgrid[:200, :400]
        for index in range(4):
            image[(abs(columns - 40 - 100 * index) < 3) & (abs(rows - 90) < 40)] = 255
        found = extract_palette(image, masks)
        assert len(found) == 1
        assert nearest(found, NAVY) < 1
        for mask in masks:
            image[mask] = 250
        (white,) = extract_palette(image, masks)
        assert white.lab[0] > 95

    def test_a_near_nail_does_not_outvote_the_others(self) -> None:
        image = np.full((300, 600, 3), SKIN, np.uint8)
        large, small = np.zeros((300, 600), bool), np.zeros((300, 600), bool)
        large[20:280, 20:280] = True
        small[140:170, 500:530] = True
        image[large], image[small] = RED, NAVY
        assert [round(colour.weight, 2) for colour in extract_palette(image, [large, small])] == [0.5, 0.5]

    def test_the_same_photo_gives_the_same_palette(self) -> None:
        noise = np.random.default_rng(5).integers(0, 256, (120, 160, 3), np.uint8)
        mask = np.ones((120, 160), bool)
        assert extract_palette(noise, [mask]) == extract_palette(noise, [mask])

    def test_noise_around_a_colour_is_one_colour(self) -> None:
        rng = np.random.default_rng(2)
        image = np.clip(np.array(RED) + rng.normal(0, 6, (100, 100, 3)), 0, 255).astype(np.uint8)
        found = extract_palette(image, [np.ones((100, 100), bool)])
        assert len(found) == 1
        assert nearest(found, RED) < 3

    def test_no_nails_or_empty_masks_give_no_colours(self) -> None:
        image, _ = photo_with_nails(1)
        assert extract_palette(image, []) == []
        assert extract_palette(image, [np.zeros((200, 100), bool)]) == []

    def test_a_nail_of_one_pixel_still_has_a_colour(self) -> None:
        image, _ = photo_with_nails(1)
        mask = np.zeros((200, 100), bool)
        mask[100, 50] = True
        assert nearest(extract_palette(image, [mask]), RED) < 1

    def test_at_most_the_asked_for_number_of_colours_comes_back(self) -> None:
        image = np.zeros((60, 700, 3), np.uint8)
        for index, hue in enumerate([RED, WHITE, NAVY, SKIN, (20, 160, 60), (240, 210, 40), (120, 20, 140)]):
            image[:, 100 * index : 100 * index + 100] = hue
        assert len(extract_palette(image, [np.ones((60, 700), bool)], max_colours=3)) == 3
        assert len(extract_palette(image, [np.ones((60, 700), bool)], max_colours=7)) == 7

    @settings(deadline=None, max_examples=30)
    @given(hnp.arrays(np.uint8, (12, 14, 3)), hnp.arrays(np.bool_, (12, 14)))
    def test_any_pixels_give_a_valid_palette(self, image: np.ndarray, mask: np.ndarray) -> None:
        found = extract_palette(image, [mask])
        assert bool(found) == bool(mask.any())
        assert len(found) <= 5
        assert all(in_gamut(colour.lab) for colour in found)
        assert [colour.weight for colour in found] == sorted(
            (colour.weight for colour in found), reverse=True
        )


class TestValidation:
    def test_weights_that_are_not_said_share_equally(self) -> None:
        assert [colour.weight for colour in palette_of(RED, NAVY)] == [0.5, 0.5]
        assert [colour.weight for colour in palette_of(RED, NAVY, weights=(0, 0))] == [0.5, 0.5]

    def test_weights_are_scaled_to_sum_to_one(self) -> None:
        assert [colour.weight for colour in palette_of(RED, NAVY, weights=(0.3, 0.1))] == pytest.approx(
            [0.75, 0.25]
        )

    def test_an_unsaid_weight_among_said_ones_gets_their_mean(self) -> None:
        found = palette_of(RED, NAVY, WHITE, weights=(0.6, 0.2, 0))
        assert [colour.weight for colour in found] == pytest.approx([0.5, 1 / 6, 1 / 3])

    def test_no_colours_are_no_palette(self) -> None:
        assert validate_palette([]) == []

    @pytest.mark.parametrize(
        ("lab", "reason"),
        [
            ((float("nan"), 0, 0), "COLOUR_NOT_FINITE"),
            ((50, float("inf"), 0), "COLOUR_NOT_FINITE"),
            ((50, 0), "COLOUR_NOT_FINITE"),
            ((50, 120, 0), "COLOUR_OUT_OF_GAMUT"),
            ((100.5, 0, 0), "COLOUR_OUT_OF_GAMUT"),
            ((-0.5, 0, 0), "COLOUR_OUT_OF_GAMUT"),
        ],
    )
    def test_a_bad_colour_is_named_by_its_index(self, lab: tuple[float, ...], reason: str) -> None:
        with pytest.raises(PaletteError) as caught:
            validate_palette([lab_of(RED), lab, lab])
        assert (caught.value.reason, caught.value.index) == (reason, 1)

    @pytest.mark.parametrize("weight", [-0.1, 1.5, float("nan"), float("inf")])
    def test_a_bad_weight_is_named_by_its_index(self, weight: float) -> None:
        with pytest.raises(PaletteError) as caught:
            palette_of(RED, NAVY, weights=(0.5, weight))
        assert (caught.value.reason, caught.value.index) == ("COLOUR_WEIGHT_INVALID", 1)

    def test_more_than_twelve_colours_are_refused_as_a_whole(self) -> None:
        assert len(validate_palette([lab_of(RED)] * 12)) == 12
        with pytest.raises(PaletteError) as caught:
            validate_palette([lab_of(RED)] * 13)
        assert (caught.value.reason, caught.value.index) == ("PALETTE_TOO_MANY_COLOURS", None)

    def test_a_weight_for_every_colour_is_needed(self) -> None:
        with pytest.raises(ValueError, match="one weight"):
            validate_palette([lab_of(RED)], [0.5, 0.5])

    @pytest.mark.parametrize(
        "colour", [one for one in COLOURS if one.name != "clear"], ids=lambda one: one.name
    )
    def test_the_vocabularys_colours_have_their_own_names(self, colour: object) -> None:
        assert nearest_name(colour.lab) == colour.name  # type: ignore[attr-defined]  # a Colour


colours = hnp.arrays(np.uint8, 3).map(lambda rgb: tuple(float(v) for v in srgb_to_lab(rgb)))
palettes = st.lists(colours, min_size=1, max_size=5).map(validate_palette)


class TestSimilarity:
    @settings(deadline=None)
    @given(palettes)
    def test_a_palette_is_wholly_like_itself(self, palette: list[PaletteColour]) -> None:
        found = palette_similarity(palette, palette)
        assert found.similarity == pytest.approx(1.0)
        assert found.difference == pytest.approx(0.0, abs=1e-6)

    @settings(deadline=None)
    @given(palettes, palettes)
    def test_similarity_is_a_share_and_its_difference_the_equivalent(
        self, request_: list[PaletteColour], design: list[PaletteColour]
    ) -> None:
        found = palette_similarity(request_, design)
        assert 0 < found.similarity <= 1
        assert likeness(found.difference) == pytest.approx(found.similarity, rel=1e-6)

    @settings(deadline=None)
    @given(palettes, palettes, st.randoms(use_true_random=False))
    def test_the_order_of_colours_does_not_matter(
        self, request_: list[PaletteColour], design: list[PaletteColour], random: object
    ) -> None:
        before = palette_similarity(request_, design).similarity
        shuffled_request, shuffled_design = list(request_), list(design)
        random.shuffle(shuffled_request)  # type: ignore[attr-defined]  # a random.Random
        random.shuffle(shuffled_design)  # type: ignore[attr-defined]  # a random.Random
        assert palette_similarity(shuffled_request, shuffled_design).similarity == pytest.approx(before)

    @settings(deadline=None)
    @given(palettes, palettes)
    def test_the_assignment_is_the_best_of_all(
        self, request_: list[PaletteColour], design: list[PaletteColour]
    ) -> None:
        request_, design = request_[:3], design[:4]
        best = 0.0
        options = range(len(design) + 1)  # the last: share the nearest
        total = sum(colour.weight for colour in request_)
        for choice in itertools.product(options, repeat=len(request_)):
            taken = [index for index in choice if index < len(design)]
            if len(taken) != len(set(taken)):
                continue
            score = 0.0
            for colour, index in zip(request_, choice, strict=True):
                gaps = [
                    float(ciede2000(colour.lab, other.lab))
                    + 10 * min(1, max(0, 1 - other.weight / (0.5 * colour.weight)))
                    for other in design
                ]
                gap = gaps[index] if index < len(design) else min(gaps) + 10
                score += colour.weight / total / (1 + (gap / 15) ** 2)
            best = max(best, score)
        assert palette_similarity(request_, design).similarity == pytest.approx(best)

    def test_a_nearer_colour_is_never_worse(self) -> None:
        request = palette_of(RED)
        steps = [
            palette_similarity(
                request, validate_palette([(lab_of(RED)[0], lab_of(RED)[1] - share * 60, lab_of(RED)[2])])
            ).similarity
            for share in np.linspace(0, 1, 30)
        ]
        assert all(first > second for first, second in itertools.pairwise(steps))
        assert steps[0] == 1.0

    def test_other_colours_of_the_design_do_not_count_against_it(self) -> None:
        assert palette_similarity(palette_of(RED), palette_of(RED, NAVY)).similarity == 1.0

    def test_a_speck_of_a_colour_counts_less_than_a_nail_of_it(self) -> None:
        request = palette_of(RED)
        speck = palette_of(WHITE, RED, weights=(0.97, 0.03))
        assert palette_similarity(request, speck).similarity < 0.95
        assert (
            palette_similarity(request, speck).similarity
            > palette_similarity(request, palette_of(NAVY)).similarity
        )

    def test_two_asked_colours_are_better_met_by_two_than_by_one(self) -> None:
        request = palette_of(RED, (200, 60, 80))
        assert (
            palette_similarity(request, palette_of(RED, (200, 60, 80))).similarity
            > palette_similarity(request, palette_of(RED)).similarity
        )

    def test_pairs_say_which_colour_answers_which(self) -> None:
        pairs = match_colours(palette_of(NAVY, RED), palette_of(RED, WHITE, NAVY))
        assert [index for index, _ in pairs] == [2, 0]

    def test_an_empty_palette_is_like_nothing(self) -> None:
        assert palette_similarity([], palette_of(RED)).similarity == 0.0
        assert palette_similarity(palette_of(RED), []).similarity == 0.0

    def test_likeness_has_its_inverse(self) -> None:
        for difference in (0.0, 0.5, 5.0, 15.0, 60.0):
            assert equivalent_difference(likeness(difference)) == pytest.approx(difference)
        assert likeness(15) == 0.5


class TestAssignment:
    @settings(deadline=None)
    @given(
        st.integers(1, 6).flatmap(
            lambda rows: hnp.arrays(
                np.float64, st.tuples(st.just(rows), st.integers(rows, 9)), elements=st.floats(-50, 50)
            )
        )
    )
    def test_the_sum_is_as_small_as_scipys(self, cost: np.ndarray) -> None:
        chosen = assign(cost)
        assert len(set(chosen)) == len(cost)
        rows, columns = linear_sum_assignment(cost)
        ours = sum(cost[row, column] for row, column in enumerate(chosen))
        assert ours == pytest.approx(cost[rows, columns].sum(), abs=1e-6)

    def test_more_rows_than_columns_or_nan_is_a_programming_error(self) -> None:
        for cost in (np.zeros((3, 2)), np.full((1, 2), math.nan)):
            with pytest.raises(ValueError, match="finite costs"):
                assign(cost)


def test_colours_are_shown_as_they_were_found() -> None:
    assert lab_to_srgb_u8(lab_of(RED)).tolist() == list(RED)
