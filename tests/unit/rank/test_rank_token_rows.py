"""Image tokens come back from the catalogue as they went in."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from nails.aesthetic.tokens import BITS, GRIDS, Packing, pack, unpack
from services.kit.errors import Internal
from services.rank.catalogue.token_rows import MAX_TEXT_BYTES, PhotoTokens, TokenSpace, read_batch

DIMS, ALIGN = 320, 512


def made(seed: int, packing: Packing) -> tuple[PhotoTokens, np.ndarray]:
    rng = np.random.default_rng(seed)
    align = rng.standard_normal(ALIGN)
    align /= np.linalg.norm(align)
    return PhotoTokens(
        pack(rng.standard_normal((49, DIMS)).astype(np.float16), packing), align.tolist()
    ), align


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("bits", BITS)
def test_tokens_and_vector_come_back_in_order(grid: int, bits: int) -> None:
    packing = Packing(grid, bits)  # type: ignore[arg-type]  # of the lists above
    space = TokenSpace("f", packing, DIMS, ALIGN)
    kept = {f"d{seed}": made(seed, packing) for seed in range(3)}
    rows = {name: {"tokens": tokens.text(space)} for name, (tokens, _) in kept.items()}
    batch = read_batch(rows, space)
    assert batch.ids == tuple(kept)
    assert (batch.tokens.dtype, batch.align.dtype) == (np.float16, np.float32)
    for place, (tokens, align) in enumerate(kept.values()):
        assert np.array_equal(batch.tokens[place], unpack(tokens.tokens, packing, DIMS))
        assert np.allclose(batch.align[place], align, atol=1e-3)
    assert TokenSpace.of(space.facts()) == space
    assert space.fits
    assert len(rows["d0"]["tokens"]) <= MAX_TEXT_BYTES


def test_a_damaged_row_is_left_out_and_the_others_are_read() -> None:
    packing = Packing(4, 8)
    space = TokenSpace("f", packing, DIMS, ALIGN)
    good = made(1, packing)[0].text(space)
    rows = {
        "letters": {"tokens": "not base64 at all!"},
        "short": {"tokens": base64.b64encode(b"short").decode()},
        "long": {"tokens": base64.b64encode(base64.b64decode(good) + b"xx").decode()},
        "empty": {"tokens": ""},
        "good": {"tokens": good},
    }
    assert read_batch(rows, space).ids == ("good",)
    nothing = read_batch({}, space)
    assert (nothing.tokens.shape, nothing.align.shape) == ((0, 16, DIMS), (0, ALIGN))


def test_tokens_of_another_space_are_not_kept() -> None:
    space = TokenSpace("f", Packing(4, 8), DIMS, ALIGN)
    tokens = made(1, Packing(2, 8))[0]
    with pytest.raises(Internal, match="not of their space"):
        tokens.text(space)
    broken = PhotoTokens(made(1, Packing(4, 8))[0].tokens, [float("nan")] * ALIGN)
    with pytest.raises(Internal, match="not of their space"):
        broken.text(space)


def test_tokens_too_large_for_a_text_are_known_before_they_are_made() -> None:
    assert not TokenSpace("f", Packing(7, 16), 1024, 1024).fits
