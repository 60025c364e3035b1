"""Measures a nail_seg export on labelled photos, decoded as in serving; for reports, never for choosing.

python -m training.seg.measure --data DIR [--model triton_models/nail_seg] [--page FILE.png]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from evaluation.segmentation import Predictor, evaluate
from nails.nail_decode import NailInstance, decode_interior
from nails.preprocess import nail_seg_input

SIZE = 512


def predictor(weights: Path, *, size: int = SIZE, threads: int = 1) -> Predictor:
    """Photo -> nails with the ONNX file `weights`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])

    def predict(image: NDArray[np.uint8]) -> list[NailInstance]:
        placed, letterbox = nail_seg_input(image, size)
        maps = session.run(["maps"], {"images": placed[None]})[0][0]
        return decode_interior(maps, letterbox, (image.shape[1], image.shape[0]))

    return predict


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures nail_seg on labelled photos.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=Path("triton_models/nail_seg"))
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    report = evaluate(given.data, predictor(given.model / "1" / "model.onnx"), page=given.page)
    print(json.dumps(report.as_dict(), indent=1))


if __name__ == "__main__":
    main()
