"""What is stored of a design."""

from __future__ import annotations

from dataclasses import replace

from lunula.rank.v1 import rank_service_pb2 as pb
from services.kit.settings import load
from services.rank.catalogue.rows import MAX_VARCHAR_BYTES, DesignText, spaced_words
from services.rank.messages import read_design
from services.rank.settings import RankSettings

TEXT = DesignText("d1", "title", "description", "artist", ("a", "b"), (("shape", "almond"),), "context")


def test_every_word_changes_the_digest_and_the_id_does_not() -> None:
    digest = TEXT.digest("photo")
    assert replace(TEXT, design_id="other").digest("photo") == digest
    changed = [
        replace(TEXT, title="x"),
        replace(TEXT, description="x"),
        replace(TEXT, artist_id="x"),
        replace(TEXT, tags=("b", "a")),
        replace(TEXT, tags=("a",)),
        replace(TEXT, attributes=()),
        replace(TEXT, context="x"),
        # A word that moves from one field to the next.
        replace(TEXT, title="", description="titledescription"),
    ]
    digests = {one.digest("photo") for one in changed} | {TEXT.digest("another photo"), digest}
    assert len(digests) == len(changed) + 2


def test_the_order_of_a_map_does_not_change_the_digest() -> None:
    values = {"shape": "almond", "finish": "matte"}
    one, other = (pb.Design(design_id="d") for _ in range(2))
    for name, value in values.items():
        one.attributes[name] = value
    for name, value in reversed(values.items()):
        other.attributes[name] = value
    texts = [read_design(pb.IndexDesignsRequest(design=design))[0] for design in (one, other)]
    assert texts[0].digest("p") == texts[1].digest("p")


def test_words_of_both_languages_are_separated_by_spaces() -> None:
    assert spaced_words("Milky ピンク!").split() == ["milky", "ピ", "ン", "ク", "ピン", "ンク"]
    assert spaced_words("…!💅") == ""


def test_words_are_cut_between_words_where_they_do_not_fit() -> None:
    kept = spaced_words("爪先" * 10_000)
    assert MAX_VARCHAR_BYTES - 10 < len(kept.encode()) <= MAX_VARCHAR_BYTES
    assert set(kept.split()) <= {"爪", "先", "爪先", "先爪"}


def test_settings_come_from_the_command_line_too() -> None:
    settings = load(RankSettings, ["--milvus-uri", "http://db:19530", "--candidates", "50"])
    assert (settings.milvus_uri, settings.candidates, settings.port) == ("http://db:19530", 50, 7103)
