"""What a photo is meant to be, out of a request's words or of none."""

from __future__ import annotations

import pytest

from nails.aesthetic.tags import AUTO_TAGS, MAX_TAGS, TAG_KINDS, tags_of_request, words_of_tag, words_of_tags
from nails.language.phrases import parse_request
from nails.vocabulary import TERM_BY_NAME


def tags(text: str) -> tuple[str, ...]:
    reading = parse_request(text)
    return tags_of_request(reading.phrases, reading.mdd)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("long almond nails with marble and gold foil for a wedding", ("marble", "gold foil", "wedding")),
        ("マットなクリスマスネイル", ("matte", "christmas")),
        ("marble, marbled, marbling", ("marble",)),
        ("halloween without glitter", ("halloween",)),
    ],
)
def test_a_request_is_about_what_the_vocabulary_knows_and_it_does_not_refuse(
    text: str, expected: tuple[str, ...]
) -> None:
    assert tags(text) == expected


def test_a_request_of_shapes_and_colours_is_about_its_own_lines() -> None:
    assert tags("long almond nails in red") == tuple(parse_request("long almond nails in red").mdd)
    assert tags("xyzzy") == ("xyzzy",)
    assert tags("") == ()


def test_a_request_is_about_no_more_than_the_model_takes() -> None:
    assert (
        len(tags("marble, dots, stripes, check, floral, leopard, hearts, stars, swirl, flames")) == MAX_TAGS
    )


def test_a_name_of_the_vocabulary_stands_for_its_words() -> None:
    assert words_of_tag("cherry_blossom") == "cherry blossom"
    assert words_of_tag("cat_eye") == "cat-eye"
    assert words_of_tag("my own idea") == "my own idea"


@pytest.mark.parametrize(
    "tag", ["wedding", "Wedding", " WEDDING ", "ｗｅｄｄｉｎｇ", "weddings", "ウェディング"]
)
def test_what_the_vocabulary_knows_is_said_in_one_way(tag: str) -> None:
    assert words_of_tag(tag) == "wedding"


@pytest.mark.parametrize(
    "tag", ["wedding nails", "wedding, marble", "no wedding", "red", "wedding!", "almond", ""]
)
def test_a_tag_that_is_more_or_other_than_one_term_stands_as_written(tag: str) -> None:
    assert words_of_tag(tag) == tag


def test_every_word_of_a_kind_of_tags_is_known_as_a_tag() -> None:
    for kind in TAG_KINDS:
        for name, term in TERM_BY_NAME[kind].items():
            for word in (*term.en, *term.ja):
                assert words_of_tag(word) == term.en[0], (kind, name, word)


def test_tags_that_say_the_same_are_one_and_keep_their_order() -> None:
    said = words_of_tags(["Marble", "桜", "my idea", "cherry_blossom", "大理石", "my idea"])
    assert said == ("marble", "cherry blossom", "my idea")
    assert len(words_of_tags(f"idea {number}" for number in range(20))) == MAX_TAGS


def test_photos_are_looked_through_for_themes_and_patterns_each_once() -> None:
    assert {tag.kind for tag in AUTO_TAGS} == {"theme", "pattern"}
    assert len({(tag.kind, tag.name) for tag in AUTO_TAGS}) == len(AUTO_TAGS) > 40
    assert all(tag.words for tag in AUTO_TAGS)
