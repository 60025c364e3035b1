"""v_n: what the compact describer writes of each photo, as sentence embeddings.

The describer (`training.kit.data.attribute_text`) reads the facts that the encoders predict from the whole
photo, so nothing is written that was not seen; a multimodal model takes its place in the full system.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nails.vocabulary import TERM_BY_NAME
from training.design.data.features import Features
from training.kit.data.attribute_text import describe_attributes
from training.kit.data.sentences import Sentences

LEAST = 0.02  # facts less likely than this are not even passed on
# (scope, kind) of a fact -> kind of the describer
DESCRIBER_KINDS = {
    ("set", "shape"): "shape",
    ("set", "length"): "length",
    ("set", "accent_fingers"): "finger",
    ("main", "colour"): "colour",
    ("main", "pattern_colours"): "colour",
    ("main", "finish"): "finish",
    ("main", "pattern"): "pattern",
    ("main", "part"): "part",
    ("accent", "colour"): "accent_colour",
    ("accent", "finish"): "accent_finish",
    ("accent", "pattern"): "accent_pattern",
    ("accent", "part"): "accent_part",
}


def written(probabilities: NDArray[np.float16], facts: Sequence[Sequence[str]]) -> str:
    """The text of one photo from the probabilities [F] of its facts (scope, kind, value)."""
    attributes: dict[str, dict[str, float]] = defaultdict(dict)
    for index in np.flatnonzero(probabilities >= LEAST).tolist():
        scope, kind, value = facts[index]
        described = DESCRIBER_KINDS.get((scope, kind))
        if described and value in TERM_BY_NAME[described.removeprefix("accent_")]:
            known = attributes[described]
            known[value] = max(known.get(value, 0.0), float(probabilities[index]))
    return describe_attributes({kind: sorted(known.items()) for kind, known in attributes.items()})


def embed_written(
    features: Features, facts: Sequence[Sequence[str]], sentences: Sentences
) -> NDArray[np.float32]:
    """f32 [N,512] unit: embeddings of the texts of all photos."""
    texts = [written(row, facts) for row in features.facts]
    sentences.add(texts)
    return sentences(texts)
