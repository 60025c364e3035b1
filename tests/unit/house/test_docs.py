"""What the documents point at is there: pages, headings, files and modules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGES = "nails|services|evaluation|training|cli|tools|bench|tests|protos|triton_models"
# A path of ours in backticks: nails/fusion.py, nails.fusion, services/rank/. Places to fill in have capitals.
PATH = re.compile(rf"`((?:{PACKAGES})[./][a-z0-9_./]*)`")


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def exists(name: str) -> bool:
    """Whether a path, or a dotted module or a name within one, is in the repository."""
    dotted = name.replace(".", "/")
    places = [name, dotted, f"{dotted}.py", f"{dotted.rpartition('/')[0]}.py"]
    return any((ROOT / place).exists() for place in places)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        other = page.parent / target if target else page
        if not other.exists() or (anchor and anchor not in anchors(other)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


# A changelog also names what is gone.
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name != "CHANGELOG.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_files_and_modules_that_a_page_names_are_there(page: Path) -> None:
    names = PATH.findall(page.read_text(encoding="utf-8"))
    assert sorted({name for name in names if not exists(name)}) == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert sorted(name for name in pages if f"]({name})" not in index) == []
