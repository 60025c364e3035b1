"""Filters become expressions that no value can escape from."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from milvus_lite.search.filter.parser import Parser
from milvus_lite.search.filter.tokens import TokenKind, tokenize

from services.kit.errors import InvalidArgument
from services.rank.catalogue.filters import (
    Filter,
    Operator,
    all_of,
    check_attribute,
    expression,
    literal,
)

# What a protobuf string can hold.
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
nasty = st.text(st.sampled_from(list("\"'\\]) or[\n\r\t%\x00\u2028and")), max_size=40)


@given(texts | nasty)
@example('"] or 1 == 1 or tags in ["')
@example("\\")
@example('\\"')
def test_a_literal_is_one_string_and_means_its_value(value: str) -> None:
    token, end = tokenize(literal(value))
    assert (token.kind, token.value, end.kind) == (TokenKind.STRING, value, TokenKind.EOF)


@given(st.lists(texts | nasty, min_size=1, max_size=4))
def test_values_never_change_the_shape_of_an_expression(values: list[str]) -> None:
    def shape(chosen: list[str]) -> list[str]:
        filters = [
            Filter(field, operator, tuple(chosen))
            for field, operator in (
                ("artist_id", Operator.ANY_OF),
                ("tags", Operator.ALL_OF),
                ("context", Operator.NONE_OF),
            )
        ]
        text = expression(filters)
        tokens = tokenize(text)
        Parser(tokens, text).parse()
        return [token.kind.name if token.kind is TokenKind.STRING else token.text for token in tokens]

    assert shape(values) == shape(["x"] * len(values))


def test_empty_conditions_vanish() -> None:
    assert all_of("", "a == 1", "") == "(a == 1)"
    assert all_of("a", "b") == "(a) and (b)"
    assert expression([]) == ""


def test_an_unknown_value_is_told_what_there_is() -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_attribute("shape", "dodecagon", "filters[0].values[0]")
    ((path, told),) = caught.value.fields
    assert path == "filters[0].values[0]"
    assert told.startswith("is no shape of the vocabulary, which has ")
    for known in ("almond", "square", "coffin"):
        assert known in told
