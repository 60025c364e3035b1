"""Errors go over the wire and come back as the same classes with the same facts."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2

from lunula.type.v1 import item_error_pb2
from services.kit import errors
from services.kit.errors import (
    CODES,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    LunulaError,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from services.kit.wire.errors import (
    DETAILS_KEY,
    from_item_error,
    from_rpc_error,
    from_status,
    to_item_error,
    to_status,
)

TREE = [cls for cls in CODES if cls is not LunulaError]


def rpc_error(
    code: grpc.StatusCode, details: str = "", trailers: tuple[tuple[str, str | bytes], ...] = ()
) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details)


@pytest.mark.parametrize("cls", TREE)
def test_every_class_survives_the_wire_with_its_facts(cls: type[LunulaError]) -> None:
    error = cls(
        "What happened.",
        reason="SOMETHING_HAPPENED",
        fields=[("photos[0].data", "is empty"), ("options", "is odd")],
        resource=("design", "d001"),
        retry_after_s=0.25,
        metadata={"limit": "64"},
    )
    status = to_status(error, request_id="r1")
    back = from_rpc_error(rpc_error(error.code, error.message, ((DETAILS_KEY, status.SerializeToString()),)))
    assert type(back) is cls
    assert (back.message, back.reason, back.fields) == (error.message, error.reason, error.fields)
    assert (back.resource, back.metadata) == (error.resource, error.metadata)
    assert (back.retry_after_s, back.request_id) == (0.25, "r1")


@pytest.mark.parametrize("cls", TREE)
def test_every_class_survives_as_the_error_of_an_item(cls: type[LunulaError]) -> None:
    error = cls("What happened.", reason="SOMETHING", fields=[("photo", "is empty")], retry_after_s=1.5)
    item = to_item_error(error)
    back = from_item_error(item)
    assert item.code == error.code.value[0]
    assert type(back) is cls
    assert (back.message, back.reason, back.fields, back.retry_after_s) == (
        "What happened.",
        "SOMETHING",
        (("photo", "is empty"),),
        1.5,
    )


def test_every_class_of_the_module_has_its_own_code_and_stands_in_the_drawn_tree() -> None:
    classes = {
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, LunulaError)
    }
    assert classes == set(CODES)
    assert len({CODES[cls] for cls in TREE}) == len(TREE)
    assert errors.__doc__ is not None
    for cls in classes:
        assert f" {cls.__name__}" in errors.__doc__


def test_a_subclass_made_by_a_service_has_the_code_of_its_base() -> None:
    class PageTokenWrong(InvalidArgument):
        default_reason = "PAGE_TOKEN_WRONG"

    error = PageTokenWrong("No.")
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_WRONG")


def test_the_error_info_has_the_domain_of_the_product() -> None:
    info = error_details_pb2.ErrorInfo()
    assert to_status(NotFound("No.", reason="DESIGN_NOT_FOUND")).details[0].Unpack(info)
    assert (info.domain, info.reason) == ("lunula", "DESIGN_NOT_FOUND")


def test_details_that_do_not_apply_are_not_sent() -> None:
    assert len(to_status(NotFound("No.")).details) == 1


def test_a_retry_delay_below_a_millisecond_is_not_lost_on_an_item() -> None:
    assert to_item_error(ResourceExhausted("Full.", retry_after_s=0.0001)).retry_delay_ms == 1
    assert from_item_error(item_error_pb2.ItemError(code=8)).retry_after_s is None


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.UNKNOWN, Internal),
        (grpc.StatusCode.DATA_LOSS, Internal),
        (grpc.StatusCode.OUT_OF_RANGE, InvalidArgument),
    ],
)
def test_a_status_without_details_gives_the_class_of_its_code(
    code: grpc.StatusCode, cls: type[LunulaError]
) -> None:
    back = from_rpc_error(rpc_error(code, "connection refused", (("x-request-id", "r2"),)))
    assert type(back) is cls
    assert (back.message, back.reason, back.request_id) == ("connection refused", cls.default_reason, "r2")


def test_details_that_are_garbage_or_of_another_code_are_not_believed() -> None:
    garbage = from_rpc_error(rpc_error(grpc.StatusCode.NOT_FOUND, "gone", ((DETAILS_KEY, b"\xff\xff"),)))
    assert (type(garbage), garbage.message) == (NotFound, "gone")
    other = to_status(InvalidArgument("No.")).SerializeToString()
    foreign = from_rpc_error(rpc_error(grpc.StatusCode.NOT_FOUND, "gone", ((DETAILS_KEY, other),)))
    assert (type(foreign), foreign.reason) == (NotFound, "NOT_FOUND")


def test_details_of_unknown_types_are_ignored() -> None:
    status = to_status(NotFound("No.", reason="GONE"))
    status.details.add().Pack(error_details_pb2.Help())
    assert from_status(status).reason == "GONE"


def test_the_text_of_an_error_names_its_reason() -> None:
    assert str(NotFound("There is no design 'x'.", reason="DESIGN_NOT_FOUND")).endswith("[DESIGN_NOT_FOUND]")
