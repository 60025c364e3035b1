"""Parameters of a served model: strings, as model.toml and config.pbtxt carry them."""

from __future__ import annotations

from collections.abc import Mapping


def read_share(parameters: Mapping[str, str], name: str, default: float) -> float:
    """The parameter `name`, a number in (0, 1); `default` where it is not given.

    Raises ValueError for anything else.
    """
    text = parameters.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise ValueError(f"{name} is {text!r}, not a number between 0 and 1")
    return value
