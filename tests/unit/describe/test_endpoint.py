"""The endpoint: what is sent, what is tried again, and what each failure costs."""

from __future__ import annotations

import base64
import json
import socket
from email.utils import formatdate
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from nails.photo.codec import decode_photo, encode_jpeg
from tests.unit.describe.conftest import Serve
from tests.unit.describe.fake_endpoint import FakeEndpoint, Reply, completion
from training.describe.models.endpoint import Endpoint, EndpointSettings
from training.describe.models.question import ItemError, Question, RunError
from training.describe.photos import Photo

TEXT = Question("a role", "a task")
RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (900, 1200, 3)).astype(np.uint8)


class Asking:
    """An endpoint that notes its pauses instead of making them."""

    def __init__(self, server: FakeEndpoint | str, **settings: Any) -> None:
        self.pauses: list[float] = []
        base_url = server if isinstance(server, str) else server.base_url
        self.endpoint = Endpoint(
            EndpointSettings(base_url=base_url, model="a-model", **settings),
            rng=np.random.default_rng(0),
            wait=self._wait,
            now=lambda: 1_000_000.0,
        )

    def _wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return False

    def __call__(self, question: Question = TEXT) -> str | ItemError:
        (answer,) = self.endpoint.ask([question], max_tokens=50)
        return answer


def failed(answer: str | ItemError) -> ItemError:
    assert isinstance(answer, ItemError), answer
    return answer


def test_a_question_goes_out_as_a_chat_with_its_photo_as_a_data_uri(serve: Serve) -> None:
    server = serve(completion("fine"))
    asking = Asking(server, api_key="secret", body={"seed": 7})
    assert asking(Question("a role", "a task", (Photo(NOISE),))) == "fine"
    (call,), (headers,) = server.calls, server.headers
    assert call["path"] == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert (call["model"], call["max_tokens"], call["temperature"], call["seed"]) == ("a-model", 50, 0, 7)
    assert call["response_format"] == {"type": "json_object"}
    system, user = call["messages"]
    assert system == {"role": "system", "content": "a role"}
    image, text = user["content"]
    assert text == {"type": "text", "text": "a task"}
    head, _, data = image["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    assert decode_photo(base64.b64decode(data)).shape == (576, 768, 3)


def test_without_a_key_none_is_sent_and_json_mode_can_be_left_out(serve: Serve) -> None:
    server = serve(completion("fine"))
    assert Asking(server, json_mode=False)() == "fine"
    assert "Authorization" not in server.headers[0]
    assert "response_format" not in server.calls[0]


def test_a_photo_is_made_small_enough_and_loses_its_metadata(serve: Serve, tmp_path: Path) -> None:
    server = serve(completion("fine"))
    jpeg = encode_jpeg(NOISE)
    comment = b"taken at home"
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:])
    assert Asking(server, max_photo_bytes=40_000)(Question("", "", (Photo(path),))) == "fine"
    sent = base64.b64decode(server.calls[0]["messages"][1]["content"][0]["image_url"]["url"].split(",")[1])
    assert len(sent) <= 40_000
    assert comment not in sent
    assert decode_photo(sent).shape[0] < 576


def test_a_photo_that_cannot_be_read_is_an_error_of_its_item_and_nothing_is_sent(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(completion("fine"))
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    for name in ("broken.jpg", "absent.jpg"):
        error = failed(Asking(server)(Question("", "", (Photo(tmp_path / name),))))
        assert error.kind == "photo"
        assert name in error.message
    assert server.calls == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again_with_growing_pauses(serve: Serve, status: int) -> None:
    server = serve(Reply(status), Reply(status), Reply(status), completion("fine"))
    asking = Asking(server, pause_s=1.0)
    assert asking() == "fine"
    assert len(asking.pauses) == 3
    for pause, longest in zip(asking.pauses, (1, 2, 4), strict=True):
        assert longest / 2 <= pause <= longest


def test_the_pause_that_the_server_asks_for_is_kept_but_for_the_longest(serve: Serve) -> None:
    asked = ["7", formatdate(1_000_000 + 9, usegmt=True), "3600", formatdate(0, usegmt=True), "soon", "nan"]
    server = serve(*[Reply(429, headers={"Retry-After": after}) for after in asked], completion("fine"))
    asking = Asking(server, longest_pause_s=30, attempts=10, pause_s=0)
    assert asking() == "fine"
    assert asking.pauses == [7, 9, 30, 0, 0, 0]


def test_a_question_is_given_up_after_so_many_calls(serve: Serve) -> None:
    server = serve(Reply(500, b"out of memory"))
    error = failed(Asking(server, attempts=3)())
    assert error.kind == "unreachable"
    assert error.message == "HTTP 500: out of memory, after 3 calls"
    assert len(server.calls) == 3


def test_a_server_that_says_nothing_is_a_timeout_and_asked_again(serve: Serve) -> None:
    server = serve(Reply(hold=True), completion("fine"))
    asking = Asking(server, timeout_s=0.3)
    assert asking() == "fine"
    assert len(asking.pauses) == 1


def test_a_trickle_does_not_outlast_the_clock(serve: Serve) -> None:
    server = serve(Reply(body=b" " * 1000, trickle=True))
    error = failed(Asking(server, timeout_s=0.3, attempts=1)())
    assert error.kind == "unreachable"
    assert "not complete within 0.3 s" in error.message


def test_a_cut_connection_is_asked_again(serve: Serve) -> None:
    server = serve(Reply(body=b'{"cho', promised=500), completion("fine"))
    assert Asking(server)() == "fine"
    assert len(server.calls) == 2


def test_nobody_listening_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        asking = Asking(address, attempts=2)
        assert failed(asking()).kind == "unreachable"
    assert len(asking.pauses) == 1


def test_a_huge_answer_is_not_read_to_its_end(serve: Serve) -> None:
    server = serve(Reply(body=b"x" * 5_000_000))
    error = failed(Asking(server, max_answer_bytes=10_000)())
    assert (error.kind, error.message) == ("malformed", "an answer of over 10000 bytes")
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(body=b"<html>busy</html>"), "malformed"),
        (Reply(body=b"[" * 100_000), "malformed"),
        (Reply(body=b"{}"), "malformed"),
        (Reply(body=b'{"choices": []}'), "malformed"),
        (Reply(body=b'{"choices": [{"message": "text"}]}'), "malformed"),
        (Reply(body=b"null"), "malformed"),
        (completion(None), "malformed"),
        (completion("  "), "malformed"),
        (completion({"description": "x"}), "malformed"),
        (completion("half an ans", finish="length"), "malformed"),
        (completion(None, refusal="I will not"), "refused"),
        (completion("", finish="content_filter"), "refused"),
        (Reply(400, b"this photo is not allowed"), "denied"),
        (Reply(413, b"too large"), "denied"),
    ],
)
def test_an_answer_that_is_none_costs_its_item_and_is_not_asked_again(
    serve: Serve, reply: Reply, kind: str
) -> None:
    server = serve(reply)
    assert failed(Asking(server)()).kind == kind
    assert len(server.calls) == 1


def test_an_answer_in_parts_is_put_together(serve: Serve) -> None:
    server = serve(completion([{"type": "text", "text": "fi"}, {"type": "text", "text": "ne"}, 3]))
    assert Asking(server)() == "fine"


@pytest.mark.parametrize("status", [401, 402, 404])
def test_a_wrong_key_or_model_ends_the_run_and_the_key_is_not_told(serve: Serve, status: int) -> None:
    server = serve(Reply(status, b"wrong key: secret-key"))
    with pytest.raises(RunError, match=rf"HTTP {status}: wrong key: \*\*\*"):
        Asking(server, api_key="secret-key")()


def test_the_key_does_not_follow_a_redirect(serve: Serve) -> None:
    other = serve(completion("fine"))
    server = serve(Reply(307, headers={"Location": other.base_url}))
    with pytest.raises(RunError, match=f"it is at {other.base_url} now"):
        Asking(server, api_key="secret")()
    assert other.calls == []


def test_a_stopped_endpoint_tries_nothing_again(serve: Serve) -> None:
    server = serve(Reply(503))
    endpoint = Endpoint(EndpointSettings(base_url=server.base_url, model="m", pause_s=60))
    endpoint.stop()
    (answer,) = endpoint.ask([TEXT], max_tokens=5)
    assert failed(answer).kind == "unreachable"
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    "address",
    ["", "ftp://host", "host/v1", "https://user:key@host/v1", "https://host/v1?key=1", "file:///etc"],
)
def test_an_address_of_another_kind_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="base_url"):
        EndpointSettings(base_url=address, model="m")


def test_settings_come_from_the_environment_and_hide_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "BASE_URL": "http://h/v1/",
        "MODEL": "m",
        "API_KEY": "hidden",
        "BODY": '{"seed": 1}',
    }.items():
        monkeypatch.setenv(f"LUNULA_ENDPOINT_{name}", value)
    settings = EndpointSettings()  # type: ignore[call-arg]  # from the environment
    assert (settings.base_url, settings.model, settings.body) == ("http://h/v1", "m", {"seed": 1})
    assert settings.api_key.get_secret_value() == "hidden"
    assert "hidden" not in repr(settings)


def test_photos_are_named_by_their_content(tmp_path: Path) -> None:
    small = NOISE[:40, :30]
    assert Photo(small).sha256 == Photo(small.copy()).sha256 != Photo(small.reshape(30, 40, 3)).sha256
    cv2.imwrite(str(tmp_path / "a.png"), small[..., ::-1])
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    assert Photo(tmp_path / "a.png").sha256 == Photo(tmp_path / "b.png").sha256
    np.testing.assert_array_equal(Photo(tmp_path / "a.png").rgb(768), small)
    assert Photo(NOISE).rgb(300).shape == (225, 300, 3)
    with pytest.raises(ValueError, match="RGB uint8"):
        Photo(NOISE.astype(np.float32))  # type: ignore[arg-type]  # the wrong type is the point


def test_the_body_is_json_whatever_the_question_holds(serve: Serve) -> None:
    server = serve(completion("fine"))
    odd = 'q"\n\x00\ud800 ネイル'
    assert Asking(server)(Question("", odd)) == "fine"
    assert json.loads(json.dumps(server.calls[0]["messages"][1]["content"][0]["text"])) == odd
