"""Decodes the outputs of `nail_seg` as its parameters say, so that serving and evaluation cannot disagree.

Parameters (strings, as in config.pbtxt): `decoder` "interior" (the default) or "yolo_seg"; for "interior"
also `nail_threshold` and `interior_threshold`, in (0, 1), by default 0.5. `min_score`, in (0, 1), by default
0.5: nails below it are dropped unless the caller gives another. `looks`: "1" (the default), or "2", with
which the part of the photo that holds the nails is given to the model once more, larger
(`nails.perception.closer_look`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nails.parameters import read_share
from nails.perception.closer_look import Region, closer_region
from nails.perception.nail_decode import NailInstance, decode_interior, decode_yolo_seg
from nails.photo.preprocess import Letterbox

DECODERS = ("interior", "yolo_seg")


@dataclass(frozen=True)
class NailDecoder:
    """How the outputs of one model are decoded. See the module for the fields."""

    decoder: str = "interior"
    nail_threshold: float = 0.5
    interior_threshold: float = 0.5
    min_score: float = 0.5
    looks: int = 1

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> NailDecoder:
        """The decoder that a model's `parameters` ask for. Raises ValueError for one that is not here."""
        decoder = parameters.get("decoder", "interior")
        if decoder not in DECODERS:
            raise ValueError(f"there is no decoder {decoder!r}; there are {', '.join(DECODERS)}")
        looks = parameters.get("looks", "1")
        if looks not in ("1", "2"):
            raise ValueError(f"looks is {looks!r}, not 1 or 2")
        return cls(
            decoder,
            read_share(parameters, "nail_threshold", 0.5),
            read_share(parameters, "interior_threshold", 0.5),
            read_share(parameters, "min_score", 0.5),
            int(looks),
        )

    def second_region(self, nails: Sequence[NailInstance], photo_size: tuple[int, int]) -> Region | None:
        """The part of a photo to run the model on once more after it found `nails`, or None."""
        return closer_region(nails, photo_size) if self.looks == 2 else None

    def decode(
        self,
        outputs: Mapping[str, NDArray[np.floating[Any]]],
        placed: Letterbox,
        photo_size: tuple[int, int],
        *,
        min_score: float = 0.0,
    ) -> list[NailInstance]:
        """Nails in photo pixels, best score first.

        outputs: of one photo, without the batch axis: "maps" [2,h,w], or "boxes" [4+C+32,A] and "protos"
        [32,h,w]. placed: how the photo of `photo_size` (width, height) was put on the model's canvas. Raises
        ValueError for outputs of another shape. min_score: nails below it are dropped; 0: as the model's
        parameters say.
        """
        min_score = min_score or self.min_score
        if self.decoder == "yolo_seg":
            return decode_yolo_seg(
                outputs["boxes"], outputs["protos"], placed, photo_size, min_score=min_score
            )
        return decode_interior(
            outputs["maps"],
            placed,
            photo_size,
            min_score=min_score,
            nail_threshold=self.nail_threshold,
            interior_threshold=self.interior_threshold,
        )
