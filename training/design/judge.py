"""How well a photo answers a text: the share of the attributes asked for that the photo has.

The deterministic confidence of synthetic data, in place of the vision-language judge of CRC (paper N): c =
1 means that the photo satisfies everything the text names, so it is an unlabelled positive and no contrast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nails.phrases import parse
from training.design.records import SLOT_INDEX, SLOTS


def asked(texts: Sequence[str]) -> NDArray[np.float32]:
    """What texts ask for as f32 [N, len(SLOTS)]: 1 wanted, -1 unwanted ("no glitter"), 0 not named."""
    wants = np.zeros((len(texts), len(SLOTS)), np.float32)
    for row, text in enumerate(texts):
        reading = parse(text)
        for phrase in reading.phrases:
            slot = (phrase.kind, phrase.name)
            if slot in SLOT_INDEX:
                wants[row, SLOT_INDEX[slot]] = -1 if phrase.negated else 1
        for colour in reading.colours:
            if wants[row, SLOT_INDEX[("colour", colour.name)]] == 0:
                wants[row, SLOT_INDEX[("colour", colour.name)]] = 1
    return wants


def confidence(wants: NDArray[np.float32], has: NDArray[np.float32]) -> NDArray[np.float32]:
    """Confidence f32 [T,N] in [0, 1] of texts [T,S] (as of `asked`) against photos [N,S] in {0, 1}.

    Wanted and present plus unwanted and absent, over all that is named; 0 for a text that names nothing.
    """
    wanted = (wants > 0).astype(np.float32)
    unwanted = (wants < 0).astype(np.float32)
    named = (wanted + unwanted).sum(axis=1, keepdims=True)
    right: NDArray[np.float32] = wanted @ has.T + unwanted @ (1 - has).T
    return np.asarray(right / np.maximum(named, 1), np.float32)
