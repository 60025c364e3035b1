"""Models behind an OpenAI-compatible server: chat completions over HTTP, photos as data URIs.

A call is repeated, with growing pauses, on 408, 409, 425, 429, 5xx, lost connections and timeouts. What the
server refuses for one question costs that question; a wrong key, model or address ends the run.
"""

from __future__ import annotations

import base64
import http.client
import json
import math
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from nails.photo.codec import PhotoError
from training.describe.models.question import ItemError, Question, RunError

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_HOPELESS = frozenset({401, 402, 404, 405})
_CHUNK = 65_536


class EndpointSettings(BaseSettings):
    """Where the model is and how it is called. Environment: LUNULA_ENDPOINT_BASE_URL and so on."""

    model_config = SettingsConfigDict(
        env_prefix="LUNULA_ENDPOINT_", frozen=True, extra="forbid", protected_namespaces=()
    )

    base_url: str = Field(description='address up to and with the version, "https://host/v1"')
    model: str = Field(min_length=1, description="name of the model")
    api_key: SecretStr = Field(SecretStr(""), description="bearer token; empty sends none")
    timeout_s: float = Field(120.0, gt=0, description="one call, from the connection to the last byte")
    attempts: int = Field(5, ge=1, le=20, description="calls a question at most")
    pause_s: float = Field(1.0, ge=0, description="before the second call; doubled each time, with jitter")
    longest_pause_s: float = Field(60.0, ge=0, description="never longer, whatever the server asks for")
    parallel: int = Field(4, ge=1, le=256, description="calls at the same time")
    max_side: int = Field(768, ge=64, le=4096, description="long side of the photo sent, px")
    max_photo_bytes: int = Field(1_500_000, ge=10_000, description="largest JPEG sent")
    max_answer_bytes: int = Field(1_000_000, ge=1_000, description="larger answers are not read")
    json_mode: bool = Field(True, description='ask for response_format {"type": "json_object"}')
    body: dict[str, Any] = Field(default_factory=dict, description="further fields of each request's body")

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError('an address as "https://host/v1" expected')
        if parts.username or parts.password:
            raise ValueError("the key belongs in api_key, not in the address")
        return value.rstrip("/")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """The key is for this server alone."""


class _Passing(Exception):
    """What may go away by itself. pause: seconds that the server asks for."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.pause = pause


class Endpoint:
    """An `Asker` over HTTP. Safe to call from several threads.

    wait: sleeps the given seconds, and returns True when the run has been stopped meanwhile.
    """

    batch = 1

    def __init__(
        self,
        settings: EndpointSettings,
        *,
        rng: np.random.Generator | None = None,
        wait: Callable[[float], bool] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.name = settings.model
        self.parallel = settings.parallel
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._now = now
        self._rng = rng or np.random.default_rng()
        self._rng_lock = threading.Lock()
        self._opener = urllib.request.build_opener(_NoRedirects)

    def stop(self) -> None:
        """Ends pauses at once, and no call is repeated any more."""
        self._stopped.set()

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[str | ItemError]:
        """As in `Asker`: one call a question, one after the other."""
        answers: list[str | ItemError] = []
        for question in questions:
            try:
                answers.append(self._answer(question, max_tokens))
            except ItemError as error:
                answers.append(error)
        return answers

    def _answer(self, question: Question, max_tokens: int) -> str:
        body = self._body(question, max_tokens)
        pause = self.settings.pause_s
        for attempt in range(1, self.settings.attempts + 1):
            try:
                return _content(self._call(body))
            except _Passing as error:
                if attempt == self.settings.attempts or self._stopped.is_set():
                    raise ItemError("unreachable", f"{error.reason}, after {attempt} calls") from error
                with self._rng_lock:
                    jitter = self._rng.uniform(0.5, 1.0)
                wished = error.pause if error.pause is not None else pause * jitter
                if self._wait(min(wished, self.settings.longest_pause_s)):
                    raise ItemError("unreachable", "the run was stopped") from error
                pause *= 2
        raise AssertionError("attempts is at least 1")

    def _body(self, question: Question, max_tokens: int) -> bytes:
        parts: list[dict[str, Any]] = []
        for photo in question.photos:
            try:
                jpeg = photo.jpeg(self.settings.max_side, self.settings.max_photo_bytes)
            except (OSError, PhotoError) as error:
                raise ItemError("photo", f"{photo.label}: {error}") from error
            uri = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
            parts.append({"type": "image_url", "image_url": {"url": uri}})
        parts.append({"type": "text", "text": question.text})
        body: dict[str, Any] = {
            "model": self.settings.model,
            "messages": [
                {"role": "system", "content": question.system},
                {"role": "user", "content": parts},
            ],
            "temperature": 0,
            "max_tokens": max_tokens,
        }
        if self.settings.json_mode:
            body["response_format"] = {"type": "json_object"}
        return json.dumps({**body, **self.settings.body}).encode()

    def _call(self, body: bytes) -> Any:
        """The server's answer as JSON."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key := self.settings.api_key.get_secret_value():
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.settings.base_url}/chat/completions", body, headers)
        ends = time.monotonic() + self.settings.timeout_s
        try:
            with self._opener.open(request, timeout=self.settings.timeout_s) as response:
                content = self._read(response, ends)
        except urllib.error.HTTPError as error:
            with error:
                raise self._failure(error) from error
        except ssl.SSLError as error:
            raise _of_certificate(error) from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLError):
                raise _of_certificate(error.reason) from error
            raise _Passing(f"no connection: {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise _Passing(f"the connection was lost: {error or type(error).__name__}") from error
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ItemError("malformed", f"the server's answer is not JSON: {content[:80]!r}") from error

    def _read(self, response: Any, ends: float) -> bytes:
        """The whole body, within the time and the size allowed."""
        promised = response.headers.get("Content-Length", "")
        expected = int(promised) if promised.isdecimal() else None
        content = bytearray()
        # By what has come, so that a trickle cannot outlast the clock.
        while len(content) != expected and (chunk := response.read1(_CHUNK)):
            content += chunk
            if len(content) > self.settings.max_answer_bytes:
                raise ItemError("malformed", f"an answer of over {self.settings.max_answer_bytes} bytes")
            if time.monotonic() > ends:
                raise TimeoutError(f"not complete within {self.settings.timeout_s:g} s")
        if expected is not None and len(content) < expected:
            raise http.client.IncompleteRead(bytes(content[:80]), expected - len(content))
        return bytes(content)

    def _failure(self, error: urllib.error.HTTPError) -> Exception:
        """What an HTTP status means for the question or the run."""
        reason = f"HTTP {error.code}: {self._told(error)}"
        if error.code in _PASSING:
            return _Passing(reason, _asked_pause(error.headers.get("Retry-After"), self._now()))
        if error.code in _HOPELESS:
            return RunError(f"{self.settings.base_url}: {reason}")
        if 300 <= error.code < 400:
            place = error.headers.get("Location", "elsewhere")
            return RunError(f"{self.settings.base_url}: it is at {place} now; say so in base_url")
        return ItemError("denied", reason)

    def _told(self, error: urllib.error.HTTPError) -> str:
        """The beginning of what the server says about it, never with the key in it."""
        try:
            content = error.fp.read1(2_000)  # type: ignore[attr-defined]  # it is an HTTPResponse
            text = " ".join(content.decode("utf-8", "replace").split())
        except (OSError, AttributeError, http.client.HTTPException):
            text = ""
        key = self.settings.api_key.get_secret_value()
        text = text.replace(key, "***") if key else text
        return text[:200] or str(error.reason)


def _of_certificate(error: ssl.SSLError) -> Exception:
    if isinstance(error, ssl.SSLCertVerificationError):
        return RunError(f"the server's certificate is not trusted: {error.verify_message}")
    return _Passing(f"no secure connection: {error}")


def _asked_pause(header: str | None, now: float) -> float | None:
    """Seconds of a Retry-After header, which gives them or a date; None without one that can be read."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - now
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _content(answer: Any) -> str:
    """The text of a chat completion. ItemError where the model refused, was cut short or answered nothing."""
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        content, refusal, reason = message.get("content"), message.get("refusal"), choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ItemError("malformed", f"no message in the server's answer {str(answer)[:120]!r}") from error
    if refusal or reason == "content_filter":
        raise ItemError("refused", str(refusal or "stopped by the server's content filter")[:200])
    if isinstance(content, list):  # some servers answer in parts
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(text for text in texts if isinstance(text, str))
    if reason == "length":
        raise ItemError("malformed", "the answer was cut short at max_tokens")
    if not isinstance(content, str) or not content.strip():
        raise ItemError("malformed", "an empty answer")
    return content
