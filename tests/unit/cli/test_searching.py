from __future__ import annotations

from pathlib import Path

import pytest

from cli.client import searching
from lunula.rank.v1 import rank_service_pb2 as rank


def test_hex_codes_become_cielab_colours() -> None:
    palette = searching.parse_palette(["#ffffff", "000000"])
    white, black = (item.colour for item in palette.colours)
    assert white.l == pytest.approx(100, abs=0.05)
    assert white.a == pytest.approx(0, abs=0.05)
    assert black.l == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("code", ["red", "#ff", "#gggggg", "", "#ffffff00"])
def test_a_colour_that_is_no_hex_code_is_refused(code: str) -> None:
    with pytest.raises(searching.RequestError, match="not a colour"):
        searching.parse_palette([code])


@pytest.mark.parametrize(
    ("typed", "field", "operator", "values"),
    [
        ("artist_id=a1,a2", "artist_id", rank.FILTER_OPERATOR_ANY_OF, ["a1", "a2"]),
        ("tags!=red", "tags", rank.FILTER_OPERATOR_NONE_OF, ["red"]),
        ("tags&=red, winter", "tags", rank.FILTER_OPERATOR_ALL_OF, ["red", "winter"]),
        ("attributes.shape=almond", "attributes.shape", rank.FILTER_OPERATOR_ANY_OF, ["almond"]),
    ],
)
def test_filters_are_read_as_typed(typed: str, field: str, operator: int, values: list[str]) -> None:
    assert searching.parse_filter(typed) == rank.Filter(field=field, operator=operator, values=values)


@pytest.mark.parametrize("typed", ["", "artist_id", "=x", "tags>3", "Artist=1"])
def test_other_filters_are_refused(typed: str) -> None:
    with pytest.raises(searching.RequestError, match="not a filter"):
        searching.parse_filter(typed)


def test_weights_name_channels() -> None:
    assert searching.parse_weights("design=1, palette=0.5") == rank.ChannelWeights(design=1, palette=0.5)


@pytest.mark.parametrize("typed", ["colour=1", "design=much", "design"])
def test_other_weights_are_refused(typed: str) -> None:
    with pytest.raises(searching.RequestError):
        searching.parse_weights(typed)


def test_a_reference_is_a_file_where_there_is_one_and_an_id_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "like.jpg"
    path.write_bytes(b"photo")
    photo, design_id = searching.parse_reference(str(path))
    assert photo is not None
    assert (photo.data, design_id) == (b"photo", "")
    assert searching.parse_reference("d001") == (None, "d001")


def test_a_request_is_described_in_one_line() -> None:
    request = rank.SearchDesignsRequest(
        text="red", reference_design_id="d1", filters=[searching.parse_filter("tags!=dots")]
    )
    assert searching.describe(request) == "“red”, like d1, tags none of dots"


def test_aesthetic_tags_are_part_of_the_description() -> None:
    request = rank.SearchDesignsRequest(text="red", aesthetic_tags=["wedding", "marble"])
    assert searching.describe(request) == "“red”, scored as wedding, marble"
