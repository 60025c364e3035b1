"""Filters become expressions that no value can escape from."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from milvus_lite.search.filter.parser import Parser
from milvus_lite.search.filter.tokens import TokenKind, tokenize

from lunula.rank.v1 import rank_service_pb2 as pb
from services.kit.errors import InvalidArgument
from services.rank.catalogue.filters import all_of, check_attribute, expression, literal

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
            pb.Filter(field=field, operator=operator, values=chosen)
            for field, operator in (
                ("artist_id", pb.FILTER_OPERATOR_ANY_OF),
                ("tags", pb.FILTER_OPERATOR_ALL_OF),
                ("context", pb.FILTER_OPERATOR_NONE_OF),
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
