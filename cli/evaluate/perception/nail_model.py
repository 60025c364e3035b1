"""The served `nail_seg` in this process: the same weights, preprocessing and decoder, no server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.perception.segmentation import Predictor
from nails.perception.closer_look import cut_region, merge_looks
from nails.perception.nail_decode import NailInstance
from nails.perception.nail_decoder import NailDecoder
from nails.photo.preprocess import nail_seg_input
from services.kit.errors import FailedPrecondition
from services.kit.inference.config import read_config
from services.kit.inference.local import load_session

NAIL_SEG = "nail_seg"


def nail_predictor(repository: Path, *, min_score: float = 0.0, threads: int = 1) -> Predictor:
    """Photo -> nails with `repository`/nail_seg.

    Raises FailedPrecondition where the model is missing, differs from its checksum, or cannot be read.
    """
    config = read_config(repository / NAIL_SEG)
    try:
        decoder = NailDecoder.from_parameters(config.metadata.parameters)
    except ValueError as error:
        raise FailedPrecondition(f"nail_seg: {error}", reason="MODEL_UNSUITABLE") from error
    image = config.metadata.inputs[0]
    side = image.shape[-1]
    if len(image.shape) != 3 or side is None or image.shape != (3, side, side):
        raise FailedPrecondition("nail_seg takes no square RGB images", reason="MODEL_UNSUITABLE")
    names = [tensor.name for tensor in config.metadata.outputs]
    session = load_session(config, threads)

    def look(photo: NDArray[np.uint8]) -> list[NailInstance]:
        tensor, placed = nail_seg_input(photo, side)
        outputs = session.run(names, {image.name: tensor[None]})
        first = {name: output[0] for name, output in zip(names, outputs, strict=True)}
        return decoder.decode(first, placed, (photo.shape[1], photo.shape[0]), min_score=min_score)

    def predict(photo: NDArray[np.uint8]) -> list[NailInstance]:
        nails = look(photo)
        region = decoder.second_region(nails, (photo.shape[1], photo.shape[0]))
        return nails if region is None else merge_looks(nails, look(cut_region(photo, region)), region)

    return predict
