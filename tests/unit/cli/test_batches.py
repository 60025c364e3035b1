"""Photos in calls that fit into a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.client import batches as module
from cli.client.batches import MOST_BYTES, batches, check_fits, read_photo_bytes
from cli.errors import RequestError
from services.kit.client.channel import MAX_MESSAGE_BYTES


def files(folder: Path, sizes: list[int]) -> list[Path]:
    paths = [folder / f"{number}.jpg" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(b"x" * size)
    return paths


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([1] * 7, [3, 3, 1]),
        ([4, 4, 4, 2, 2], [2, 3]),
        ([11, 1, 30, 9, 1], [1, 1, 1, 2]),
        ([5, 5], [2]),
        ([5, 6], [1, 1]),
    ],
)
def test_a_call_has_so_many_photos_and_bytes_and_one_at_least(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], expected: list[int]
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    paths = files(tmp_path, sizes)
    found = list(batches(paths, 3))
    assert [len(batch) for batch in found] == expected
    assert [path for batch in found for path in batch] == paths


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for fault in (
        lambda: list(batches([tmp_path / "no.jpg"], 3)),
        lambda: read_photo_bytes(tmp_path / "no.jpg"),
    ):
        with pytest.raises(RequestError, match=r"no\.jpg: No such file"):
            fault()


def test_the_sum_and_the_limit_are_reported_where_all_must_go_at_once() -> None:
    assert MOST_BYTES < MAX_MESSAGE_BYTES
    check_fits("the 2 works", MAX_MESSAGE_BYTES)
    with pytest.raises(RequestError, match=r"the 16 works have 113\.0 MiB together .* takes 96 MiB"):
        check_fits("the 16 works", 113 * 2**20)
