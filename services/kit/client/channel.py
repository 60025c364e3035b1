"""Channels to services: sizes, keepalive, TLS and tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import grpc

MAX_MESSAGE_BYTES = 96 * 2**20


@dataclass(frozen=True)
class ClientTls:
    """TLS towards a server: `ca` verifies it (None: the system's), `cert` and `key` are for mutual TLS.

    `server_name` is the name in the server's certificate where it differs from the address.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files."""
        return grpc.ssl_channel_credentials(
            *(path.read_bytes() if path is not None else None for path in (self.ca, self.key, self.cert))
        )


def connect(
    address: str,
    *,
    tls: ClientTls | None = None,
    token: str | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    options: Iterable[tuple[str, Any]] = (),
) -> grpc.aio.Channel:
    """A channel to `address` (host:port). It connects lazily and reconnects by itself.

    `token` is sent as a bearer token with every call. `options` win over the defaults.
    """
    merged: dict[str, Any] = {
        "grpc.max_send_message_length": max_message_bytes,
        "grpc.max_receive_message_length": max_message_bytes,
        "grpc.keepalive_time_ms": 30_000,
        "grpc.keepalive_timeout_ms": 10_000,
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.min_reconnect_backoff_ms": 500,
        "grpc.max_reconnect_backoff_ms": 5_000,
        # Retries are those of `retry.Backoff`, which honours deadlines and RetryInfo.
        "grpc.enable_retries": 0,
    }
    if tls is not None and tls.server_name is not None:
        merged["grpc.ssl_target_name_override"] = tls.server_name
    pairs = list((merged | dict(options)).items())
    if tls is None:
        channel = grpc.aio.insecure_channel(address, options=pairs)
    else:
        channel = grpc.aio.secure_channel(address, tls.credentials(), options=pairs)
    return cast("grpc.aio.Channel", _SignedChannel(channel, token)) if token else channel


class _SignedChannel:
    """A channel whose calls carry a bearer token.

    Not call credentials, which gRPC refuses to send without TLS (a mesh may do that part), and not client
    interceptors, which put a queue and a task of their own between a stream and its caller.
    """

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self._channel = channel
        self._signature = ("authorization", f"Bearer {token}")

    async def __aenter__(self) -> Self:
        await self._channel.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._channel.__aexit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def unary_unary(self, *method: Any, **how: Any) -> Any:
        return self._sign(self._channel.unary_unary(*method, **how))

    def unary_stream(self, *method: Any, **how: Any) -> Any:
        return self._sign(self._channel.unary_stream(*method, **how))

    def stream_unary(self, *method: Any, **how: Any) -> Any:
        return self._sign(self._channel.stream_unary(*method, **how))

    def stream_stream(self, *method: Any, **how: Any) -> Any:
        return self._sign(self._channel.stream_stream(*method, **how))

    def _sign(self, method: Any) -> Any:
        def start(*request: Any, metadata: Iterable[tuple[str, Any]] | None = None, **how: Any) -> Any:
            return method(*request, metadata=(*(metadata or ()), self._signature), **how)

        return start
