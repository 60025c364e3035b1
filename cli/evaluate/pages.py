"""A page of a template with pictures inside, and the pictures beside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.client.page import templates


def write_with_pictures(path: Path, template: str, pictures: Mapping[str, bytes], **facts: Any) -> list[Path]:
    """Writes a page of a template with pictures inside, and each as PATH-NAME.png; returns what was written.

    The template gets `pictures` in base64 beside the facts.
    """
    encoded = {name: base64.b64encode(data).decode() for name, data in pictures.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    page = templates.get_template(template).render(pictures=encoded, **facts)
    path.write_text(page, encoding="utf-8")
    written = [path]
    for name, data in pictures.items():
        written.append(path.with_name(f"{path.stem}-{name}.png"))
        written[-1].write_bytes(data)
    return written
