"""Calling other services: channels with TLS and tokens, calls with deadlines, retries and typed errors."""

from services.kit.client.calls import call, is_serving, outgoing_metadata, stream
from services.kit.client.channel import ClientTls, connect

__all__ = ["ClientTls", "call", "connect", "is_serving", "outgoing_metadata", "stream"]
