"""Works of synthetic artists in paper A's form, with photos and as words alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.artist.works import read
from training.synth.image import generate
from training.synth.run.writer import photo_seed, write
from training.synth.works import main, words_alone


def test_a_drawn_run_becomes_works_with_photo_and_masks(tmp_path: Path) -> None:
    write(tmp_path, 3, seed=5, kind="artists", workers=1, size=128, artists=2, progress=False)
    main([str(tmp_path)])
    works = read(tmp_path)
    records = [json.loads(line) for line in (tmp_path / "index.jsonl").read_text("utf-8").splitlines()]
    assert [work.id for work in works] == [record["id"] for record in records]
    for work, record in zip(works, records, strict=True):
        assert (work.artist, work.title, work.lang) == (record["artist"], record["title"], record["language"])
        assert work.image is not None and work.image.is_file()
        assert work.more["mask"].is_file() and work.more["hands_mask"].is_file()


def test_words_alone_are_those_of_the_run_that_is_drawn() -> None:
    for number, work in enumerate(words_alone(3, 5, artists=4)):
        record = generate(photo_seed(5, number), "artists", 96, artists=4).record
        for name in ("artist", "title", "description"):
            assert work[name] == record[name]
        assert work["lang"] == record["language"]


def test_words_alone_are_in_the_form(tmp_path: Path) -> None:
    main([str(tmp_path / "new"), "--words", "5", "--artists", "3"])
    works = read(tmp_path / "new")
    assert len(works) == 5 and all(work.image is None and work.text for work in works)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no photos"),
        ("{", ":1: not JSON"),
        ("[]\n", ":1: not a JSON object"),
        ('{"id": "0"}\n', ":1: image: missing; this needs kind artists"),
    ],
)
def test_an_index_that_is_no_run_of_artists_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (tmp_path / "index.jsonl").write_text(text)
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert said in capsys.readouterr().err
    assert not (tmp_path / "works.jsonl").exists()


def test_too_many_words_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--words", "0"])
    assert "--words 1 to" in capsys.readouterr().err
