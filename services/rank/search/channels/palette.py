"""Channel `palette`: the colours that the request asks for against those of the nails (CIEDE2000).

It has no index and returns no candidates: it scores those of the other channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nails.colour.palette import PaletteColour
from nails.colour.palette_match import palette_differences
from nails.fusion import Falling
from services.rank.catalogue.rows import read_colours
from services.rank.search.channels.base import Channel, Pool, Preparation, Retriever

NAME = "palette"


@dataclass(frozen=True, kw_only=True)
class PaletteRetriever(Retriever):
    """palette: the caller's, else the colours that the text names."""

    palette: tuple[PaletteColour, ...]

    async def score(self, pool: Pool) -> Mapping[str, float]:
        """Colour differences, huge where a design shows no nails."""
        rows = await pool.all_rows()
        ids = [design_id for design_id in pool.ids if design_id in rows]
        if not ids:
            return {}
        differences = palette_differences(self.palette, [read_colours(rows[one]) for one in ids])
        return dict(zip(ids, differences.tolist(), strict=True))


class PaletteChannel(Channel):
    """Needs colours."""

    name = NAME
    default_weight = 0.25
    map = Falling(half=20.0)

    async def prepare(self, preparation: Preparation) -> PaletteRetriever | None:
        """Waits for the text to be read where the caller gives no colours."""
        palette = preparation.request.palette
        if not palette:
            query = await preparation.query
            palette = () if query is None else query.palette
        return PaletteRetriever(palette=palette) if palette else None
