"""The served perception in this process: nails, hands and joints of a photo, no server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cli.evaluate.perception.nail_model import nail_predictor
from nails.perception.hands import Hand, HandDecoder, assemble_hands
from nails.perception.nail_decode import NailInstance
from nails.photo.preprocess import hand_detect_input, hand_pose_input
from services.kit.errors import FailedPrecondition
from services.kit.inference.config import ModelConfig, read_config
from services.kit.inference.local import load_session

HAND_DETECT, HAND_POSE = "hand_detect", "hand_pose"
MAX_HANDS = 4
"""What CropService looks at unless its settings say otherwise."""

Image = NDArray[np.uint8]


class Perception:
    """`nail_seg`, `hand_detect` and `hand_pose` of a repository, prepared and decoded as in serving.

    Raises FailedPrecondition where a model is missing, differs from its checksum, or cannot be read.
    """

    def __init__(self, repository: Path, *, threads: int = 1, max_hands: int = MAX_HANDS) -> None:
        self._nails = nail_predictor(repository, threads=threads)
        self._detect = _Model(read_config(repository / HAND_DETECT), threads)
        self._pose = _Model(read_config(repository / HAND_POSE), threads)
        try:
            self._decoder = HandDecoder.from_parameters(self._detect.parameters)
        except ValueError as error:
            raise FailedPrecondition(f"hand_detect: {error}", reason="MODEL_UNSUITABLE") from error
        self._max_hands = max_hands

    def nails(self, image: Image) -> Sequence[NailInstance]:
        """The nails of a photo uint8 [H,W,3], best score first."""
        return self._nails(image)

    def hands(self, image: Image) -> Sequence[Hand]:
        """The hands of a photo uint8 [H,W,3], best score first; no more than CropService looks at."""
        tensor, placed = hand_detect_input(image, self._detect.side)
        outputs = self._detect.run(tensor[None])
        boxes, scores = self._decoder.decode(
            outputs["boxes"][0], outputs["scores"][0], placed, (image.shape[1], image.shape[0])
        )
        return self._hands(image, boxes[: self._max_hands], scores[: self._max_hands])

    def posed(self, image: Image, boxes: NDArray[np.float64]) -> Sequence[Hand]:
        """Hands with the joints that the pose model finds in given boxes [n,4], score 1."""
        return self._hands(image, boxes, np.ones(len(boxes), np.float32))

    def _hands(self, image: Image, boxes: NDArray[Any], scores: NDArray[np.float32]) -> list[Hand]:
        if not len(boxes):
            return []
        inputs = [hand_pose_input(image, box, self._pose.side) for box in boxes]
        outputs = self._pose.run(np.stack([tensor for tensor, _ in inputs]))
        placed = [transform for _, transform in inputs]
        return assemble_hands(boxes, scores, outputs["simcc_x"], outputs["simcc_y"], placed)


class _Model:
    """One model that takes square RGB images."""

    def __init__(self, config: ModelConfig, threads: int) -> None:
        image = config.metadata.inputs[0]
        side = image.shape[-1]
        if side is None or image.shape != (3, side, side):
            raise FailedPrecondition(
                f"{config.metadata.name} takes no square RGB images", reason="MODEL_UNSUITABLE"
            )
        self.side = side
        self.parameters = config.metadata.parameters
        self._input = image.name
        self._outputs = [tensor.name for tensor in config.metadata.outputs]
        self._session = load_session(config, threads)

    def run(self, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Outputs by name; the batch axis first."""
        found = self._session.run(self._outputs, {self._input: images})
        return dict(zip(self._outputs, found, strict=True))
