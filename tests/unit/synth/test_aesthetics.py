"""Aesthetics: the latent qualities are those that are seen, and the votes follow them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from training.synth import generate
from training.synth.design.designs import Design, Look
from training.synth.image import compose
from training.synth.kinds.aesthetics import (
    RATERS,
    TAGS,
    RatedDesign,
    Tag,
    facts,
    fit,
    harmony,
    light,
    lists,
    sample_rated_design,
    score_design,
    vote,
)
from training.synth.kinds.subjects import Subject
from training.synth.nail.canvas import Canvas
from training.synth.nail.craft import Craft, photograph, scuff
from training.synth.nail.shape import Outline


def one(colour: str, accent: str = "", pattern: str = "dots") -> Design:
    look = Look(colour, "gloss", pattern, (accent,)) if accent else Look(colour)
    return Design("oval", "medium", (look,) * 5)


@pytest.fixture(scope="module")
def photos() -> list[RatedDesign]:
    return [sample_rated_design(np.random.default_rng([seed, 2]), True) for seed in range(600)]


def mean_vote(found: RatedDesign) -> float:
    return sum(value * count for value, count in enumerate(found.votes, 1)) / sum(found.votes)


def test_neighbouring_and_opposite_hues_agree_better_than_others() -> None:
    assert harmony(one("pink", "magenta"), 0.3) > harmony(one("pink", "green"), 0.3) + 0.1
    assert harmony(one("orange", "blue"), 1.0) > harmony(one("orange", "purple"), 1.0)
    assert harmony(one("red", "white"), 0.3) > harmony(one("red", "lime"), 0.3)


def test_contrast_pleases_where_liveliness_is_wanted_and_disturbs_where_calm_is() -> None:
    bright, pale = one("navy", "lemon"), one("nude", "beige")
    assert harmony(bright, 1.0) > harmony(pale, 1.0)
    assert harmony(bright, 0.0) < harmony(pale, 0.0)


def test_harmony_lies_between_nought_and_one_and_all_of_it_occurs(photos: list[RatedDesign]) -> None:
    values = [photo.parts["harmony"] for photo in photos]
    assert 0 <= min(values) < 0.2
    assert 0.8 < max(values) <= 1


def test_a_design_fits_the_tags_that_it_shows() -> None:
    french = Design("oval", "short", (Look("nude", "gloss", "french", ("white",)),) * 5)
    assert fit(french, TAGS["french"]) == 1
    assert fit(french, TAGS["leopard"]) == 0
    accent = replace(french, looks=(*french.looks[:3], Look("gold", "glitter"), french.looks[4]))
    assert 0 < fit(accent, TAGS["glitter"]) < fit(accent, TAGS["french"])
    assert fit(one("orange", "black", "stars"), TAGS["halloween"]) > fit(one("nude"), TAGS["halloween"])


def test_each_fault_lowers_the_score() -> None:
    design, tags = one("pink", "magenta"), (TAGS["ocean"],)
    best = score_design(design, Craft(), tags)[1]
    for fault in ({"mess": 0.6}, {"blur": 0.6}, {"stops": -1.2}, {"warm": 0.2}, {"haze": 0.7}):
        assert score_design(design, replace(Craft(), **fault), tags)[1] < best - 0.2


def test_the_right_exposure_depends_on_the_tag() -> None:
    dark = Craft(stops=-0.8)
    assert light(dark, TAGS["goth"].stops) > light(Craft(), TAGS["goth"].stops)
    assert light(dark, TAGS["kawaii"].stops) < light(Craft(), TAGS["kawaii"].stops)


def test_votes_have_the_mean_and_spread_of_ava(photos: list[RatedDesign]) -> None:
    means = np.array([mean_vote(photo) for photo in photos])
    assert means.mean() == pytest.approx(5.4, abs=0.3)
    assert means.std() == pytest.approx(0.73, abs=0.15)
    raters = [sum(photo.votes) for photo in photos]
    assert np.median(raters) == pytest.approx(RATERS, rel=0.12)
    assert min(raters) >= 78
    assert max(raters) <= 549


def test_votes_follow_the_latent_score_with_noise(photos: list[RatedDesign]) -> None:
    scores, means = [p.score for p in photos], [mean_vote(p) for p in photos]
    assert 0.93 < np.corrcoef(scores, means)[0, 1] < 0.999
    repeated = {vote(np.random.default_rng(i), 5.0) for i in range(5)}
    assert len(repeated) == 5


@pytest.mark.parametrize("part", ["harmony", "neatness", "light", "sharpness"])
def test_every_quality_moves_the_votes(part: str, photos: list[RatedDesign]) -> None:
    values = [photo.parts[part] for photo in photos]
    assert np.corrcoef(values, [mean_vote(photo) for photo in photos])[0, 1] > 0.2


def test_fit_to_the_tag_moves_the_votes(photos: list[RatedDesign]) -> None:
    tagged = [photo for photo in photos if photo.tags]
    fits = [np.mean(list(photo.parts["fit"].values())) for photo in tagged]
    assert np.corrcoef(fits, [mean_vote(photo) for photo in tagged])[0, 1] > 0.25


def test_tags_come_in_avas_shares_and_no_photo_has_one_twice(photos: list[RatedDesign]) -> None:
    counts = [len(photo.tags) for photo in photos]
    for number, share in enumerate((0.23, 0.18, 0.59)):
        assert counts.count(number) / len(counts) == pytest.approx(share, abs=0.06)
    assert all(len(set(photo.tags)) == len(photo.tags) for photo in photos)
    assert all(sum(tag.weights) == pytest.approx(1) for tag in TAGS.values())


def test_a_photo_without_tags_is_judged_as_usual() -> None:
    parts, score = score_design(one("red"), Craft(), ())
    assert parts["fit"] == {}
    assert 1 <= score <= 10
    assert Tag("", "").weights == judge_weights()


def judge_weights() -> tuple[float, float, float, float]:
    return Tag("pattern", "dots").weights


def picture(craft: Craft, seed: int = 20) -> np.ndarray:  # type: ignore[type-arg]  # any image
    design = one("red")
    subject = Subject(design, "train", craft=craft)
    rng = np.random.default_rng(seed)
    return compose(rng, design, seed, "aesthetics", 224, "train", subject=subject).image


def test_faults_of_the_photo_are_seen_in_the_photo() -> None:
    def edges(image: np.ndarray) -> float:  # type: ignore[type-arg]  # any image
        return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std())

    right = picture(Craft())
    assert edges(picture(Craft(blur=0.9))) < 0.6 * edges(right)
    assert picture(Craft(stops=-1.5)).mean() < 0.75 * right.mean()
    assert picture(Craft(stops=1.2)).mean() > 1.1 * right.mean()
    warm = picture(Craft(warm=0.2)).reshape(-1, 3).mean(axis=0)
    plain = right.reshape(-1, 3).mean(axis=0)
    assert warm[0] / warm[2] > 1.25 * plain[0] / plain[2]
    assert picture(Craft(haze=1.0)).std() < 0.75 * right.std()


def test_photographing_is_repeatable_and_keeps_the_size() -> None:
    scene = np.random.default_rng(1).random((48, 64, 3)).astype(np.float32)
    shots = [photograph(np.random.default_rng(2), scene, Craft(blur=0.5)) for _ in range(2)]
    assert shots[0].shape == scene.shape
    assert shots[0].dtype == np.uint8
    assert np.array_equal(*shots)


def test_a_messy_hand_leaves_gaps_in_the_paint_and_runs_over_the_skin() -> None:
    covers = []
    for mess in (0.1, 0.5, 1.0):
        canvas = Canvas(Outline("oval", 2.6, 1.8, 0.4), 40)
        scuff(np.random.default_rng(3), canvas, mess)
        covers.append(float(canvas.cover.mean()))
    assert covers == sorted(covers, reverse=True)
    assert covers[2] < 0.93 * covers[0]

    def red(craft: Craft) -> tuple[float, float]:
        """Red pixels outside and inside the nails."""
        outside = inside = 0
        for seed in (20, 21, 25):
            design = one("blue")
            subject = Subject(design, "train", craft=craft)
            sample = compose(
                np.random.default_rng(seed), design, seed, "aesthetics", 320, "train", subject=subject
            )
            pixels = sample.image.astype(int)
            blue = (pixels[..., 2] > pixels[..., 0] + 45) & (pixels[..., 2] > pixels[..., 1] + 30)
            near = cv2.dilate((sample.mask > 0).astype(np.uint8), np.ones((15, 15))) > 0
            outside += int((blue & near & (sample.mask == 0)).sum())
            inside += int((blue & (sample.mask > 0)).sum())
        return outside, inside

    neat, messy = red(Craft()), red(Craft(mess=1.0))
    assert messy[0] > neat[0] + 40
    assert messy[1] < neat[1]


def test_a_record_holds_tags_votes_and_the_latent_parts() -> None:
    record = generate(9, "aesthetics", 96).record["aesthetics"]
    assert len(record["votes"]) == 10
    assert sum(record["votes"]) == record["raters"]
    assert record["mos"] == pytest.approx(np.dot(record["votes"], range(1, 11)) / record["raters"], abs=1e-3)
    assert set(record["parts"]) == {"harmony", "neatness", "light", "sharpness", "fit"}
    assert set(record["parts"]["fit"]) == set(record["tags"])
    assert all(len(words) == len(record["tags"]) for words in record["words"].values())
    assert record["parts"]["neatness"] == pytest.approx(1 - record["shown"]["mess"], abs=1e-3)


def test_the_list_has_the_columns_of_ava(photos: list[RatedDesign]) -> None:
    records = [{"id": f"{i:06d}", **facts(photo)} for i, photo in enumerate(photos[:50])]
    files = lists(records)
    names = dict(row.split(" ", 1) for row in files["tags.txt"].splitlines())
    rows = [list(map(int, row.split())) for row in files["AVA.txt"].splitlines()]
    for photo, row in zip(photos, rows, strict=False):
        assert len(row) == 15
        assert tuple(row[2:12]) == photo.votes
        assert tuple(names[str(tag)] for tag in row[12:14] if tag) == photo.tags
