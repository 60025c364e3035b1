"""Which model gave an answer: a plain value that travels with results and is named in every response."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelVersion:
    """A model that took part in an answer.

    fingerprint: hexadecimal sha256 over weights, preprocessing version and precision; vectors can be compared
    if and only if the fingerprints of what made them are equal.
    """

    name: str
    version: str
    fingerprint: str
