"""From structured filters to a Milvus expression that no value can escape from.

Values are only ever written as double-quoted literals. Invariant, held by a property test against Milvus'
own tokenizer: for any value, the literal is one string token whose value is the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from nails.vocabulary import TERM_BY_NAME
from services.kit.errors import invalid_field
from services.rank.catalogue.rows import attribute_token

MAX_FILTERS = 16
MAX_VALUES = 100
MAX_VALUE_CHARACTERS = 256
ATTRIBUTE_KINDS = ("shape", "length", "finish", "pattern", "colour", "part", "theme")
_SCALARS = ("design_id", "artist_id", "context")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class Operator(Enum):
    """How a filter compares its field with its values."""

    ANY_OF = "any_of"
    NONE_OF = "none_of"
    ALL_OF = "all_of"


@dataclass(frozen=True)
class Filter:
    """A condition as the caller gave it, not yet checked. operator: None where it is missing or unknown."""

    field: str
    operator: Operator | None
    values: tuple[str, ...]


def literal(value: str) -> str:
    """`value` as a string literal of Milvus' expression language."""
    return f'"{value.translate(_ESCAPES)}"'


def id_expression(design_ids: Iterable[str]) -> str:
    """Rows with one of these ids; `design_ids` is not empty."""
    return f"design_id in {_list(list(design_ids))}"


def all_of(*expressions: str) -> str:
    """Rows that meet every expression that is not empty; "" meets all."""
    return " and ".join(f"({expression})" for expression in expressions if expression)


def expression(filters: Sequence[Filter]) -> str:
    """The expression that all `filters` together mean; "" when there are none.

    Raises InvalidArgument TOO_MANY_FILTERS, UNKNOWN_FILTER_FIELD, UNKNOWN_ATTRIBUTE, FILTER_OPERATOR_MISSING,
    FILTER_OPERATOR_UNSUPPORTED, FILTER_VALUES_INVALID with the path of the field.
    """
    if len(filters) > MAX_FILTERS:
        raise invalid_field(
            "TOO_MANY_FILTERS", "filters", f"must have at most {MAX_FILTERS}, has {len(filters)}"
        )
    return all_of(*(_one(item, f"filters[{index}]") for index, item in enumerate(filters)))


def check_attribute(name: str, value: str, path: str) -> None:
    """Raises InvalidArgument UNKNOWN_ATTRIBUTE unless both are of the vocabulary."""
    if name not in ATTRIBUTE_KINDS:
        raise invalid_field(
            "UNKNOWN_ATTRIBUTE", path, f"the attribute must be one of {', '.join(ATTRIBUTE_KINDS)}"
        )
    if value not in TERM_BY_NAME[name]:
        known = ", ".join(TERM_BY_NAME[name])
        raise invalid_field("UNKNOWN_ATTRIBUTE", path, f"is no {name} of the vocabulary, which has {known}")


def _one(item: Filter, path: str) -> str:
    values = list(item.values)
    _check_values(values, f"{path}.values")
    if item.operator is None:
        raise invalid_field(
            "FILTER_OPERATOR_MISSING", f"{path}.operator", "must be ANY_OF, NONE_OF or ALL_OF"
        )
    if item.operator is Operator.ALL_OF and item.field != "tags":
        raise invalid_field("FILTER_OPERATOR_UNSUPPORTED", f"{path}.operator", "ALL_OF is for tags only")
    if item.field in _SCALARS:
        found = f"{item.field} in {_list(values)}"
    elif item.field == "tags":
        every = item.operator is Operator.ALL_OF
        found = f"array_contains_{'all' if every else 'any'}(tags, {_list(values)})"
    elif item.field.startswith("attributes."):
        name = item.field.removeprefix("attributes.")
        if name not in ATTRIBUTE_KINDS:
            raise invalid_field(
                "UNKNOWN_ATTRIBUTE",
                f"{path}.field",
                f"the attribute must be one of {', '.join(ATTRIBUTE_KINDS)}",
            )
        for index, value in enumerate(values):
            check_attribute(name, value, f"{path}.values[{index}]")
        found = f"array_contains_any(attributes, {_list([attribute_token(name, v) for v in values])})"
    else:
        raise invalid_field(
            "UNKNOWN_FILTER_FIELD",
            f"{path}.field",
            "must be design_id, artist_id, tags, context or attributes.NAME",
        )
    return f"not ({found})" if item.operator is Operator.NONE_OF else found


def _check_values(values: Sequence[str], path: str) -> None:
    if not 1 <= len(values) <= MAX_VALUES:
        raise invalid_field(
            "FILTER_VALUES_INVALID", path, f"must have 1 to {MAX_VALUES} values, has {len(values)}"
        )
    for index, value in enumerate(values):
        if len(value) > MAX_VALUE_CHARACTERS:
            raise invalid_field(
                "FILTER_VALUES_INVALID",
                f"{path}[{index}]",
                f"must have at most {MAX_VALUE_CHARACTERS} characters, has {len(value)}",
            )


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(literal(value) for value in values)}]"
