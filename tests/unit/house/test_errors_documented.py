"""docs/errors.md has every reason that a service can answer with, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from services.kit.errors import LunulaError

ROOT = Path(__file__).resolve().parents[3]
REASON = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
# Upper-case words of other systems that stand in the code: an index type of Milvus.
NOT_REASONS = {"SPARSE_INVERTED_INDEX"}


def reasons_in_code() -> set[str]:
    """Every string of the form UPPER_SNAKE in services and nails, and the default reason of every class."""
    texts = {
        node.value
        for folder in ("services", "nails")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    reasons = {text for text in texts if REASON.fullmatch(text)} - NOT_REASONS
    return reasons | {kind.default_reason for kind in error_classes(LunulaError)}


def error_classes(root: type[LunulaError]) -> Iterator[type[LunulaError]]:
    yield root
    for kind in root.__subclasses__():
        yield from error_classes(kind)


def reasons_in_document() -> set[str]:
    """The first column of the tables in docs/errors.md."""
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", text, re.MULTILINE))


def test_every_reason_is_documented() -> None:
    # The local backend puts MODEL_ before what is wrong with a model's files.
    documented = reasons_in_document()
    documented |= {reason.removeprefix("MODEL_") for reason in documented}
    assert sorted(reasons_in_code() - documented) == []


def test_no_reason_is_documented_that_is_gone() -> None:
    code = reasons_in_code()
    code |= {f"MODEL_{reason}" for reason in code}
    assert sorted(reasons_in_document() - code) == []


def test_every_reason_is_documented_once() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", text, re.MULTILINE)
    assert sorted({reason for reason in rows if rows.count(reason) > 1}) == []
