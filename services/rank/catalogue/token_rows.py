"""Image tokens as a catalogue keeps them: a text a design, read back for a whole list at once.

The bytes of a design are its packed tokens (nails.aesthetic.tokens) and then the vector of its whole photo as
float16. They are kept in base64, because a text is the one field for bytes of this length that both Milvus
Lite and a server take: Lite has no binary vectors, and a server before 2.4 none of more than 4,096 bytes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nails.aesthetic.tokens import Packing, unpack_rows
from services.kit.errors import Internal

MAX_TEXT_BYTES = 65_535
"""Of a text in Milvus."""


@dataclass(frozen=True)
class TokenSpace:
    """What the tokens of a catalogue version are.

    fingerprint: of the model that made them and the packing. dims: numbers of a token. align_dims: of the
    photo's vector.
    """

    fingerprint: str
    packing: Packing
    dims: int
    align_dims: int

    @property
    def size(self) -> int:
        """Bytes of a design."""
        return self.packing.size(self.dims) + 2 * self.align_dims

    @property
    def fits(self) -> bool:
        """Whether a design's bytes fit into a text of Milvus."""
        return 4 * -(-self.size // 3) <= MAX_TEXT_BYTES

    def facts(self) -> str:
        """As a text for the collection's property."""
        return json.dumps(
            {
                "fingerprint": self.fingerprint,
                "grid": self.packing.grid,
                "bits": self.packing.bits,
                "dims": self.dims,
                "align_dims": self.align_dims,
            }
        )

    @classmethod
    def of(cls, facts: str) -> TokenSpace:
        """Reads what `facts` wrote."""
        read = json.loads(facts)
        packing = Packing(read["grid"], read["bits"])
        return cls(read["fingerprint"], packing, read["dims"], read["align_dims"])


@dataclass(frozen=True)
class PhotoTokens:
    """What the model looks at. tokens: packed bytes. align: the vector of the whole photo [D_a]."""

    tokens: bytes
    align: Sequence[float]

    def text(self, space: TokenSpace) -> str:
        """As it is kept. Raises Internal TOKENS_INVALID for tokens that are not of the space."""
        align = np.asarray(self.align, "<f2")
        if len(self.tokens) + align.nbytes != space.size or not np.isfinite(align).all():
            raise Internal("image tokens are not of their space", reason="TOKENS_INVALID")
        return base64.b64encode(self.tokens + align.tobytes()).decode()


@dataclass(frozen=True)
class TokenBatch:
    """Of n designs: ids; tokens f16 [n, T, D]; align f32 [n, D_a]."""

    ids: tuple[str, ...]
    tokens: NDArray[np.float16]
    align: NDArray[np.float32]


def read_batch(rows: Mapping[str, Mapping[str, Any]], space: TokenSpace) -> TokenBatch:
    """The tokens of rows by id, in their order; rows whose text is damaged are left out."""
    packed = space.packing.size(space.dims)
    ids, read = [], []
    for design_id, row in rows.items():
        try:
            data = base64.b64decode(row["tokens"], validate=True)
        except ValueError:
            continue
        if len(data) == space.size:
            ids.append(design_id)
            read.append(data)
    whole = np.frombuffer(b"".join(read), np.uint8).reshape(len(ids), space.size)
    align = np.ascontiguousarray(whole[:, packed:]).view("<f2").astype(np.float32)
    return TokenBatch(tuple(ids), unpack_rows(whole[:, :packed], space.packing, space.dims), align)
