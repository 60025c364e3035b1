"""The companion `tokens`: image tokens, which the aesthetic model reads when a list of hits is reranked.

The bytes of a design are its packed tokens (nails.aesthetic.tokens) and then the vector of its whole photo as
float16. They are kept in base64, because a text is the one field for bytes of this length that both Milvus
Lite and a server take: Lite has no binary vectors, and a server before 2.4 none of more than 4,096 bytes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nails.aesthetic.tokens import Packing, unpack_rows
from services.kit.errors import Internal
from services.rank.catalogue.companion import DataCompanion
from services.rank.catalogue.rows import MAX_VARCHAR_BYTES
from services.rank.upstream import EmbeddedDesign, ImageTokens


@dataclass(frozen=True)
class TokenSpace:
    """What the tokens of a catalogue version are.

    fingerprint: of the model that made them and the packing. dims: numbers of a token. align_dims: of the
    photo's vector.
    """

    companion: ClassVar[str] = "tokens"
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
        """Whether a design's bytes, in base64, fit into a text field of Milvus."""
        return 4 * -(-self.size // 3) <= MAX_VARCHAR_BYTES

    def dump(self) -> str:
        """As text."""
        return json.dumps(
            {
                "fingerprint": self.fingerprint,
                "grid": self.packing.grid,
                "bits": self.packing.bits,
                "dims": self.dims,
                "align_dims": self.align_dims,
            }
        )


class TokenCompanion(DataCompanion[TokenSpace]):
    """The tokens and the vector of the whole photo, as one text a design."""

    name = "tokens"

    def describe(self, made: EmbeddedDesign) -> TokenSpace | None:
        """None where EmbedService gives no tokens, and where a catalogue cannot keep them."""
        space = token_space(made)
        return space if space is not None and space.fits else None

    def load(self, stored: str) -> TokenSpace:
        """Reads what `TokenSpace.dump` wrote."""
        read = json.loads(stored)
        packing = Packing(read["grid"], read["bits"])
        return TokenSpace(read["fingerprint"], packing, read["dims"], read["align_dims"])

    def value(self, made: EmbeddedDesign, space: TokenSpace) -> str | None:
        """The text of the tokens; None where they are of another kind than the version keeps."""
        if made.tokens is None or made.photo_align is None or token_space(made) != space:
            return None
        return encode_tokens(made.tokens, made.photo_align.values, space)

    def texts(self) -> Mapping[str, int]:
        """The one text."""
        return {self.name: MAX_VARCHAR_BYTES}

    def embed_options(self, space: TokenSpace) -> Mapping[str, Any]:
        """The packing of the tokens."""
        return {"packing": space.packing}


TOKENS = TokenCompanion()


def token_space(made: EmbeddedDesign) -> TokenSpace | None:
    """What the tokens of an embedded design are; None where it has none."""
    if made.tokens is None or made.photo_align is None:
        return None
    tokens = made.tokens
    return TokenSpace(tokens.fingerprint, tokens.packing, tokens.dimensions, len(made.photo_align.values))


def encode_tokens(tokens: ImageTokens, align: Sequence[float], space: TokenSpace) -> str:
    """Tokens and the vector of the whole photo [D_a] as they are kept.

    Raises Internal TOKENS_INVALID for tokens that are not of the space.
    """
    vector = np.asarray(align, "<f2")
    if len(tokens.data) + vector.nbytes != space.size or not np.isfinite(vector).all():
        raise Internal("image tokens are not of their space", reason="TOKENS_INVALID")
    return base64.b64encode(tokens.data + vector.tobytes()).decode()


@dataclass(frozen=True)
class TokenBatch:
    """Of n designs: ids; tokens f16 [n, T, D]; align f32 [n, D_a]."""

    ids: tuple[str, ...]
    tokens: NDArray[np.float16]
    align: NDArray[np.float32]


def decode_tokens(rows: Mapping[str, Mapping[str, Any]], space: TokenSpace) -> TokenBatch:
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
