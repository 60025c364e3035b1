"""A synthetic run in NAIL-STAR's form: halves with several and with one target, complete lists, palettes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.retrieval.nailstar import read
from nails.vocabulary import COLOUR_BY_NAME
from training.synth.design.designs import sample_design
from training.synth.facts import satisfies
from training.synth.holdout import has_held_out_word, sentence_held_out
from training.synth.kinds.subjects import choose_subject
from training.synth.nailstar import choose_requests, main, pick_palette, write
from training.synth.scene.record import design_attributes
from training.synth.text.brief import brief_requests, rebuild_design
from training.synth.text.texts import write_texts

SIZES = {"train": 150, "val": 60, "test": 400}


def record_of(number: int, split: str) -> dict[str, Any]:
    """What a record says of a design; nothing is rendered."""
    rng = np.random.default_rng([number, 99])
    subject = choose_subject(rng, number, "designs", bare_share=0.05)
    return {
        "id": f"{number:06d}",
        "image": f"images/{number:06d}.jpg",
        "seed": number,
        "crop": {"box": [0.0, 0.0, 9.0, 9.0], "rule": 4, "target_hand": 0},
        "attributes": design_attributes(subject.design),
        **write_texts(rng, subject.design, split),
        **(subject.more or {}),
    }


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    splits = [split for split, size in SIZES.items() for _ in range(size)]
    return [record_of(number, split) for number, split in enumerate(splits)]


@pytest.fixture(scope="module")
def entries(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return choose_requests(records)


def test_half_of_each_split_has_several_targets(entries: list[dict[str, Any]]) -> None:
    counts = Counter((entry["split"], entry["subset"]) for entry in entries)
    assert [entry["id"] for entry in entries] == [f"{number:06d}" for number in range(sum(SIZES.values()))]
    assert counts["test", "multi"] == counts["test", "single"] == 200
    assert counts["val", "multi"] == counts["val", "single"] == 30


def test_targets_are_exactly_the_photos_of_the_split_that_satisfy_the_request(
    records: list[dict[str, Any]], entries: list[dict[str, Any]]
) -> None:
    for record, entry in zip(records, entries, strict=True):
        photos = (other for other in records if other["split"] == entry["split"])
        fitting = {other["id"] for other in photos if satisfies(other["attributes"], entry["claims"])}
        assert entry["targets"][0] == record["id"]
        assert set(entry["targets"]) == fitting
        assert (len(fitting) > 1) == (entry["subset"] == "multi")


def test_requests_describe_and_few_have_more_than_twenty_targets(entries: list[dict[str, Any]]) -> None:
    assert {entry["level"] for entry in entries if entry["subset"] == "single"} == {"dense"}
    test = [entry for entry in entries if entry["split"] == "test"]
    assert sum(entry["level"] == "abstract" for entry in test) == 0
    assert max(len(entry["targets"]) for entry in test) <= 20


def test_both_languages_share_the_subsets_evenly(entries: list[dict[str, Any]]) -> None:
    counts = Counter((entry["subset"], entry["lang"]) for entry in entries if entry["split"] == "test")
    assert abs(counts["multi", "en"] - counts["single", "en"]) <= 1
    assert min(counts.values()) > 70


def test_requests_of_test_photos_never_occur_in_training(entries: list[dict[str, Any]]) -> None:
    """Those written for several targets keep to what is held out, too."""
    known = {entry["request"] for entry in entries if entry["split"] != "test"}
    assert known.isdisjoint(entry["request"] for entry in entries if entry["split"] == "test")
    assert not any(has_held_out_word(text) or sentence_held_out(text) for text in known)


def test_a_composition_is_what_speaks_of_an_accent_or_a_finger(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        assert entry["composition"] == any(claim[0] in ("accent", "finger") for claim in entry["claims"])
    assert any(entry["composition"] for entry in entries)


def test_members_of_a_family_keep_their_binding(
    records: list[dict[str, Any]], entries: list[dict[str, Any]]
) -> None:
    assert any("binding" in record for record in records)
    for record, entry in zip(records, entries, strict=True):
        assert entry.get("binding") == record.get("binding")


def test_a_palette_is_two_of_the_paints_on_average_each_a_little_off(
    records: list[dict[str, Any]],
) -> None:
    sizes = [len(pick_palette(record)) for record in records]
    assert set(sizes) == {1, 2, 3}
    assert np.mean(sizes) == pytest.approx(2.0, abs=0.12)
    errors = []
    for record in records:
        paints = np.array([paint["lab"] for paint in record["palette"]])
        for lab in pick_palette(record):
            errors.append(np.abs(paints - lab).max(axis=1).min())
    assert 1 < np.median(errors) < 8
    assert pick_palette(records[0]) == pick_palette(json.loads(json.dumps(records[0])))


def test_nobody_picks_clear_where_there_is_paint() -> None:
    clear = {"name": "clear", "lab": COLOUR_BY_NAME["clear"].lab, "weight": 0.6}
    black = {"name": "black", "lab": COLOUR_BY_NAME["black"].lab, "weight": 0.4}
    both = [pick_palette({"id": str(n), "palette": [clear, black]}) for n in range(20)]
    assert all(len(picked) == 1 and picked[0][0] < 35 for picked in both)
    assert pick_palette({"id": "1", "palette": [clear]})[0][0] > 60


@pytest.mark.parametrize("seed", range(30))
def test_a_design_is_read_back_from_its_attributes(seed: int) -> None:
    design = sample_design(np.random.default_rng(seed), 0.1, allow_held_out=False)
    attributes = design_attributes(design)
    assert design_attributes(rebuild_design(attributes)) == attributes


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_brief_requests_hold_for_their_photo_and_say_less(records: list[dict[str, Any]], lang: str) -> None:
    fewer = more = 0
    for record in records[-80:]:
        dense = next(t for t in record["texts"] if (t["level"], t["lang"]) == ("dense", lang))
        briefs = brief_requests(record, lang, 8)
        assert briefs == brief_requests(record, lang, 8)
        for brief in briefs:
            assert satisfies(record["attributes"], brief["claims"])
            fewer += len(brief["claims"]) < len(dense["claims"])
            more += len(brief["claims"]) > len(dense["claims"])
    assert fewer > 3 * more


def test_what_is_written_is_in_the_form(
    records: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    for record in records:
        (tmp_path / record["image"]).touch()
    index = tmp_path / "index.jsonl"
    index.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    main([str(tmp_path)])
    assert "test multi: 200 requests" in capsys.readouterr().out
    assert len(read(tmp_path)) == len(records)
    first = (tmp_path / "nailstar.jsonl").read_bytes()
    write(tmp_path)
    assert (tmp_path / "nailstar.jsonl").read_bytes() == first


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "no photos"),
        ("{\n", "index.jsonl:1: not JSON"),
        ("[]\n", "index.jsonl:1: not a JSON object"),
        ('{"id": "0", "image": "x.jpg"}\n', "index.jsonl:1: split: missing"),
    ],
)
def test_an_index_of_another_kind_ends_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str, message: str
) -> None:
    (tmp_path / "index.jsonl").write_text(lines)
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path)])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_index_is_never_overwritten(tmp_path: Path) -> None:
    for name in ("index.jsonl", "../elsewhere.jsonl"):
        with pytest.raises(ValueError, match="beside index"):
            write(tmp_path, name)
