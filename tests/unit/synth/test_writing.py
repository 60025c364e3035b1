"""Writing a folder: complete, resumable, the same bytes whoever writes them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import pytest
import simplejpeg

from training.synth import write
from training.synth.background.photos import crop, photos
from training.synth.backgrounds import collect
from training.synth.image import Sample
from training.synth.kinds.subjects import design_split
from training.synth.run import writer as writer_module
from training.synth.run.sample import catalogue_designs
from training.synth.run.writer import numbers_of_splits, photo_seed


def digest(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_same_seed_writes_the_same_bytes_with_one_or_two_workers(tmp_path: Path) -> None:
    write(tmp_path / "a", 4, seed=3, workers=1, size=200, progress=False)
    write(tmp_path / "b", 4, seed=3, workers=2, size=200, progress=False)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_the_index_lists_every_photo_in_order_and_the_files_open(tmp_path: Path) -> None:
    index = write(tmp_path, 3, seed=1, workers=1, size=200, progress=False)
    records = [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()]
    assert [record["id"] for record in records] == ["000000", "000001", "000002"]
    for record in records:
        image = simplejpeg.decode_jpeg((tmp_path / record["image"]).read_bytes())
        mask = cv2.imread(str(tmp_path / record["mask"]), cv2.IMREAD_GRAYSCALE)
        assert image.shape[:2] == mask.shape == (record["size"][1], record["size"][0])
        assert mask.max() == len(record["nails"])


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tmp_path / "whole"
    write(whole, 5, seed=2, workers=1, size=200, progress=False)
    broken = tmp_path / "broken"
    rendered: list[int] = []
    real = writer_module.generate

    def counting(seed: int, *rest: object, **options: object) -> Sample:
        if len(rendered) == 3:
            raise KeyboardInterrupt
        rendered.append(seed)
        return real(seed, *rest, **options)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(writer_module, "generate", counting)
    with pytest.raises(KeyboardInterrupt):
        write(broken, 5, seed=2, workers=1, size=200, progress=False)
    assert not (broken / "index.jsonl").exists()
    before = list(rendered)
    rendered.clear()
    write(broken, 5, seed=2, workers=1, size=200, progress=False)
    assert not set(before) & set(rendered)
    assert digest(broken) == digest(whole)


def test_a_folder_of_another_run_is_not_mixed_up(tmp_path: Path) -> None:
    write(tmp_path, 1, seed=2, workers=1, size=160, progress=False)
    with pytest.raises(ValueError, match="other settings"):
        write(tmp_path, 1, seed=3, workers=1, size=160, progress=False)


def test_backgrounds_are_collected_scaled_and_cropped(tmp_path: Path) -> None:
    import numpy as np

    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    rng = np.random.default_rng(0)
    cv2.imwrite(str(source / "large.png"), rng.integers(0, 255, (900, 2600, 3), np.uint8))
    cv2.imwrite(str(source / "tiny.png"), np.zeros((40, 40, 3), np.uint8))
    assert collect(out, (source,)) == 1
    assert max(cv2.imread(str(photos(out)[0])).shape) == 1280
    part = crop(rng, out, 120, 90)
    assert part.shape == (120, 90, 3)
    assert 0 <= part.min() <= part.max() <= 1
    with pytest.raises(ValueError, match="no photo"):
        photos(tmp_path / "out" / "nothing")


def test_the_sample_has_sixty_designs_that_differ() -> None:
    designs = [design for design, _ in catalogue_designs(11)]
    assert len(designs) == 60
    assert len({repr(design) for design in designs}) >= 58


def test_the_committed_sample_is_the_catalogue_form() -> None:
    folder = Path(__file__).parents[3] / "sample"
    lines = [
        json.loads(line) for line in (folder / "catalogue.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(lines) == len({line["id"] for line in lines}) == 60
    for line in lines:
        assert set(line) == {"id", "image", "title", "description", "artist", "tags", "attributes", "context"}
        assert simplejpeg.decode_jpeg((folder / line["image"]).read_bytes()).shape[2] == 3
        assert all(isinstance(value, str) for value in line["attributes"].values())
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 4_000_000
    assert any(ord(max(line["title"])) > 0x3000 for line in lines)
    assert any(max(line["title"]) < "\u0100" for line in lines)


def test_splits_are_filled_exactly_and_depend_on_the_seed_alone() -> None:
    wanted = {"train": 40, "val": 5, "test": 7}
    numbers = numbers_of_splits(3, wanted)
    splits = [design_split(photo_seed(3, number)) for number in numbers]
    assert {name: splits.count(name) for name in wanted} == wanted
    assert numbers == sorted(set(numbers)) == numbers_of_splits(3, wanted)
    with pytest.raises(ValueError, match="nope=3"):
        numbers_of_splits(3, {"nope": 3})


def test_a_run_of_splits_is_of_designs_and_as_large_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind designs"):
        write(tmp_path, 3, kind="artists", splits={"train": 3})
    with pytest.raises(ValueError, match="their sum"):
        write(tmp_path, 4, splits={"train": 3})
