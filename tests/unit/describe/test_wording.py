"""The compact description: what is certain, in words that the lexicon reads back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nails.language.phrases import parse_request
from nails.vocabulary import ATTRIBUTES, COLOUR_BY_NAME, COLOURS
from training.kit.data.attribute_text import describe_attributes

CERTAIN = {
    "shape": [("almond", 0.9), ("oval", 0.08)],
    "length": [("short", 0.8), ("medium", 0.2)],
    "finish": [("chrome", 0.7), ("gloss", 0.3)],
    "pattern": [("marble", 0.9), ("plain", 0.05)],
    "part": [("rhinestone", 0.95), ("pearl", 0.4)],
}
PALETTE = [
    (COLOUR_BY_NAME["gold"].lab, 0.3),
    (COLOUR_BY_NAME["white"].lab, 0.65),
    (COLOUR_BY_NAME["red"].lab, 0.05),
]


def test_what_is_certain_is_said_from_the_whole_to_the_parts() -> None:
    assert describe_attributes(CERTAIN, PALETTE) == (
        "Short almond nails in white and gold with a chrome finish, a marble pattern and rhinestones."
    )


def test_the_accent_and_the_mood_have_sentences_of_their_own() -> None:
    known = {
        "colour": [("grey", 0.9)],
        "accent_colour": [("gold", 0.8)],
        "accent_finish": [("glitter", 0.8)],
        "accent_part": [("pearl", 0.6)],
        "finger": [("ring", 0.7), ("pinky", 0.2)],
        "theme": [("winter", 0.6)],
    }
    assert describe_attributes(known) == (
        "Nails in grey. Accent on the ring finger in gold glitter with pearls. Winter style."
    )
    assert describe_attributes({"accent_pattern": [("stars", 1.0)]}) == "Nails. Accent nail in stars."
    assert describe_attributes({"finger": [("ring", 1.0)]}) == "Nails."


def test_plain_is_said_only_where_there_is_no_pattern() -> None:
    assert describe_attributes({"pattern": [("plain", 0.8)]}) == "Plain nails."
    both = {"pattern": [("plain", 0.8), ("french", 0.6)]}
    assert describe_attributes(both) == "Nails with a french pattern."


def test_what_is_uncertain_is_left_out() -> None:
    torn = {
        "shape": [("almond", 0.5), ("oval", 0.45)],
        "length": [("short", 0.4)],
        "finish": [("matte", 0.49)],
        "colour": [("red", 0.3)],
    }
    assert describe_attributes(torn) == "Nails."
    assert describe_attributes(torn, least=0.45) == "Nails with a matte finish."


def test_nothing_known_is_still_a_description() -> None:
    assert describe_attributes({}) == "Nails."


def test_the_order_of_equal_probabilities_does_not_matter() -> None:
    names = [("dots", 0.6), ("cow", 0.6), ("stars", 0.6)]
    assert describe_attributes({"pattern": names}) == describe_attributes({"pattern": names[::-1]})


KINDS = ("shape", "length", "finish", "pattern", "part", "theme")
chosen = st.fixed_dictionaries(
    {kind: st.sampled_from([term.name for term in ATTRIBUTES[kind]]) for kind in KINDS}
)


@settings(max_examples=200)
@given(chosen, st.sampled_from(COLOURS[:-1]), st.sampled_from(COLOURS[:-1]))
def test_the_lexicon_reads_back_what_was_said(names: dict[str, str], first: object, second: object) -> None:
    colours = {first.name, second.name}  # type: ignore[attr-defined]  # colours
    said = {kind: [(name, 0.9)] for kind, name in names.items()}
    said["colour"] = [(name, 0.9) for name in sorted(colours)]
    reading = parse_request(describe_attributes(said))
    wanted = {*names.items(), *(("colour", name) for name in colours)}
    assert not any(phrase.negated for phrase in reading.phrases)
    assert {(phrase.kind, phrase.name) for phrase in reading.phrases} == wanted


@pytest.mark.parametrize(
    ("attributes", "palette", "words"),
    [
        ({"mood": [("winter", 0.9)]}, [], "'mood': a kind of attribute expected"),
        ({"shape": [("heptagon", 0.9)]}, [], "shape: 'heptagon' is not in the vocabulary"),
        ({"accent_part": [("gloss", 0.9)]}, [], "accent_part: 'gloss'"),
        ({"shape": [("oval", 1.5)]}, [], r"shape: oval: a probability in \[0, 1\]"),
        ({"shape": [("oval", float("nan"))]}, [], "a probability"),
        ({}, [((50, 0, 0), 1.5)], "palette: a CIELAB colour and a share"),
        ({}, [((50, 0), 0.5)], "palette"),
        ({}, [((50, 300, 0), 0.5)], "palette"),
    ],
)
def test_what_cannot_be_is_refused(attributes: dict[str, Any], palette: list[Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        describe_attributes(attributes, palette)
