"""What needs all images of a run: which of them satisfy which request, and the lists that the protocols of
single kinds read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.synth.facts import find_accepted
from training.synth.kinds import aesthetics, artists, attributes
from training.synth.text import stories


def add_accepted(records: Sequence[dict[str, Any]]) -> None:
    """Add `accepts` and `accepts_total` to every text, and `accepts` of the dense English one to the record.

    `accepts`: ids of other photos of the same split that satisfy the text, at most 50, spread over the run;
    `accepts_total`: how many there are.
    """
    for record, found in zip(records, find_accepted(records), strict=True):
        if "texts" not in record:
            continue
        record["accepts"] = []
        for text, (ids, total) in zip(record["texts"], found, strict=True):
            text["accepts"], text["accepts_total"] = ids, total
            if (text["level"], text["lang"]) == ("dense", "en"):
                record["accepts"] = ids


def lists(kind: str, records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The further files of a run by name: what the protocols of papers A, C, Q and R read."""
    makers = {
        "artists": artists.lists,
        "attributes": attributes.lists,
        "contexts": stories.lists,
        "aesthetics": aesthetics.lists,
    }
    return makers[kind](records) if kind in makers else {}
