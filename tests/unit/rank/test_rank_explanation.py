"""Why a design was found, in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nails.colour.palette import PaletteColour
from nails.language.phrases import Phrase, parse_request
from services.rank.search import explanation
from services.rank.search.explanation import Explainer, match_colours

RED, BLUE = (45.0, 60.0, 35.0), (30.0, 30.0, -60.0)


def row(**fields: Any) -> dict[str, Any]:
    known = {
        "design_id": "d",
        "title": "red almond nails",
        "description": "a thin gold french line, without pearls",
        "tags": ["party"],
        "attributes": ["finish=matte"],
        "artist_id": "",
        "context": "",
        "facts": json.dumps({"palette": [[RED, 1.0, "red"]], "crop_box": None}),
    }
    return known | fields


def phrases(text: str) -> list[Phrase]:
    return parse_request(text).phrases


def explain(text: str, *palette: PaletteColour, **fields: Any) -> str:
    (colours,) = match_colours(palette, [row(**fields)])
    return Explainer().explain(phrases(text), colours, row(**fields))


def test_what_is_met_avoided_and_not_mentioned_is_told() -> None:
    told = explain("matte almond nails with a bow, no glitter")
    assert told.startswith("matte, almond")
    assert "nothing of: glitter" in told
    assert "not mentioned: bow" in told


def test_colours_are_told_with_their_difference_where_the_design_has_them() -> None:
    red, blue = PaletteColour(RED, 0.5, "red"), PaletteColour(BLUE, 0.5, "navy_blue")
    assert "red (ΔE 0)" in explain("red nails", red, blue)
    assert "navy" not in explain("red nails", red, blue)
    assert "navy blue (ΔE 0)" in explain(
        "red nails",
        red,
        blue,
        facts=json.dumps({"palette": [[BLUE, 1.0, "navy_blue"]], "crop_box": None}),
    )
    assert "ΔE" not in explain("red nails", red, facts=json.dumps({"palette": [], "crop_box": None}))


def test_the_words_of_a_design_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counting(text: str) -> Any:
        read.append(text)
        return parse_request(text)

    monkeypatch.setattr(explanation, "parse_request", counting)
    explainer = Explainer(cache_size=2)
    asked = phrases("almond nails")
    first = [explainer.explain(asked, (), row(title=title)) for title in ("almond", "coffin", "almond")]
    assert first[0] == first[2] != first[1]
    assert len(read) == 2
    # What the words say is remembered, not what was asked: another request gets its own answer.
    assert explainer.explain(phrases("coffin nails"), (), row(title="almond")) != first[0]
    assert len(read) == 2
