"""The arithmetic of probabilities: what must hold for every pair of models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nails.artist.fusion import Pool, softmax, temper
from nails.artist.openset import OpenSet, PrototypeCosines
from services.classify.identify.calibration import Calibration, Probabilities, combine_modalities

ARTISTS = 6
logits = st.lists(st.floats(-8, 8, width=32), min_size=ARTISTS, max_size=ARTISTS)
temperatures = st.floats(0.2, 5.0)
weights = st.floats(0.0, 1.0)


def probabilities(values: list[float]) -> Probabilities:
    return softmax(np.array(values, np.float32))


@settings(deadline=None)  # a busy machine is not a defect
@given(logits, temperatures)
def test_temperature_keeps_the_order_and_the_sum(values: list[float], temperature: float) -> None:
    given_, found = probabilities(values), temper(probabilities(values), temperature)
    assert found.sum() == pytest.approx(1.0)
    assert found[given_.argmax()] == pytest.approx(found.max())


@settings(deadline=None)  # a busy machine is not a defect
@given(logits, logits, weights, temperatures)
def test_where_both_models_agree_no_weight_changes_the_artist(
    first: list[float], second: list[float], weight: float, temperature: float
) -> None:
    image, text = probabilities(first), probabilities(second)
    agreed = int(image.argmax())
    text[[agreed, int(text.argmax())]] = text[[int(text.argmax()), agreed]]
    calibration = Calibration(
        image_weight=weight, image_temperature=temperature, fused_temperature=temperature
    )
    pooled = Calibration(pool=Pool(temperature * weight, temperature * (1.0 - weight)))
    for chosen in (calibration, pooled):
        found = combine_modalities(image=image, text=text, calibration=chosen).both
        assert found.trained[agreed] == pytest.approx(found.trained.max())
        assert found.trained.sum() + found.unknown == pytest.approx(1.0)


@settings(deadline=None)  # a busy machine is not a defect
@given(logits)
def test_a_single_modality_speaks_alone(values: list[float]) -> None:
    one = probabilities(values)
    calibration = Calibration(image_temperature=2.0, text_temperature=2.0, fused_temperature=7.0)
    by_image = combine_modalities(image=one, text=None, calibration=calibration)
    by_text = combine_modalities(image=None, text=one, calibration=calibration)
    assert by_image.both.trained / by_image.both.trained.sum() == pytest.approx(temper(one, 2.0))
    assert np.array_equal(by_text.both.trained, by_image.both.trained)
    assert by_image.image is not None and by_image.image.trained == pytest.approx(temper(one, 2.0))
    assert by_image.text is None and by_text.image is None


@settings(deadline=None)  # a busy machine is not a defect
@given(st.floats(0.2, 0.99), st.floats(0.2, 0.99))
def test_the_surer_the_models_the_less_unknown_the_artist(first: float, second: float) -> None:
    def unknown(best: float) -> float:
        spread = np.array([best, *[(1 - best) / 4] * 4])
        return combine_modalities(image=spread, text=None, calibration=Calibration()).both.unknown

    low, high = sorted((first, second))
    assert 0.0 <= unknown(high) <= unknown(low) <= 1.0


def test_certainty_does_not_overflow() -> None:
    certain = np.array([1.0, 0.0, 0.0])
    found = combine_modalities(image=certain, text=certain, calibration=Calibration(fused_temperature=0.1))
    assert found.both.trained == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)
    assert 0.0 <= found.both.unknown < 1e-6


def test_artists_that_a_model_does_not_know_stay_at_zero() -> None:
    two_of_three = np.array([0.5, 0.5, 0.0])
    found = combine_modalities(image=two_of_three, text=None, calibration=Calibration(image_temperature=3.0))
    assert found.both.trained[2] == 0.0


def test_out_of_vocabulary_text_leaves_the_photo_its_own_prediction() -> None:
    image, nothing = np.array([0.7, 0.2, 0.1]), np.full(3, 1 / 3)
    calibration = Calibration(image_temperature=2.0, pool=Pool(0.4, 0.6, image_temperature=2.0))
    found = combine_modalities(image=image, text=nothing, calibration=calibration, out_of_vocabulary=True)
    shares = found.both.trained / found.both.trained.sum()
    assert shares == pytest.approx(temper(image, 2.0))


@pytest.mark.parametrize("enrolled_text", [None, [0.0, np.nan], [0.25, np.nan]])
def test_out_of_vocabulary_text_counts_only_where_it_is_like_an_enrolled_artists(
    enrolled_text: list[float] | None,
) -> None:
    numbers = {
        "unknown_image": "1 0.5 2 0",
        "unknown_text": "1 0.5 0 2",
        "unknown_both": "9 0.5 2 2",
        **{f"enrolled_{mode}": "-1 0 4 4" for mode in ("image", "text", "both")},
    }
    image, nothing = np.array([0.7, 0.2, 0.1]), np.full(3, 1 / 3)
    calibration = Calibration(openset=OpenSet.from_parameters(numbers))
    photo = PrototypeCosines(np.array([0.9, 0.1, 0.0]), None, np.array([0.5, 0.2]), None)
    words = None if enrolled_text is None else np.array(enrolled_text)
    both = PrototypeCosines(photo.trained_image, np.zeros(3), photo.enrolled_image, words)
    if enrolled_text is None:
        photo, both = (PrototypeCosines(one.trained_image, one.trained_text) for one in (photo, both))
    alone = combine_modalities(image=image, text=None, calibration=calibration, cosines=photo)
    found = combine_modalities(
        image=image, text=nothing, calibration=calibration, cosines=both, out_of_vocabulary=True
    )
    counts = enrolled_text is not None and enrolled_text[0] > 0
    assert (found.text is not None) == counts
    assert (found.both.unknown == alone.both.unknown) != counts
    # Text that is out of vocabulary and all that there is counts as text.
    assert (
        combine_modalities(
            image=None, text=nothing, calibration=calibration, cosines=both, out_of_vocabulary=True
        ).text
        is not None
    )


def test_parameters_are_read_by_name_and_the_rest_keeps_its_default() -> None:
    calibration = Calibration.from_parameters({"image_weight": "0.25", "precision": "fp32"})
    assert calibration == Calibration(image_weight=0.25)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_temperature", "0"),
        ("text_temperature", "-1"),
        ("fused_temperature", "nan"),
        ("image_weight", "1.5"),
        ("unknown_slope", "-0.1"),
        ("unknown_bias", "much"),
        ("image_power", "0.5"),
        ("unknown_both", "1 2 3 4"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Calibration.from_parameters({name: value})


def test_nothing_given_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="needed"):
        combine_modalities(image=None, text=None, calibration=Calibration())


def test_the_pool_is_read_with_its_temperatures() -> None:
    given = {"image_power": "0.3", "text_power": "0.9", "image_temperature": "1.5"}
    assert Calibration.from_parameters(given).pool == Pool(0.3, 0.9, 1.5, 1.0)
