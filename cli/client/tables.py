"""What was found, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from lunula.classify.v1 import classify_service_pb2 as classify
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.type.v1 import palette_pb2, response_info_pb2
from nails.colour.cielab import lab_to_srgb_u8

_BARS = " ▁▂▃▄▅▆▇█"


def hex_code(colour: palette_pb2.LabColour) -> str:
    """`#rrggbb` of a CIELAB colour, clipped to what a display can show."""
    red, green, blue = (int(channel) for channel in lab_to_srgb_u8((colour.l, colour.a, colour.b)))
    return f"#{red:02x}{green:02x}{blue:02x}"


def swatches(palette: palette_pb2.Palette) -> Text:
    """A coloured block per colour."""
    text = Text()
    for item in palette.colours:
        text.append("█", style=hex_code(item.colour))
    return text


def hits_table(response: rank.SearchDesignsResponse, *, title: str, first_rank: int = 1) -> Group:
    """Hits with the breakdown of each score, and below it why each was found.

    A cell of a channel is "raw → weighted"; the weighted terms of a row add up to its score. What a channel
    did not measure has a dash, and the reason stands below.
    """
    channels = [term.channel for term in response.hits[0].terms] if response.hits else []
    table = Table(
        title=escape(title), title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("design", no_wrap=True)
    table.add_column("score", justify="right", style="bold", no_wrap=True)
    for channel in channels:
        table.add_column(channel, justify="right", no_wrap=True)
    table.add_column("colours", no_wrap=True)
    table.add_column("artist", no_wrap=True)
    why = Table.grid(padding=(0, 2, 0, 0))
    for position, hit in enumerate(response.hits, start=first_rank):
        terms = {term.channel: term for term in hit.terms}
        table.add_row(
            str(position),
            hit.design.design_id,
            f"{hit.score:.3f}",
            *(_cell(terms[name]) for name in channels if name in terms),
            swatches(hit.design.palette),
            escape(hit.design.artist_id or "-"),
        )
        why.add_row(f"[dim]{position}[/dim]", f"[dim]{escape(hit.explanation)}[/dim]")
        if notes := sorted({f"{term.channel}: {term.note}" for term in hit.terms if term.note}):
            why.add_row("", f"[dim]{escape('; '.join(notes))}[/dim]")
    return Group(table, why)


def _cell(term: rank.ScoreTerm) -> str:
    """ "0.71 → .250"."""
    raw = "–" if term.note else f"{term.raw:.2f}"
    return f"{raw} → {term.contribution:.3f}".replace(" → 0.", " → .")


def aesthetic_table(names: Iterable[str], items: Iterable[rank.ScoreAestheticsItem]) -> Table:
    """A row a photo: its score, its votes as bars from 1 to 10, and the tags that it was scored for."""
    table = Table(title="Aesthetic scores", title_justify="left", box=SIMPLE_HEAD, show_edge=False)
    for name in ("photo", "score", "percentile", "votes 1 to 10", "scored as", "tag fit"):
        table.add_column(name, justify="right" if name in ("score", "percentile", "tag fit") else "left")
    for name, item in zip(names, items, strict=True):
        if item.WhichOneof("outcome") == "error":
            table.add_row(escape(name), "–", "", "", f"[red]{escape(item.error.message)}[/red]", "")
            continue
        found = item.result
        scored_as = ", ".join(found.tags_used) or "nothing in particular"
        table.add_row(
            escape(name),
            f"{found.score:.2f}",
            f"{found.normalised:.2f}",
            bars(found.distribution),
            escape(scored_as) + (" [dim](found in it)[/dim]" if found.auto_tags else ""),
            f"{found.tag_alignment:.2f}" if found.HasField("tag_alignment") else "",
        )
    return table


def bars(shares: Iterable[float]) -> str:
    """Shares as bars of eight heights, the largest one full."""
    values = list(shares)
    largest = max(values, default=0.0) or 1.0
    return "".join(_BARS[min(8, round(8 * value / largest))] for value in values)


def timings_line(info: response_info_pb2.ResponseInfo) -> str:
    """`search 3.1 ms · embed 12.0 ms`, in the order in which the service reports them."""
    return " · ".join(f"{timing.stage} {timing.milliseconds:.1f} ms" for timing in info.timings)


def artists_table(identification: classify.Identification) -> Group:
    """Candidates with the probability by each modality, and below them the evidence."""
    table = Table(title="Artists", title_justify="left")
    for name in (
        "artist",
        "probability",
        "from the photo",
        "from the words",
        "photo like theirs",
        "words like theirs",
    ):
        table.add_column(name, justify="left" if name == "artist" else "right")
    by_photo = classify.MODALITY_IMAGE in identification.modalities
    by_words = classify.MODALITY_TEXT in identification.modalities
    for candidate in identification.candidates:
        enrolled = candidate.origin == classify.ARTIST_ORIGIN_ENROLLED
        table.add_row(
            escape(candidate.artist_id) + (" [dim](enrolled)[/dim]" if enrolled else ""),
            f"{candidate.probability:.3f}",
            f"{candidate.image_probability:.3f}" if by_photo else "",
            f"{candidate.text_probability:.3f}" if by_words else "",
            f"{candidate.image_cosine:.2f}" if candidate.HasField("image_cosine") else "",
            f"{candidate.text_cosine:.2f}" if candidate.HasField("text_cosine") else "",
        )
    unknown = f"{identification.unknown_probability:.3f}"
    table.add_row("(someone else)", unknown, "", "", "", "", style="dim")
    return Group(table, *(f"[dim]{line}[/dim]" for line in _evidence(identification)))


def _evidence(identification: classify.Identification) -> Iterator[str]:
    if identification.HasField("text_evidence"):
        read = identification.text_evidence
        yield f"read {read.word_count} words ({read.language}), {read.known_word_count} of them known"
    if identification.HasField("label_evidence"):
        seen = identification.label_evidence
        names = ", ".join(escape(name) for name in seen.labels) or "no label"
        shares = ", ".join(f"{escape(one.artist_id)} {one.share:.0%}" for one in seen.artists)
        found = f"{names}: {seen.work_count} works have it, H = {seen.entropy:.2f}"
        yield f"{found}: {shares}" if shares else found
    for candidate in identification.candidates:
        if candidate.nearest_works:
            works = ", ".join(
                f"{escape(work.work_id)} (photo {work.image_cosine:.2f}, words {work.text_cosine:.2f})"
                for work in candidate.nearest_works
            )
            yield f"{escape(candidate.artist_id)}: most like {works}"


def key_values(rows: Iterable[tuple[str, str]], *, title: str = "") -> Table:
    """Two columns without rules."""
    table = Table(title=title or None, title_justify="left", show_header=False, box=None)
    for key, value in rows:
        table.add_row(key, value)
    return table
