"""Which models define which vector space, and the fingerprints that name the spaces."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from nails.aesthetic_tokens import Packing
from services.kit.errors import FailedPrecondition
from services.kit.inference.base import InferenceBackend, ModelMetadata

DESIGN, ALIGN, TEXT = "design", "align", "text"

IMAGE_ALIGN, IMAGE_STYLE = "image_align", "image_style"
TEXT_ENCODE = "text_encode"
DESIGN_FUSE, QUERY_FUSE = "design_fuse", "query_fuse"

MODELS = (IMAGE_ALIGN, IMAGE_STYLE, TEXT_ENCODE, DESIGN_FUSE, QUERY_FUSE)
"""Every model of EmbedService, in the order in which their fingerprints make that of the space "design"."""


@dataclass(frozen=True)
class Spaces:
    """The spaces that this server's models define.

    models: in the order of MODELS.
    """

    models: tuple[ModelMetadata, ...]

    @classmethod
    async def read(cls, backend: InferenceBackend) -> Spaces:
        """Asks the backend for its models. Raises what the backend raises."""
        return cls(tuple([await backend.metadata(name) for name in MODELS]))

    @property
    def design(self) -> str:
        """Space "design": sha256 over the fingerprints of all the models."""
        return joint_fingerprint([model.fingerprint for model in self.models])

    @property
    def align(self) -> str:
        """Space "align": image_align's own fingerprint."""
        return self.model(IMAGE_ALIGN).fingerprint

    @property
    def text(self) -> str:
        """Space "text": text_encode's own fingerprint."""
        return self.model(TEXT_ENCODE).fingerprint

    def tokens(self, packing: Packing) -> str:
        """Image tokens in that packing: image_align's fingerprint and the packing."""
        return joint_fingerprint([self.align, f"{packing.grid}x{packing.bits}"])

    def model(self, name: str) -> ModelMetadata:
        """The model of that name."""
        return self.models[MODELS.index(name)]

    def check_expected(self, fingerprint: str, field: str) -> None:
        """Raises FailedPrecondition FINGERPRINT_MISMATCH when `fingerprint` is set and another one."""
        if fingerprint and fingerprint != self.design:
            raise FailedPrecondition(
                "this server's space is not the one that was expected",
                reason="FINGERPRINT_MISMATCH",
                fields=[(field, f"this server's space 'design' has the fingerprint {self.design}")],
                metadata={"expected": fingerprint, "actual": self.design},
            )


def joint_fingerprint(fingerprints: Sequence[str]) -> str:
    """sha256 hex of the fingerprints joined by colons."""
    return hashlib.sha256(":".join(fingerprints).encode()).hexdigest()
