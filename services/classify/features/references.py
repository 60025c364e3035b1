"""Reference vectors for few-shot artists and the unknown class: `prototypes.npz` beside the image model.

Written by training/artist/export/step.py: prototypes of the trained artists and the table of word rarities.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nails.artist.openset import Prototypes
from nails.artist.text_vectors import BUCKETS, VERSION, SparseRows, SparseVector, vectorise
from services.kit.errors import FailedPrecondition


@dataclass(frozen=True)
class References:
    """trained: prototypes of the trained artists. rarity: f32 [BUCKETS], of words.

    image_fingerprint: of the artist_image whose vectors these are. space: names the space of both kinds of
    vectors, so that what was made in another is not compared.
    """

    trained: Prototypes
    rarity: NDArray[np.float32]
    image_fingerprint: str
    space: str

    def text_vector(self, text: str) -> SparseVector:
        """The vector of a text; empty where it has no words."""
        return vectorise(text, self.rarity)


def read_references(path: Path) -> References | None:
    """The file's content; None where there is no file: without one no artist can be enrolled.

    Raises FailedPrecondition MODEL_UNSUITABLE for a file of another kind.
    """
    if not path.is_file():
        return None
    try:
        # Nothing in it is a pickled object: a file cannot run code here.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        return _references(found)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise FailedPrecondition(f"{path}: {error}", reason="MODEL_UNSUITABLE") from error


def _references(found: dict[str, NDArray[np.generic]]) -> References:
    version = str(found["vectors_version"])
    if version != VERSION:
        raise ValueError(f"has word vectors of version {version}, this service makes {VERSION}")
    rarity = np.asarray(found["rarity"], np.float32)
    image = np.asarray(found["image"], np.float32)
    text = SparseRows(
        np.asarray(found["text_starts"], np.int64),
        np.asarray(found["text_indices"], np.int32),
        np.asarray(found["text_values"], np.float32),
    )
    if rarity.shape != (BUCKETS,) or image.ndim != 2 or not _is_sound(text):
        raise ValueError("has arrays of other shapes than prototypes have")
    if not (np.isfinite(rarity).all() and np.isfinite(image).all() and np.isfinite(text.values).all()):
        raise ValueError("has numbers that are not finite")
    fingerprint = str(found["image_fingerprint"])
    digest = hashlib.sha256(rarity.astype(np.float16).tobytes()).hexdigest()
    return References(
        trained=Prototypes(tuple(str(name) for name in found["artists"]), image, text),
        rarity=rarity,
        image_fingerprint=fingerprint,
        space=hashlib.sha256(f"{fingerprint}:{version}:{digest}".encode()).hexdigest(),
    )


def _is_sound(rows: SparseRows) -> bool:
    starts, indices = rows.starts, rows.indices
    return bool(
        starts.ndim == indices.ndim == rows.values.ndim == 1
        and len(starts) > 0
        and starts[0] == 0
        and (np.diff(starts) >= 0).all()
        and starts[-1] == len(indices) == len(rows.values)
        and (not len(indices) or (indices.min() >= 0 and indices.max() < BUCKETS))
    )
