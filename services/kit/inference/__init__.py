"""The inference seam: one protocol, three implementations (local ONNX Runtime, Triton, fake).

Servicers know `InferenceBackend` only; `build_backend` picks the implementation from the settings.
"""

from services.kit.inference.base import (
    InferenceBackend,
    ModelMetadata,
    TensorSpec,
    all_ready,
    model_versions,
)
from services.kit.inference.factory import build_backend

__all__ = [
    "InferenceBackend",
    "ModelMetadata",
    "TensorSpec",
    "all_ready",
    "build_backend",
    "model_versions",
]
