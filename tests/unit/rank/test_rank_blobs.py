"""The blob store keeps whole files under the name of their content, or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from services.kit.errors import NotFound, Unavailable
from services.rank.photos.blobs import FsspecBlobs, blob_key

DATA = b"a photo"
KEY = blob_key(hashlib.sha256(DATA).hexdigest(), "jpg")


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> FsspecBlobs:
    """A local folder, and a store that is none."""
    return FsspecBlobs(str(tmp_path / "blobs") if request.param == "folder" else f"memory://{tmp_path.name}")


def test_what_is_put_is_got(blobs: FsspecBlobs) -> None:
    blobs.put(KEY, DATA)
    blobs.put(KEY, DATA)
    assert blobs.get(KEY) == DATA
    assert KEY in blobs.uri(KEY)


def test_what_is_not_there_is_not_found(blobs: FsspecBlobs) -> None:
    blobs.put(KEY, DATA)
    blobs.delete(KEY)
    blobs.delete(KEY)
    with pytest.raises(NotFound) as caught:
        blobs.get(KEY)
    assert caught.value.reason == "BLOB_NOT_FOUND"


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "", "ab/cd.jpg", KEY + "/..", KEY.upper()])
def test_only_keys_are_paths(blobs: FsspecBlobs, key: str) -> None:
    with pytest.raises(ValueError, match="not a blob key"):
        blobs.get(key)


def test_a_file_of_the_wrong_length_is_written_again(tmp_path: Path) -> None:
    blobs = FsspecBlobs(str(tmp_path))
    blobs.put(KEY, DATA)
    (tmp_path / KEY).write_bytes(DATA[:3])
    blobs.put(KEY, DATA)
    assert blobs.get(KEY) == DATA


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = FsspecBlobs(str(tmp_path))

    def full(_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("services.kit.durable.os.fsync", full)
    with pytest.raises(Unavailable) as caught:
        blobs.put(KEY, DATA)
    assert caught.value.reason == "BLOB_STORE_UNAVAILABLE"
    assert caught.value.retry_after_s
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_old_unfinished_files_are_removed_at_the_start_and_young_ones_kept(tmp_path: Path) -> None:
    FsspecBlobs(str(tmp_path)).put(KEY, DATA)
    part = tmp_path / ".parts" / "part"
    part.write_bytes(b"half a pho")
    written = part.stat().st_mtime
    FsspecBlobs(str(tmp_path), now_s=lambda: written + 60)
    assert part.exists()
    blobs = FsspecBlobs(str(tmp_path), now_s=lambda: written + 7200)
    assert not part.exists()
    assert blobs.get(KEY) == DATA
