"""The encoders of designs and requests: their names and inputs.

One definition for training, evaluation and serving, so that they cannot disagree (paper N: CVFIM, LIFM,
IPFM).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nails.colour.palette import MAX_COLOURS, PaletteColour
from nails.language.phrases import ParsedRequest

IMAGE_ALIGN, IMAGE_STYLE = "image_align", "image_style"
TEXT_ENCODE = "text_encode"
DESIGN_FUSE, QUERY_FUSE = "design_fuse", "query_fuse"

ENCODERS = (IMAGE_ALIGN, IMAGE_STYLE, TEXT_ENCODE, DESIGN_FUSE, QUERY_FUSE)
"""The models behind a design's vector, in the order in which their fingerprints make that of its space."""

DECODE_SIDE = 1024
"""Photos are decoded at most this large: several times what the encoders see, so that nothing is lost."""

MAX_PHRASES = 16
"""Noun phrases that `query_fuse` takes; those after them are not used."""


def joint_fingerprint(fingerprints: Sequence[str]) -> str:
    """sha256 hex of the fingerprints joined by colons."""
    return hashlib.sha256(":".join(fingerprints).encode()).hexdigest()


def named_palette(reading: ParsedRequest) -> tuple[PaletteColour, ...]:
    """The colours that a text names, in equal shares."""
    colours = reading.colours[:MAX_COLOURS]
    return tuple(
        PaletteColour(lab=colour.lab, weight=1.0 / len(colours), name=colour.name) for colour in colours
    )


def query_fuse_inputs(
    vectors: NDArray[np.float32], palette: Sequence[PaletteColour]
) -> dict[str, NDArray[Any]]:
    """Inputs of query_fuse for one request.

    vectors: [2 + n, D_n], of the text, its multi-level description, and n <= 16 noun phrases.
    """
    width, phrases = vectors.shape[1], len(vectors) - 2
    nnp, nnp_mask = np.zeros((MAX_PHRASES, width), np.float32), np.zeros(MAX_PHRASES, np.float32)
    nnp[:phrases], nnp_mask[:phrases] = vectors[2:], 1.0
    colours, colour_mask = np.zeros((MAX_COLOURS, 3), np.float32), np.zeros(MAX_COLOURS, np.float32)
    for row, colour in enumerate(palette):
        colours[row], colour_mask[row] = colour.lab, 1.0
    return {
        "text": vectors[0],
        "mdd": vectors[1],
        "nnp": nnp,
        "nnp_mask": nnp_mask,
        "palette": colours,
        "palette_mask": colour_mask,
    }
