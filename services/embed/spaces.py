"""Which models define which vector space, and the fingerprints that name the spaces."""

from __future__ import annotations

from dataclasses import dataclass

from nails.aesthetic.tokens import Packing
from nails.encoders import ENCODERS, IMAGE_ALIGN, TEXT_ENCODE, joint_fingerprint
from services.kit.errors import FailedPrecondition
from services.kit.inference.base import InferenceBackend, ModelMetadata

DESIGN, ALIGN, TEXT = "design", "align", "text"


@dataclass(frozen=True)
class Spaces:
    """The spaces that this server's models define.

    models: in the order of ENCODERS.
    """

    models: tuple[ModelMetadata, ...]

    @classmethod
    async def read(cls, backend: InferenceBackend) -> Spaces:
        """Reads the models' metadata from the backend. Raises what the backend raises."""
        return cls(tuple([await backend.metadata(name) for name in ENCODERS]))

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
        return self.models[ENCODERS.index(name)]

    def check_expected(self, fingerprint: str, field: str) -> None:
        """Raises FailedPrecondition FINGERPRINT_MISMATCH for a fingerprint of another space; "" is none."""
        if fingerprint and fingerprint != self.design:
            raise FailedPrecondition(
                "this server's space is not the one that was expected",
                reason="FINGERPRINT_MISMATCH",
                fields=[(field, f"this server's space 'design' has the fingerprint {self.design}")],
                metadata={"expected": fingerprint, "actual": self.design},
            )
