"""From what was read in a request to the tensors of query_fuse."""

from __future__ import annotations

import numpy as np

from nails.colour.palette import PaletteColour
from nails.encoders import joint_fingerprint, named_palette, query_fuse_inputs
from nails.language.phrases import parse_request


def test_phrases_and_colours_fill_their_places_and_their_masks() -> None:
    vectors = np.arange(5 * 4, dtype=np.float32).reshape(5, 4)
    inputs = query_fuse_inputs(vectors, [PaletteColour((50.0, 1.0, 2.0), 1.0)])
    assert np.array_equal(inputs["text"], vectors[0]) and np.array_equal(inputs["mdd"], vectors[1])
    assert inputs["nnp"].shape == (16, 4) and np.array_equal(inputs["nnp"][:3], vectors[2:])
    assert inputs["nnp_mask"].tolist() == [1.0] * 3 + [0.0] * 13
    assert inputs["palette"].shape == (12, 3) and inputs["palette"][0].tolist() == [50.0, 1.0, 2.0]
    assert inputs["palette_mask"].tolist() == [1.0] + [0.0] * 11
    assert not inputs["nnp"][3:].any() and not inputs["palette"][1:].any()


def test_named_colours_share_equally_and_refused_ones_are_left_out() -> None:
    colours = named_palette(parse_request("black and gold nails, no red"))
    assert [colour.name for colour in colours] == ["black", "gold"]
    assert [colour.weight for colour in colours] == [0.5, 0.5]


def test_a_text_without_colours_names_none() -> None:
    assert named_palette(parse_request("something for a wedding")) == ()


def test_a_joint_fingerprint_depends_on_every_part_and_their_order() -> None:
    base = joint_fingerprint(["a", "b"])
    assert len(base) == 64
    assert len({base, joint_fingerprint(["b", "a"]), joint_fingerprint(["a", "c"])}) == 3
