"""`lunula eval aesthetic-sweep`: against a service that scores by brightness, and with folders that are not
in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.client import batches
from cli.evaluate.aesthetic.sweep import summarise_sweep
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from nails.photo.codec import decode_photo, encode_jpeg
from tests.rank_server import serving


class ByBrightness(rank_grpc.RankServiceServicer):
    """A photo's score is its brightness; half a point more for what has tags."""

    async def ScoreAesthetics(
        self, request: rank.ScoreAestheticsRequest, _: grpc.aio.ServicerContext
    ) -> rank.ScoreAestheticsResponse:
        assert request.disable_auto_tags
        found = []
        for photo in request.photos:
            score = 1 + 8 * float(decode_photo(photo.data).mean()) / 255 + 0.5 * bool(request.tags)
            found.append(rank.ScoreAestheticsItem(result=rank.AestheticScore(score=score)))
        return rank.ScoreAestheticsResponse(items=found)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(ByBrightness()) as address:
        yield address


def photo(level: float) -> bytes:
    return encode_jpeg(np.full((32, 24, 3), level, np.uint8))


def swept(folder: Path, scales: dict[str, list[float]]) -> Path:
    for name, levels in scales.items():
        (folder / name).mkdir(parents=True)
        for seed, level in enumerate(levels):
            (folder / name / f"{seed}.jpg").write_bytes(photo(level))
    return folder


def lunula(*words: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(app, ["eval", "aesthetic-sweep", *words])
    return ended.exit_code, ended.stdout, "".join(ended.stderr.split())  # lines break anywhere


RISING = {"10": [180, 210], "9": [140, 150], "1.5": [60, 90]}


def test_a_rise_is_found_overall_and_per_seed(tmp_path: Path, address: str) -> None:
    swept(tmp_path, RISING)
    (tmp_path / "notes.txt").write_text("files beside the folders are nobody's scale")
    code, out, _ = lunula(str(tmp_path), "--rank", address, "--json")
    found = json.loads(out)
    assert code == 0
    assert [row["scale"] for row in found["scales"]] == [1.5, 9, 10]
    means = [row["mean"] for row in found["scales"]]
    assert means == sorted(means)
    assert found["spearman"] == pytest.approx(0.956, abs=1e-3)
    assert found["per seed"]["each"] == {"0": pytest.approx(1), "1": pytest.approx(1)}
    assert found["jonckheere-terpstra"]["statistic"] == 12
    assert found["jonckheere-terpstra"]["z"] > 0


def test_tags_reach_the_service(tmp_path: Path, address: str) -> None:
    swept(tmp_path, RISING)
    plain, tagged = (
        json.loads(lunula(str(tmp_path), "--rank", address, "--json", *words)[1])
        for words in ((), ("--tag", "nature", "--tag", "sea"))
    )
    assert tagged["tags"] == ["nature", "sea"]
    assert tagged["scales"][0]["mean"] == pytest.approx(plain["scales"][0]["mean"] + 0.5, abs=1e-5)


def test_what_was_scored_before_a_call_failed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BreaksSoon(ByBrightness):
        calls = 0

        async def ScoreAesthetics(
            self, request: rank.ScoreAestheticsRequest, context: grpc.aio.ServicerContext
        ) -> rank.ScoreAestheticsResponse:
            self.calls += 1
            if self.calls % 2 == 0:
                await context.abort(grpc.StatusCode.INTERNAL, "the model broke")
            return await super().ScoreAesthetics(request, context)

    swept(tmp_path, RISING)
    size = (tmp_path / "9" / "0.jpg").stat().st_size
    monkeypatch.setattr(batches, "MOST_BYTES", 4 * size + size // 2)
    with serving(BreaksSoon()) as broken:
        code, out, message = lunula(str(tmp_path), "--rank", broken)
        assert (code, out.count(".jpg: ")) == (1, 4)
        assert "themodelbroke" in message and "2imageswerenotscored" in message
        code, out, _ = lunula(str(tmp_path), "--rank", broken, "--json")
    found = json.loads(out)["scores"]
    assert code == 1
    assert {scale: len(own) for scale, own in found.items()} == {"1.5": 2, "9": 2, "10": 0}


def test_table_and_page(tmp_path: Path, address: str) -> None:
    folder = swept(tmp_path / "images", RISING)
    page = tmp_path / "sweep.html"
    code, out, _ = lunula(str(folder), "--rank", address, "--page", str(page))
    assert code == 0
    assert "Jonckheere-Terpstra: J = 12" in out
    assert "100 % rise" in out
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/jpeg;base64,") == 6
    assert (tmp_path / "sweep-trend.png").stat().st_size > 1_000


def test_seeds_that_are_not_everywhere_are_left_out_of_the_figure_per_seed() -> None:
    found = summarise_sweep({1.0: {"a": 4.0}, 2.0: {"b": 5.0}}, ())
    assert found["per seed"]["seeds"] == 0
    assert found["per seed"]["mean"] is None
    assert found["spearman"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ({}, "nofolderwithanumber"),
        ({"1": [90]}, "onefolderwithanumberforaname;atrendneedstwoscales"),
        ({"1": [90], "high": [90]}, "'high'isnonumber"),
        ({"1": [90], "nan": [90]}, "'nan'isnonumber"),
        ({"1": [90], "1.0": [90]}, "asecondfolderforthescale1"),
        ({"1": [90], "2": []}, "2:noimages"),
    ],
)
def test_folders_that_are_not_valid_are_reported(
    tmp_path: Path, scales: dict[str, list[float]], message: str
) -> None:
    code, _, found = lunula(str(swept(tmp_path, scales)), "--rank", "127.0.0.1:1")
    assert code == 2
    assert message in found


def test_a_broken_image_and_a_double_name_are_reported_by_their_path(tmp_path: Path) -> None:
    swept(tmp_path, RISING)
    whole = photo(90)
    (tmp_path / "9" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    code, _, message = lunula(str(tmp_path), "--rank", "127.0.0.1:1")
    assert code == 2
    assert "9/1.jpg:" in message
    assert "[PHOTO_CORRUPT]" in message
    (tmp_path / "9" / "1.jpg").write_bytes(whole)
    (tmp_path / "9" / "1.png").write_bytes(whole)
    code, _, message = lunula(str(tmp_path), "--rank", "127.0.0.1:1")
    assert code == 2
    assert "1.jpghasthesamename" in message


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    code, _, message = lunula(str(tmp_path / "gone"))
    assert code == 2
    assert "nosuchfolder" in message
