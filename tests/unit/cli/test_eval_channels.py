"""`lunula eval channels`: what is indexed and asked, what is kept of the answers, what is chosen from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.errors import RecordError
from cli.evaluate.retrieval import channels_command as eval_channels
from cli.evaluate.retrieval.channel_terms import (
    build_records,
    build_requests,
    collect_measures,
    read_terms,
    terms_json,
)
from cli.evaluate.retrieval.channels_command import format_source
from evaluation.retrieval.channel_weights import MeasuredSearch
from evaluation.retrieval.nailstar import Entry
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from tests.rank_server import serving


def entry(name: str, *, palette: bool = True, targets: tuple[str, ...] = ()) -> Entry:
    return Entry(
        id=name,
        image=f"images/{name}.jpg",
        split="val",
        request=f"{name} nails",
        lang="en",
        palette=((50.0, 20.0, 10.0),) if palette else (),
        targets=targets or (name,),
        subset="multi" if len(targets) > 1 else "single",
    )


def hit(name: str, **raw: float) -> rank.Hit:
    found = rank.Hit(design=rank.Design(design_id=name))
    for channel, value in raw.items():
        found.terms.add(channel=channel, raw=value)
    return found


def texts(folder: Path, names: list[str]) -> None:
    lines = [{"id": name, "title": f"title {name}", "description": "gold", "tags": ["a"]} for name in names]
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_share_of_the_photos_carries_its_texts_the_same_every_time(tmp_path: Path) -> None:
    names = [f"{number:04}" for number in range(200)]
    texts(tmp_path, names)
    entries = [entry(name) for name in names]
    half = build_records(tmp_path, entries, 0.5)
    described = {record.design_id for record in half if record.title}
    assert 70 < len(described) < 130
    assert build_records(tmp_path, entries, 0.5) == half
    # With more of them, those that had texts keep theirs.
    more = {record.design_id for record in build_records(tmp_path, entries, 0.8) if record.title}
    assert described < more
    assert all(not record.title and not record.tags for record in build_records(tmp_path, entries, 0))
    one = next(record for record in half if record.title)
    assert (one.title, one.description, one.tags) == (f"title {one.design_id}", "gold", ("a",))
    assert one.photo == tmp_path / "images" / f"{one.design_id}.jpg"


def test_texts_that_are_not_there_or_cannot_be_read_are_reported(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"index\.jsonl: no such file; --described 0"):
        build_records(tmp_path, [entry("a")], 0.5)
    (tmp_path / "index.jsonl").write_text('{"id": "a"}\n[]\n')
    with pytest.raises(RecordError, match=r"index\.jsonl:2"):
        build_records(tmp_path, [entry("a")], 0.5)


def test_a_request_is_asked_with_its_palette_and_without() -> None:
    asked = build_requests(entry("red"))
    assert [request.text for request in asked.values()] == ["red nails", "red nails"]
    assert [len(request.palette.colours) for request in asked.values()] == [0, 1]
    assert asked["text and palette"].palette.colours[0].colour.l == 50
    assert list(build_requests(entry("red", palette=False))) == ["text"]


def test_measures_are_kept_by_channel_in_the_order_of_ids() -> None:
    hits = [
        hit("c", design=0.1, palette=30),
        hit("a", design=0.9, palette=3),
        hit("b", design=0.5, palette=9),
    ]
    kept = collect_measures(entry("b", targets=("b", "c")), "text", hits)
    assert kept.ids == ("a", "b", "c")
    assert kept.raw["design"].tolist() == pytest.approx([0.9, 0.5, 0.1])
    assert kept.raw["palette"].tolist() == [3, 9, 30]
    assert kept.target.tolist() == [False, True, True]
    assert collect_measures(entry("b"), "text", []).ids == ()


def test_what_was_measured_comes_back_from_its_file(tmp_path: Path) -> None:
    kept = [
        collect_measures(entry("a"), "text", [hit("a", design=0.5), hit("b", design=0.25)]),
        collect_measures(entry("b"), "text and palette", []),
    ]
    (tmp_path / "terms").write_text(terms_json(kept))
    read = read_terms(tmp_path / "terms")
    for before, after in zip(kept, read, strict=True):
        assert (after.request, after.kind, after.lang, after.ids) == (
            before.request,
            before.kind,
            before.lang,
            before.ids,
        )
        assert after.target.tolist() == before.target.tolist()
        assert {name: values.tolist() for name, values in after.raw.items()} == {
            name: values.tolist() for name, values in before.raw.items()
        }


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"ids": []}', '{"ids": ["a"], "raw": {"design": []}, "targets": []}']
)
def test_a_bad_line_of_the_file_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "terms").write_text(line)
    with pytest.raises(RecordError, match="terms:1"):
        read_terms(tmp_path / "terms")


def test_the_command_chooses_from_what_was_measured_and_writes_everything(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    searches = []
    for number in range(40):
        target = np.arange(20) == rng.integers(20)
        raw = {
            "design": rng.normal(0.4, 0.1, 20),
            "palette": np.where(target, 4.0, 15.0) + rng.normal(0, 3, 20),
        }
        ids = tuple(f"d{n:02}" for n in range(20))
        searches.append(MeasuredSearch(f"r{number}", "text", ("en", "ja")[number % 2], ids, raw, target))
    (tmp_path / "terms").write_text(terms_json(searches))
    terms, out = str(tmp_path / "terms"), str(tmp_path / "out.json")
    result = CliRunner().invoke(
        app, ["eval", "channels", "--data", str(tmp_path), "--terms", terms, "--out", out]
    )
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["requests"] == 40
    chosen = report["chosen"]["weights"]
    assert chosen["palette"] > report["present"]["weights"]["palette"]
    figures = report["figures"]["all"]
    assert (
        figures["after, on the other half"]["mrr"] > figures["before"]["mrr"] > figures["design alone"]["mrr"]
    )
    assert format_source(report["chosen"]) in result.stdout
    line = f"palette: default_weight = {chosen['palette']:g}, map = Falling("
    assert line in format_source(report["chosen"])


def test_an_interrupted_run_asks_only_what_it_has_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack is replaced: what is asked of it is the point."""
    entries = [entry(name) for name in ("a", "b", "c")]
    asked: list[list[tuple[str, str]]] = []
    resumed: list[list[str]] = []

    def measured(
        folder: Path,
        entries: Any,
        described: float,
        address: str,
        known: list[MeasuredSearch],
        on_asked: Any,
        *,
        own: list[str],
        begin: Any,
    ) -> list[MeasuredSearch]:
        del folder, described, address
        begin()
        resumed.append(own)
        done = {(one.request, one.kind) for one in known}
        missing = [
            (one, kind) for one in entries for kind in build_requests(one) if (one.id, kind) not in done
        ]
        asked.append([(one.id, kind) for one, kind in missing])
        made = []
        for one, kind in missing:
            if len(asked) == 1 and len(made) == 3:
                raise KeyboardInterrupt
            made.append(collect_measures(one, kind, [hit(one.id, design=0.5), hit("x", design=0.4)]))
            on_asked(made[-1])
        return made

    monkeypatch.setattr(eval_channels, "_measured", measured)
    terms = tmp_path / "terms"
    with pytest.raises(KeyboardInterrupt):
        eval_channels._kept(tmp_path, entries, 0.5, "", terms)
    (part,) = tmp_path.iterdir()
    part.write_text(part.read_text() + '{"request": "half a li')
    # Other texts were indexed: nothing of that run counts.
    other = eval_channels._kept(tmp_path, entries, 0.0, "", tmp_path / "terms-2")
    kept = eval_channels._kept(tmp_path, entries, 0.5, "", terms)
    assert [len(one) for one in asked] == [6, 6, 3]
    assert resumed == [[], [], ["a", "b", "c"]]
    assert sorted((one.request, one.kind) for one in kept) == sorted((one.request, one.kind) for one in other)
    assert len(read_terms(terms)) == 6
    assert not list(tmp_path.glob("*.part"))


def test_weights_are_not_chosen_on_the_split_that_results_are_reported_on(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["eval", "channels", "--data", str(tmp_path), "--split", "test"])
    assert result.exit_code == 2
    assert "not on 'test'" in result.output


class Live(rank_grpc.RankServiceServicer):
    """A catalogue of one design; indexing is not implemented."""

    async def ListDesigns(
        self, request: rank.ListDesignsRequest, _: grpc.aio.ServicerContext
    ) -> rank.ListDesignsResponse:
        del request
        return rank.ListDesignsResponse(designs=[rank.Design(design_id="d7")], total_size=1)


@pytest.mark.parametrize("command", ["channels", "retrieval"])
def test_nothing_is_indexed_into_a_catalogue_that_is_not_empty(tmp_path: Path, command: str) -> None:
    fields = {"id": "a", "image": "a.jpg", "split": "val", "request": "red", "lang": "en", "palette": []}
    (tmp_path / "nailstar.jsonl").write_text(
        json.dumps(fields | {"targets": ["a"], "subset": "single"}) + "\n"
    )
    (tmp_path / "requests.jsonl").write_text(json.dumps({"image": "a.jpg", "requests": {"en": "red"}}))
    (tmp_path / "a.jpg").write_bytes(b"")
    terms = tmp_path / "terms"
    words = {"channels": ("--described", "0", "--terms", str(terms)), "retrieval": ()}[command]
    with serving(Live()) as address:
        result = CliRunner().invoke(
            app, ["eval", command, "--data", str(tmp_path), "--rank", address, *words]
        )
    assert result.exit_code == 2, result.output
    message = "".join(result.output.split())
    assert "notempty(designs:1,suchas'd7')" in message
    assert not list(tmp_path.glob("*.part"))
