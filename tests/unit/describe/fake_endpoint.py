"""An OpenAI-compatible server on port 0 that answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What the server does with one call."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    promised: int | None = None  # Content-Length, where it is not the body's
    hold: bool = False  # say nothing until the server is closed
    trickle: bool = False  # a byte at a time


def completion(content: Any, finish: str = "stop", **message: Any) -> Reply:
    """A chat completion."""
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": content, **message},
    }
    return Reply(body=json.dumps({"choices": [choice]}).encode())


class FakeEndpoint:
    """Keeps every call's body and headers.

    replies: one after the other, the last for all further calls; or functions of the body that give one.
    """

    def __init__(self, *replies: Reply | Callable[[dict[str, Any]], Reply]) -> None:
        self.calls: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.most_at_once = 0
        self.closing = threading.Event()
        self._replies = replies
        self._now = 0
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fake.handle(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """One call."""
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        with self._lock:
            number = len(self.calls)
            self.calls.append({"path": handler.path, **body})
            self.headers.append(dict(handler.headers.items()))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            chosen = self._replies[min(number, len(self._replies) - 1)]
            reply = chosen if isinstance(chosen, Reply) else chosen(body)
            if reply.hold:
                self.closing.wait(30)
                return
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            length = len(reply.body) if reply.promised is None else reply.promised
            handler.send_header("Content-Length", str(length))
            handler.end_headers()
            if reply.trickle:
                for byte in reply.body:
                    handler.wfile.write(bytes([byte]))
                    handler.wfile.flush()
                    if self.closing.wait(0.05):
                        return
            else:
                handler.wfile.write(reply.body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the caller did not wait
        finally:
            with self._lock:
                self._now -= 1

    def close(self) -> None:
        """Stop, and let go of every call that is held."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
