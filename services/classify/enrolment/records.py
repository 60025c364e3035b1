"""An enrolled artist as a file: vectors of the works, and what they are called.

One .npz an artist, named after the digest of the artist id. A file is written beside, flushed to the disk and
renamed, so that under its name there is never a part of an artist.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nails.artist.text_vectors import BUCKETS, SparseRows, SparseVector, mean_direction
from services.kit.durable import sync_folder, write_durably

_FORM = 1
_SUFFIX, _PART = ".npz", ".part"
_MAX_BYTES = 64 * 2**20  # far above 64 works of the largest vectors: a file beyond it is not one of ours


class RecordDamaged(ValueError):
    """A file is not an enrolled artist; the message names it."""


@dataclass(frozen=True)
class Record:
    """An enrolled artist.

    space: of the vectors. enrolled_ms: Unix time. work_ids [n]. image: f16 [n, D], rows of length 1, zero for
    a work without a photo. text: n rows, empty for a work without words.
    """

    artist: str
    space: str
    enrolled_ms: int
    work_ids: tuple[str, ...]
    image: NDArray[np.float16]
    text: SparseRows

    @property
    def photos(self) -> int:
        """Works with a photo."""
        return int(self.image.any(axis=1).sum())

    @property
    def texts(self) -> int:
        """Works with words."""
        return int((np.diff(self.text.starts) > 0).sum())

    def image_prototype(self) -> NDArray[np.float32]:
        """Direction of the mean of the photos' vectors, f32 [D]; zeros without a photo."""
        middle = np.asarray(self.image, np.float32).sum(axis=0)
        length = float(np.linalg.norm(middle))
        return np.asarray(middle / length if length > 0 else middle, np.float32)

    def text_prototype(self) -> SparseVector:
        """Direction of the mean of the words' vectors; empty without words."""
        return mean_direction(self.text.row(index) for index in range(len(self.text)))


def read_all(folder: Path) -> dict[str, Record]:
    """Every artist of a folder, by id; {} where there is no folder. Raises RecordDamaged, OSError."""
    if not folder.is_dir():
        return {}
    found = {}
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        record = read(path)
        found[record.artist] = record
    return found


def read(path: Path) -> Record:
    """One file. Raises RecordDamaged, OSError."""
    if path.stat().st_size > _MAX_BYTES:
        raise RecordDamaged(f"{path}: larger than an enrolled artist can be")
    try:
        # Nothing in it is a pickled object: a file cannot run code here.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes().decode("utf-8"))
            record = Record(
                artist=str(about["artist"]),
                space=str(about["space"]),
                enrolled_ms=int(about["enrolled_ms"]),
                work_ids=tuple(str(work_id) for work_id in about["works"]),
                image=stored["image"],
                text=SparseRows(stored["text_starts"], stored["text_indices"], stored["text_values"]),
            )
            form = about["form"]
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RecordDamaged(f"{path}: not an enrolled artist: {error}") from error
    if form != _FORM:
        raise RecordDamaged(f"{path}: has form {form!r}, this service reads {_FORM}")
    if path.name != file_name(record.artist):
        raise RecordDamaged(f"{path}: holds {record.artist!r}, whose file would have another name")
    if not _is_sound(record):
        raise RecordDamaged(f"{path}: its arrays do not fit each other")
    return record


def write(folder: Path, record: Record) -> None:
    """Keeps an artist. When this returns, it survives a crash. Raises OSError."""
    about = {
        "form": _FORM,
        "artist": record.artist,
        "space": record.space,
        "enrolled_ms": record.enrolled_ms,
        "works": record.work_ids,
    }
    buffer = io.BytesIO()
    np.savez(
        buffer,
        about=np.frombuffer(json.dumps(about).encode("utf-8"), np.uint8),
        image=record.image,
        text_starts=record.text.starts,
        text_indices=record.text.indices,
        text_values=record.text.values,
    )
    path = folder / file_name(record.artist)
    write_durably(path, buffer.getbuffer(), path.with_suffix(_PART))


def remove(folder: Path, artist: str) -> None:
    """Forgets an artist for good; does nothing where there is none. Raises OSError."""
    path = folder / file_name(artist)
    if path.exists():
        path.unlink()
        sync_folder(folder)


def clear_parts(folder: Path) -> None:
    """Removes what a crash left of unfinished files; for the folder's only writer."""
    for part in folder.glob(f"*{_PART}"):
        part.unlink(missing_ok=True)


def file_name(artist: str) -> str:
    """Of an artist's file: the same for the same id, and nothing that a file system could object to."""
    return hashlib.sha256(artist.encode("utf-8")).hexdigest()[:40] + _SUFFIX


def _is_sound(record: Record) -> bool:
    image, text, count = record.image, record.text, len(record.work_ids)
    return bool(
        count > 0
        and image.dtype == np.float16
        and image.ndim == 2
        and len(image) == count
        and np.isfinite(image).all()
        and text.starts.shape == (count + 1,)
        and text.starts.dtype.kind == text.indices.dtype.kind == "i"
        and text.starts[0] == 0
        and (np.diff(text.starts) >= 0).all()
        and text.indices.ndim == text.values.ndim == 1
        and text.starts[-1] == len(text.indices) == len(text.values)
        and (not len(text.indices) or (text.indices.min() >= 0 and text.indices.max() < BUCKETS))
        and text.values.dtype.kind == "f"
        and np.isfinite(text.values).all()
    )
