"""Image tokens come back from the catalogue as they went in."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from nails.aesthetic.tokens import BITS, GRIDS, Packing, pack, unpack
from services.kit.errors import Internal
from services.rank.catalogue.rows import MAX_VARCHAR_BYTES
from services.rank.catalogue.tokens import TOKENS, TokenSpace, decode_tokens, encode_tokens
from services.rank.upstream import ImageTokens

DIMS, ALIGN = 320, 512


def made(seed: int, packing: Packing) -> tuple[ImageTokens, np.ndarray]:
    rng = np.random.default_rng(seed)
    align = rng.standard_normal(ALIGN)
    align /= np.linalg.norm(align)
    data = pack(rng.standard_normal((49, DIMS)).astype(np.float16), packing)
    return ImageTokens(data, packing, DIMS, "f"), align


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("bits", BITS)
def test_tokens_and_vector_come_back_in_order(grid: int, bits: int) -> None:
    packing = Packing(grid, bits)  # type: ignore[arg-type]  # of the lists above
    space = TokenSpace("f", packing, DIMS, ALIGN)
    kept = {f"d{seed}": made(seed, packing) for seed in range(3)}
    rows = {name: {"tokens": encode_tokens(*one, space)} for name, one in kept.items()}
    batch = decode_tokens(rows, space)
    assert batch.ids == tuple(kept)
    assert (batch.tokens.dtype, batch.align.dtype) == (np.float16, np.float32)
    for place, (tokens, align) in enumerate(kept.values()):
        assert np.array_equal(batch.tokens[place], unpack(tokens.data, packing, DIMS))
        assert np.allclose(batch.align[place], align, atol=1e-3)
    assert TOKENS.load(space.dump()) == space
    assert space.fits
    assert len(rows["d0"]["tokens"]) <= MAX_VARCHAR_BYTES


def test_a_damaged_row_is_left_out_and_the_others_are_read() -> None:
    packing = Packing(4, 8)
    space = TokenSpace("f", packing, DIMS, ALIGN)
    good = encode_tokens(*made(1, packing), space)
    rows = {
        "letters": {"tokens": "not base64 at all!"},
        "short": {"tokens": base64.b64encode(b"short").decode()},
        "long": {"tokens": base64.b64encode(base64.b64decode(good) + b"xx").decode()},
        "empty": {"tokens": ""},
        "good": {"tokens": good},
    }
    assert decode_tokens(rows, space).ids == ("good",)
    nothing = decode_tokens({}, space)
    assert (nothing.tokens.shape, nothing.align.shape) == ((0, 16, DIMS), (0, ALIGN))


def test_tokens_of_another_space_are_not_kept() -> None:
    space = TokenSpace("f", Packing(4, 8), DIMS, ALIGN)
    with pytest.raises(Internal, match="not of their space"):
        encode_tokens(*made(1, Packing(2, 8)), space)
    tokens, _ = made(1, Packing(4, 8))
    with pytest.raises(Internal, match="not of their space"):
        encode_tokens(tokens, [float("nan")] * ALIGN, space)


def test_tokens_too_large_for_a_text_are_known_before_they_are_made() -> None:
    assert not TokenSpace("f", Packing(7, 16), 1024, 1024).fits
