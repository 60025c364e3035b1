"""How well a photo answers a text: the share of the attributes asked for that the photo has.

The deterministic confidence of synthetic data, in place of the vision-language judge of CRC (paper N): c =
1 means that the photo satisfies everything the text names, so it is an unlabelled positive and no contrast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nails.phrases import parse
from training.design.records import SLOT_INDEX, SLOTS, Request


def asked(requests: Sequence[Request]) -> NDArray[np.float32]:
    """What requests ask for as f32 [N, len(SLOTS)]: 1 wanted, -1 unwanted ("no glitter"), 0 not named.

    The writer's own claims where a request carries them, else what the lexicon finds in its text.
    """
    wants = np.zeros((len(requests), len(SLOTS)), np.float32)
    for row, request in enumerate(requests):
        for kind, name, wanted in request.claims:
            wants[row, SLOT_INDEX[(kind, name)]] = 1 if wanted else -1
        if request.claims:
            continue
        reading = parse(request.text)
        for phrase in reading.phrases:
            slot = (phrase.kind, phrase.name)
            if slot in SLOT_INDEX:
                wants[row, SLOT_INDEX[slot]] = -1 if phrase.negated else 1
        for colour in reading.colours:
            if wants[row, SLOT_INDEX[("colour", colour.name)]] == 0:
                wants[row, SLOT_INDEX[("colour", colour.name)]] = 1
    return wants


def confidence(wants: NDArray[np.float32], has: NDArray[np.float32]) -> NDArray[np.float32]:
    """Confidence f32 [T,N] in [0, 1] of requests [T,S] (as of `asked`) against photos [N,S] in {0, 1}.

    Wanted and present plus unwanted and absent, over all that is named; 0 for a text that names nothing.
    """
    wanted = (wants > 0).astype(np.float32)
    unwanted = (wants < 0).astype(np.float32)
    named = (wanted + unwanted).sum(axis=1, keepdims=True)
    right: NDArray[np.float32] = wanted @ has.T + unwanted @ (1 - has).T
    return np.asarray(right / np.maximum(named, 1), np.float32)
