"""Stories: five photos, two worlds, four levels; what is held out stays in test stories."""

from __future__ import annotations

import json
import re

import pytest

from nails.vocabulary import COLOUR_BY_NAME
from training.synth.design.fit import affinity
from training.synth.design.themes import THEMES
from training.synth.facts import satisfies
from training.synth.holdout import (
    HELD_OUT_FRAMES,
    HELD_OUT_PEOPLE,
    HELD_OUT_THEMES,
    has_held_out_word,
    template_held_out,
    templates,
)
from training.synth.scene.record import design_attributes
from training.synth.text.moments import FRAMES, MOMENTS, PEOPLE
from training.synth.text.stories import GROUP, LEVELS, StoryPhoto, facts, lists, plan_story_photo

Record = dict  # type: ignore[type-arg]  # records are plain JSON
Groups = list[list[tuple[StoryPhoto, Record]]]


@pytest.fixture(scope="module")
def groups() -> Groups:
    found = []
    for group in range(40):
        members = [plan_story_photo(GROUP * group + member) for member in range(GROUP)]
        found.append([(member, facts(member)) for member in members])
    return found


def stories_of(groups: Groups) -> list[tuple[StoryPhoto, Record]]:
    return [(member, story) for group in groups for member, record in group for story in record["stories"]]


def test_all_five_of_a_group_tell_the_same_story_and_have_moments_of_their_own(
    groups: Groups,
) -> None:
    for group in groups:
        for world in ("A", "B"):
            for lang in ("en", "ja"):
                told = [s for _, r in group for s in r["stories"] if (s["world"], s["lang"]) == (world, lang)]
                assert len({(story["title"], story["story"]) for story in told}) == 1
                assert sorted(story["moment"] for story in told) == list(range(GROUP))
                assert len({story["theme"] for story in told}) == GROUP
        assert len({member.split for member, _ in group}) == 1
        assert len({(m.design.main.colour, m.design.main.pattern) for m, _ in group}) == GROUP


def test_two_worlds_want_a_photo_for_different_moments(groups: Groups) -> None:
    for member, record in (pair for group in groups for pair in group):
        themes = {story["world"]: story["theme"] for story in record["stories"]}
        assert themes["A"] != themes["B"]
        assert themes["A"] == member.design.theme


def test_designs_follow_the_theme_of_their_moment(groups: Groups) -> None:
    for member in (member for group in groups for member, _ in group):
        own = member.themes["A"][member.member]
        assert affinity(member.design, own) >= 1
        other = member.themes["B"][member.member]
        strange = [affinity(member.design, name) for name in THEMES if name not in (own, other)]
        assert affinity(member.design, other) >= sorted(strange)[len(strange) // 2] - 1.2


def test_every_photo_is_asked_for_at_four_levels_in_its_language(
    groups: Groups,
) -> None:
    for _, story in stories_of(groups):
        assert tuple(story["queries"]) == LEVELS
        for text in (story["title"], story["story"], *story["queries"].values()):
            assert text
            assert bool(re.search(r"[\u3040-\u9fff]", text)) == (story["lang"] == "ja")
            assert "{" not in text


def test_the_first_level_is_true_and_the_last_two_say_nothing_that_is_seen(
    groups: Groups,
) -> None:
    colours = {word for colour in COLOUR_BY_NAME.values() for word in colour.en}
    for member, story in stories_of(groups):
        assert satisfies(design_attributes(member.design), story["claims"])
        if story["lang"] == "en":
            for level in ("L3", "L4"):
                words = set(re.findall(r"[a-z]+", story["queries"][level].lower()))
                assert not words & colours


def test_the_third_and_fourth_level_share_no_telling_word_with_the_story() -> None:
    plain = {"the", "of", "a", "an", "and", "in", "to", "for", "with", "on", "by", "that", "is", "it", "at"}
    for name, moment in MOMENTS.items():
        for (context, _), (ask, _), (feel, _) in zip(
            THEMES[name].contexts, moment.asks, moment.feels, strict=True
        ):
            happens = set(re.findall(r"[a-z]+", context.lower())) - plain
            assert not happens & set(re.findall(r"[a-z]+", ask.lower())), (context, ask)
            assert not happens & set(re.findall(r"[a-z]+", feel.lower())), (context, feel)


def test_the_story_tells_which_set_belongs_to_which_day(
    groups: Groups,
) -> None:
    """In English a photo's second level names a day, and the story names it once."""
    days = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
    for _, story in stories_of(groups):
        if story["lang"] == "en":
            day = re.search(days, story["queries"]["L2"])
            assert day is not None
            assert story["story"].count(day.group()) == 1


def test_what_is_held_out_occurs_in_test_stories_alone(groups: Groups) -> None:
    seen = {"test": 0, "other": 0}
    for member, story in stories_of(groups):
        people = {en for en, ja in PEOPLE if en in story["title"] or ja in story["title"]}
        frames = [f for f in FRAMES if story["title"] in (f[0].format(p=p[0]) for p in PEOPLE)]
        if member.split == "test":
            seen["test"] += 1
            assert set(member.themes["A"]) & HELD_OUT_THEMES
            assert people <= HELD_OUT_PEOPLE
            assert all(frame[0] in HELD_OUT_FRAMES for frame in frames)
        else:
            seen["other"] += 1
            assert not (set(member.themes["A"]) | set(member.themes["B"])) & HELD_OUT_THEMES
            assert not people & HELD_OUT_PEOPLE
            assert all(frame[0] not in HELD_OUT_FRAMES for frame in frames)
            assert not any(has_held_out_word(text) for text in (story["story"], *story["queries"].values()))
    assert min(seen.values()) > 10


def test_every_theme_has_moments_and_every_choice_leaves_some_for_training() -> None:
    assert set(MOMENTS) == set(THEMES)
    assert {en for en, _ in PEOPLE} > HELD_OUT_PEOPLE
    assert {frame[0] for frame in FRAMES} > HELD_OUT_FRAMES
    groups = templates("stories")
    assert len(groups) >= 8
    assert all(any(not template_held_out(text) for text in group) for group in groups)


def test_the_list_names_who_answers_each_query(groups: Groups) -> None:
    records = []
    for number, (member, record) in enumerate(pair for group in groups[:12] for pair in group):
        records.append({"id": f"{number:06d}", "attributes": design_attributes(member.design), **record})
    rows = [json.loads(row) for row in lists(records)["contexts.jsonl"].splitlines()]
    assert len(rows) == 4 * len(records)
    by_id = {record["id"]: record for record in records}
    for row in rows:
        own = by_id[row["image"]]
        assert row["group"] == own["group"]
        assert all(row["positives"][level] == [row["image"]] for level in LEVELS[1:])
        assert row["image"] in row["positives"]["L1"]
        story = next(s for s in own["stories"] if (s["world"], s["lang"]) == (row["world"], row["lang"]))
        assert row["queries"] == story["queries"]
        for name in row["positives"]["L1"]:
            assert satisfies(by_id[name]["attributes"], story["claims"])
            assert by_id[name]["split"] == row["split"]
