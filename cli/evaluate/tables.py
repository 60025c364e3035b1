"""Tables of figures for a terminal."""

from __future__ import annotations

from collections.abc import Collection

from rich.table import Table


def build_table(title: str, *columns: str, left: Collection[str] = (), caption: str | None = None) -> Table:
    """An empty table; its columns hold numbers and are aligned right, but for those of `left`."""
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", overflow="fold")
    return table
