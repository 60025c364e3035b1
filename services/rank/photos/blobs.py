"""Where photos are kept: one small protocol, and one implementation over fsspec."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import fsspec
from fsspec.implementations.local import LocalFileSystem

from services.kit.durable import write_durably
from services.kit.errors import NotFound, Unavailable

_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}\.[a-z]{3,4}")
_STALE_S = 3600.0
SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}


class BlobStore(Protocol):
    """Content-addressed bytes. All methods block and may be called from several threads."""

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under its key. When this returns, the bytes survive a crash. Idempotent."""
        ...

    def get(self, key: str) -> bytes:
        """Raises NotFound BLOB_NOT_FOUND."""
        ...

    def delete(self, key: str) -> None:
        """Does nothing when there is no such blob."""
        ...

    def uri(self, key: str) -> str:
        """Where people and other programs find the blob."""
        ...


def blob_key(sha256: str, suffix: str) -> str:
    """The key of bytes with that sha256 (hex): "ab/abcd....jpg"."""
    return f"{sha256[:2]}/{sha256}.{suffix}"


class FsspecBlobs:
    """Blobs below a folder (a path) or an fsspec URL.

    A local file is written in the folder `.parts`, flushed to the disk and renamed, so that under its key
    there is never a part of a photo. Object stores do that themselves.
    """

    def __init__(self, url: str, *, now_s: Callable[[], float] = time.time) -> None:
        """Removes what a crash left of unfinished files more than an hour ago. now_s: to tell their age."""
        fs, root = fsspec.core.url_to_fs(url)
        self._fs: Any = fs
        self._root = str(root).rstrip("/")
        self._local = isinstance(fs, LocalFileSystem)
        self._parts = Path(self._root) / ".parts"
        if self._local and self._parts.is_dir():
            for part in self._parts.iterdir():
                # Younger ones may be another process's, at work now.
                if part.stat().st_mtime < now_s() - _STALE_S:
                    part.unlink(missing_ok=True)

    def put(self, key: str, data: bytes) -> None:
        """See BlobStore. Raises Unavailable BLOB_STORE_UNAVAILABLE."""
        try:
            if self._size(key) != len(data):
                self._write(key, data)
        except OSError as error:
            raise _unavailable(error) from error

    def get(self, key: str) -> bytes:
        """See BlobStore. Raises Unavailable BLOB_STORE_UNAVAILABLE."""
        try:
            return bytes(self._fs.cat_file(self._path(key)))
        except FileNotFoundError:
            raise NotFound(
                "the photo is not in the blob store", reason="BLOB_NOT_FOUND", resource=("blob", key)
            ) from None
        except OSError as error:
            raise _unavailable(error) from error

    def delete(self, key: str) -> None:
        """See BlobStore. Raises Unavailable BLOB_STORE_UNAVAILABLE."""
        try:
            self._fs.rm_file(self._path(key))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unavailable(error) from error

    def uri(self, key: str) -> str:
        """See BlobStore."""
        path = self._path(key)
        return Path(path).as_uri() if self._local else str(self._fs.unstrip_protocol(path))

    def _path(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a blob key: {key!r}")
        return f"{self._root}/{key}"

    def _size(self, key: str) -> int | None:
        try:
            return int(self._fs.info(self._path(key))["size"])
        except FileNotFoundError:
            return None

    def _write(self, key: str, data: bytes) -> None:
        if not self._local:
            self._fs.pipe_file(self._path(key), data)
            return
        self._parts.mkdir(parents=True, exist_ok=True)
        write_durably(Path(self._path(key)), data, self._parts / secrets.token_hex(16))


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable(
        f"the blob store failed ({type(error).__name__})", reason="BLOB_STORE_UNAVAILABLE", retry_after_s=1.0
    )
