"""Whom a folder holds, for `lunula artists enrol`, and what an identification looks like on a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli.__main__ import app
from cli.client.artists import find_artists
from cli.client.photos import parse_labels
from cli.client.tables import artists_table
from cli.errors import RequestError
from evaluation.artist.works import WorksError, write
from lunula.classify.v1 import classify_service_pb2 as pb


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Five works of two artists, one of them with a photo."""
    (tmp_path / "w0.jpg").write_bytes(b"a photo")
    entries = [
        {
            "id": f"w{number}",
            "image": "w0.jpg" if number == 0 else "",
            "title": f"title {number}",
            "description": "",
            "artist": ("fumi", "gen")[number % 2],
        }
        for number in range(5)
    ]
    write(tmp_path, entries)
    return tmp_path


def test_every_artist_of_a_catalogue_comes_with_the_first_works(catalogue: Path) -> None:
    found = find_artists(catalogue, [], 2)
    assert [(one.artist, [work.id for work in one.works]) for one in found] == [
        ("fumi", ["w0", "w2"]),
        ("gen", ["w1", "w3"]),
    ]
    request = found[0].request()
    assert [work.photo.data for work in request.works] == [b"a photo", b""]
    assert [work.HasField("photo") for work in request.works] == [True, False]
    assert [work.title for work in request.works] == ["title 0", "title 2"]


def test_works_that_no_call_can_take_are_reported_before_they_are_read(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(60 * 2**20)  # a hole: nothing is written
    ended = CliRunner().invoke(
        app, ["artists", "enrol", str(tmp_path), "--artist", "fumi", "--classify", "127.0.0.1:1"]
    )
    assert ended.exit_code == 1
    message = " ".join(ended.output.split())
    assert "fumi: the 2 works have 120.0 MiB together and must go in one call, which takes 96 MiB" in message


def test_artists_can_be_picked(catalogue: Path) -> None:
    assert [one.artist for one in find_artists(catalogue, ["gen", "gen"], 64)] == ["gen"]
    with pytest.raises(RequestError, match="'nobody'"):
        find_artists(catalogue, ["nobody"], 64)


def test_a_fault_of_the_catalogue_is_named_by_line(catalogue: Path) -> None:
    with (catalogue / "works.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(WorksError, match=r"works\.jsonl:6: id"):
        find_artists(catalogue, [], 64)


def test_a_folder_of_photos_needs_one_name(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    found = find_artists(tmp_path, ["fumi"], 64)
    assert [work.id for work in found[0].works] == ["a.png", "b.JPG"]
    for names in ([], ["fumi", "gen"]):
        with pytest.raises(RequestError, match="--artist"):
            find_artists(tmp_path, names, 64)


@pytest.mark.parametrize("source", ["empty", "nowhere"])
def test_a_folder_without_works_is_refused(tmp_path: Path, source: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match=source):
        find_artists(tmp_path / source, ["fumi"], 64)


def test_the_evidence_is_shown_below_the_candidates() -> None:
    found = pb.Identification(
        candidates=[
            pb.ArtistCandidate(
                artist_id="fumi [x]",
                probability=0.7,
                origin=pb.ARTIST_ORIGIN_ENROLLED,
                image_cosine=0.9,
                nearest_works=[pb.NearWork(work_id="w1", image_cosine=0.95, text_cosine=0.5)],
            ),
            pb.ArtistCandidate(artist_id="gen", probability=0.1, origin=pb.ARTIST_ORIGIN_TRAINED),
        ],
        unknown_probability=0.2,
        text_evidence=pb.TextEvidence(language="ko", word_count=7, known_word_count=0),
        label_evidence=pb.LabelEvidence(
            labels=["book", "cup"],
            work_count=4,
            entropy=0.5,
            artists=[pb.LabelShare(artist_id="a", share=0.75)],
        ),
    )
    console = Console(width=120, file=None, record=True)
    with console.capture() as capture:
        console.print(artists_table(found))
    shown = capture.get()
    assert "fumi [x] (enrolled)" in shown and "0.90" in shown
    assert "book, cup: 4 works have it, H = 0.50: a 75%" in shown
    assert "read 7 words (ko), 0 of them known" in shown
    assert "fumi [x]: most like w1 (photo 0.95, words 0.50)" in shown


def test_labels_are_read_as_typed() -> None:
    assert parse_labels(["cup=0.8", "a = b=1"]) == {"cup": 0.8, "a = b": 1.0}
    for wrong in ("cup", "cup=much", "=0.5"):
        with pytest.raises(RequestError, match="label like"):
            parse_labels([wrong])
