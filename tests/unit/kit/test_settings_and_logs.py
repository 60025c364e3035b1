"""Configuration and observability of a service: settings, JSON logs, spans."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.kit.deadline import Deadline
from services.kit.scope import CallScope, bind
from services.kit.settings import ServiceSettings, UpstreamSettings, load
from services.kit.telemetry import logs, tracing


class ToeSettings(ServiceSettings, UpstreamSettings):
    """Finds toes."""

    model_config = SettingsConfigDict(env_prefix="LUNULA_TOE_")

    port: int = Field(7999, description="port to listen on")
    shoe_address: str = Field("127.0.0.1:1", description="where the shoe service is")


def test_the_command_line_wins_over_the_environment_and_that_over_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LUNULA_TOE_PORT", "8001")
    monkeypatch.setenv("LUNULA_TOE_MAX_IN_FLIGHT", "3")
    monkeypatch.setenv("LUNULA_CROP_MAX_IN_FLIGHT", "99")
    settings = load(ToeSettings, ["--port", "8002", "--model-repository", "elsewhere"])
    assert (settings.port, settings.max_in_flight, settings.host) == (8002, 3, "127.0.0.1")
    assert settings.model_repository == Path("elsewhere")


def test_help_lists_every_setting_with_its_default_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load(ToeSettings, ["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Finds toes." in text
    for name, field in ToeSettings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in text
        assert field.description, name
        assert " ".join(field.description.split()) in text.replace("- ", "-"), name


def test_settings_can_be_switched_off_on_the_command_line() -> None:
    settings = load(ToeSettings, ["--metrics-port", "none", "--no-reflection"])
    assert (settings.metrics_port, settings.reflection) == (None, False)


def test_lists_are_given_by_repeating_the_option_or_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(ToeSettings, ["--allowed-uri-prefixes", "file:///a", "--allowed-uri-prefixes", "s3://b"])
    assert loaded.allowed_uri_prefixes == ("file:///a", "s3://b")
    monkeypatch.setenv("LUNULA_TOE_ALLOWED_URI_PREFIXES", '["file:///a"]')
    assert load(ToeSettings, []).allowed_uri_prefixes == ("file:///a",)


def test_settings_are_frozen_and_secrets_do_not_print() -> None:
    settings = ToeSettings(bearer_token="s3cret")  # type: ignore[arg-type]  # coerced by pydantic
    with pytest.raises(pydantic.ValidationError):
        settings.port = 1  # type: ignore[misc]  # that is the point
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    "wrong",
    [
        {"metrics_port": 70_000},
        {"max_in_flight": 0},
        {"backend": "magic"},
        {"tls_cert": "a.pem"},
        {"tls_client_ca": "ca.pem"},
        {"unknown": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        ToeSettings(**wrong)


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def test_a_log_line_is_json_with_the_request_id_and_the_trace(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    logs.configure("INFO", stream=stream)
    with bind(CallScope("/lunula.Crop/Images", "r1", Deadline.never())):
        try:
            raise ZeroDivisionError("by zero")
        except ZeroDivisionError:
            root_logger.exception("unhandled", extra={"model": "nail_seg"})
    root_logger.debug("not logged")
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["level"] == "ERROR"
    assert (entry["message"], entry["model"]) == ("unhandled", "nail_seg")
    assert (entry["request_id"], entry["method"]) == ("r1", "/lunula.Crop/Images")
    assert "ZeroDivisionError: by zero" in entry["trace"]
    assert entry["time"]


def test_logs_can_be_plain_text(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    logs.configure("INFO", "text", stream=stream)
    root_logger.info("listening")
    assert stream.getvalue().endswith("INFO root listening\n")


async def test_every_call_leaves_one_access_line(crops: Any, caplog: pytest.LogCaptureFixture) -> None:
    from lunula.crop.v1 import crop_service_pb2 as pb
    from lunula.crop.v1 import crop_service_pb2_grpc as pb_grpc
    from services.kit.client import call, connect

    request = pb.CropImagesRequest(photos=[{"data": b"x" * 50}])
    with caplog.at_level(logging.INFO, "lunula.access"):
        async with crops() as server, connect(server.address) as channel:
            await call(pb_grpc.CropServiceStub(channel).CropImages, request, timeout=10)
    (record,) = [record for record in caplog.records if record.name == "lunula.access"]
    facts = record.__dict__
    assert (facts["code"], facts["request_bytes"], facts["responses"]) == ("OK", request.ByteSize(), 1)
    assert "decode" in facts["timings"]


def test_without_an_endpoint_there_are_no_spans_and_no_metadata() -> None:
    quiet = tracing.Tracing("crop", None)
    with quiet.span("/a/B", {}) as span:
        assert not span.is_recording()
        assert tuple(tracing.outgoing()) == ()
    quiet.close()


def test_a_span_continues_the_trace_of_its_caller_and_hands_it_on() -> None:
    exporter = InMemorySpanExporter()
    recording = tracing.Tracing("crop", None, processor=SimpleSpanProcessor(exporter))
    with recording.span("/lunula.A/Outer", {}) as outer:
        carried = dict(tracing.outgoing())
    with recording.span("/lunula.B/Inner", carried) as inner:
        assert inner.get_span_context().trace_id == outer.get_span_context().trace_id
    recording.close()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"lunula.A/Outer", "lunula.B/Inner"}
    parent = spans["lunula.B/Inner"].parent
    assert parent is not None
    assert parent.span_id == outer.get_span_context().span_id
    assert not trace.get_current_span().is_recording()
