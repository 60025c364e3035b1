"""Reads photos by URI, only from the places that the settings list."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from services.kit.deadline import Deadline
from services.kit.errors import InvalidArgument, LunulaError, NotFound, PermissionDenied, Unavailable

_PIECE = 256 * 1024
"""Bytes read between two looks at the deadline."""


@dataclass(frozen=True)
class UriReader:
    """Reads `file:`, `http:` and `https:` URIs below the allowed prefixes.

    A prefix ends at a path segment: `https://img.example/a` allows `https://img.example/a/b.jpg` and not
    `https://img.example/ab.jpg`. Scheme and host must be equal, `..` is refused, links of a file system
    that lead out of the prefix are refused, redirects are not followed.
    """

    allowed_prefixes: Sequence[str]
    max_bytes: int

    def read(self, uri: str, field: str, deadline: Deadline) -> bytes:
        """The bytes behind `uri`; blocks, so it runs in a thread.

        Raises PermissionDenied URI_NOT_ALLOWED, NotFound URI_NOT_FOUND, InvalidArgument
        PHOTO_TOO_MANY_BYTES, Unavailable URI_UNREADABLE, DeadlineExceeded.
        """
        deadline.check()
        prefix = next((prefix for prefix in self.allowed_prefixes if _is_below(uri, prefix)), None)
        if prefix is None:
            raise _not_allowed(field)
        if urlsplit(uri).scheme == "file":
            return self._read_file(uri, prefix, field, deadline)
        return self._read_http(uri, field, deadline)

    def _read_file(self, uri: str, prefix: str, field: str, deadline: Deadline) -> bytes:
        path = Path(unquote(urlsplit(uri).path)).resolve()
        if not path.is_relative_to(Path(unquote(urlsplit(prefix).path)).resolve()):
            raise _not_allowed(field)
        try:
            with path.open("rb") as file:
                return self._take(file, field, deadline)
        except FileNotFoundError:
            raise _not_found(field) from None
        except OSError as error:
            raise _unreadable(field, type(error).__name__) from error

    def _read_http(self, uri: str, field: str, deadline: Deadline) -> bytes:
        timeout = min(deadline.remaining(), 10.0)
        try:
            with _OPENER.open(Request(uri), timeout=timeout) as answer:
                return self._take(answer, field, deadline)
        except LunulaError:
            raise
        except URLError as error:
            if getattr(error, "code", None) in (404, 410):
                raise _not_found(field) from None
            raise _unreadable(field, type(error).__name__) from error
        except (OSError, HTTPException) as error:
            raise _unreadable(field, type(error).__name__) from error

    def _take(self, file: IO[bytes], field: str, deadline: Deadline) -> bytes:
        data = bytearray()
        while piece := file.read(_PIECE):
            deadline.check()
            data += piece
            if len(data) > self.max_bytes:
                raise InvalidArgument(
                    "the photo behind the URI has too many bytes",
                    reason="PHOTO_TOO_MANY_BYTES",
                    fields=[(field, f"has more than {self.max_bytes} bytes")],
                )
        return bytes(data)


def _is_below(uri: str, prefix: str) -> bool:
    """Whether `uri` is at or below `prefix`, decided on parsed parts."""
    try:
        parts, root = urlsplit(uri), urlsplit(prefix)
    except ValueError:
        return False
    if parts.scheme not in ("file", "http", "https") or parts.fragment or "\\" in uri or not uri.isascii():
        return False
    if (parts.scheme, parts.netloc.lower()) != (root.scheme, root.netloc.lower()) or "@" in parts.netloc:
        return False
    if parts.scheme == "file" and (parts.netloc or parts.query):
        return False
    path = unquote(parts.path)
    if not path.isprintable() or path != posixpath.normpath(path):
        return False
    base = unquote(root.path).rstrip("/")
    return path.startswith(f"{base}/")


class _NoRedirects(HTTPRedirectHandler):
    """A redirect could lead out of the allowed prefixes."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        del req, fp, code, msg, headers, newurl
        return None


_OPENER: OpenerDirector = build_opener(_NoRedirects)


def _not_allowed(field: str) -> PermissionDenied:
    return PermissionDenied(
        "this server does not read photos from there",
        reason="URI_NOT_ALLOWED",
        fields=[(field, "scheme and prefix must be among the server's allowed_uri_prefixes")],
    )


def _not_found(field: str) -> NotFound:
    return NotFound("no photo behind the URI", reason="URI_NOT_FOUND", fields=[(field, "nothing is there")])


def _unreadable(field: str, cause: str) -> Unavailable:
    return Unavailable(
        "the photo behind the URI could not be read", reason="URI_UNREADABLE", fields=[(field, cause)]
    )
