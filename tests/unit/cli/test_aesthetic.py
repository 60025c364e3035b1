"""`lunula aesthetic` and the aesthetic terms of a search in a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import grpc
import pytest
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from cli.__main__ import app
from cli.client import batches
from cli.client.aesthetic import build_request
from cli.client.tables import aesthetic_table, bars, hits_table
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from lunula.type.v1 import item_error_pb2
from tests.rank_server import serving


def printed(what: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=160).print(what)
    return out.getvalue()


def test_photos_and_tags_are_asked_for_as_typed() -> None:
    request = build_request([b"a", b"b"], ["wedding"], auto=False)
    assert [photo.data for photo in request.photos] == [b"a", b"b"]
    assert list(request.tags) == ["wedding"]
    assert request.disable_auto_tags
    assert not build_request([b"a"], [], auto=True).disable_auto_tags


def test_a_score_is_shown_with_its_votes_and_what_it_was_scored_as() -> None:
    scored = rank.AestheticScore(
        score=6.25,
        normalised=0.8,
        distribution=[0, 0, 0, 0, 0.1, 0.4, 0.4, 0.1, 0, 0],
        tags_used=["wedding"],
        tag_alignment=0.31,
        auto_tags=[rank.AutoTag(kind="theme", name="wedding", cosine=0.31)],
    )
    wrong = item_error_pb2.ItemError(message="not a photo [bold]")
    text = printed(
        aesthetic_table(
            ["a.jpg", "b.jpg"],
            [rank.ScoreAestheticsItem(result=scored), rank.ScoreAestheticsItem(error=wrong)],
        )
    )
    for part in ("6.25", "0.80", "wedding", "(found in it)", "0.31", "not a photo [bold]"):
        assert part in text
    assert "██" in text


def test_bars_are_full_for_the_largest_share() -> None:
    assert bars([0.0, 0.5, 1.0]) == " ▄█"
    assert bars([0.0, 0.0]) == "  "
    assert bars([]) == ""


def test_a_hit_without_a_score_has_a_dash_and_says_why() -> None:
    hit = rank.Hit(design=rank.Design(design_id="d1"), score=0.55)
    hit.terms.add(channel="design", raw=0.7, normalised=0.5, weight=0.9, contribution=0.45)
    hit.terms.add(
        channel="aesthetic", normalised=0.5, weight=0.1, contribution=0.05, note="tokens are not stored"
    )
    text = printed(hits_table(rank.SearchDesignsResponse(hits=[hit]), title="red"))
    for part in ("0.70 → .450", "– → .050", "aesthetic: tokens are not stored"):
        assert part in text


class Judging(rank_grpc.RankServiceServicer):
    """Scores photos; refuses a call with a photo that says so."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    async def ScoreAesthetics(
        self, request: rank.ScoreAestheticsRequest, context: grpc.aio.ServicerContext
    ) -> rank.ScoreAestheticsResponse:
        self.calls.append(len(request.photos))
        if any(photo.data.startswith(b"no") for photo in request.photos):
            await context.abort(grpc.StatusCode.INTERNAL, "the model broke")
        items = [rank.ScoreAestheticsItem(result=rank.AestheticScore(score=7.5)) for _ in request.photos]
        return rank.ScoreAestheticsResponse(items=items)


def test_photos_go_in_calls_of_so_many_bytes_and_what_was_scored_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_BYTES", 250)
    paths = [tmp_path / f"{number}.jpg" for number in range(6)]
    for path in paths:
        path.write_bytes(b"x" * 100)
    service = Judging()
    with serving(service) as address:
        words = ["aesthetic", *map(str, paths), "--rank", address]
        whole = CliRunner().invoke(app, words)
        paths[4].write_bytes(b"no" * 50)
        part = CliRunner().invoke(app, words)
        paths[0].write_bytes(b"no" * 50)
        nothing = CliRunner().invoke(app, words)
    assert service.calls == [2, 2, 2, 2, 2, 2, 2]
    assert (whole.exit_code, whole.stdout.count("7.50")) == (0, 6)
    assert (part.exit_code, part.stdout.count("7.50")) == (1, 4)
    assert "the model broke" in part.stderr and "2 of 6 photos were not scored" in part.stderr
    assert (nothing.exit_code, nothing.stdout) == (1, "")


def test_a_photo_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["aesthetic", str(tmp_path / "none.jpg")])
    assert result.exit_code == 2
    assert "none.jpg" in result.output


@pytest.mark.parametrize("weight", ["-0.1", "0.6", "much"])
def test_an_aesthetic_weight_out_of_range_is_refused(weight: str) -> None:
    result = CliRunner().invoke(app, ["search", "red", "--aesthetic-weight", weight])
    assert result.exit_code == 2
    assert "--aesthetic-weight" in result.output
