"""Artist models: the split, the head and fastText."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")
fasttext = pytest.importorskip("fasttext", reason="needs the training environment")

from tests.training.designs import write_designs
from training.artist.artist_image import ArtistHead, ArtistImage
from training.artist.train_image import ArtistConfig, train_head
from training.artist.train_text import SETTINGS
from training.artist.train_text import train as train_text
from training.artist.works import line, read_works, split_works
from training.backbone import EfficientNetLite0
from training.design.encoders import Encoders
from training.design.export import example_images

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]
# The product's table sizes: with smaller ones this fastText reports NaN at random and does not repeat.
FEW = {**SETTINGS, "minCount": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_designs(tmp_path_factory.mktemp("works") / "drawn", count=48, artists=4)


def test_every_artist_is_in_every_part_and_no_work_in_two(folder: Path) -> None:
    split = split_works(read_works(folder), seed=1)
    for part in (split.train, split.val, split.test):
        assert {work.artist for work in part} == set(split.artists)
    names = [work.name for part in (split.train, split.val, split.test) for work in part]
    assert len(names) == len(set(names)) == 48


def test_strangers_are_set_apart_whole(folder: Path) -> None:
    split = split_works(read_works(folder), seed=1, strangers=1)
    assert len({work.artist for work in split.strangers}) == 1 and len(split.strangers) == 12
    assert not {work.artist for work in split.strangers} & set(split.artists)
    assert (split.labels(split.strangers) == -1).all()


def test_a_head_learns_separable_descriptions() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 80)
    descriptions = (np.eye(4)[labels][:, None] + rng.normal(0, 0.1, (80, 2, 4))).astype(np.float16)
    head = train_head(descriptions, labels, 4, ArtistConfig(epochs=30, batch=40))
    with torch.no_grad():
        logits, embedding = head(torch.from_numpy(descriptions[:, 0].astype(np.float32)))
    assert (logits.argmax(dim=1).numpy() == labels).mean() > 0.95
    np.testing.assert_allclose(embedding.norm(dim=1).numpy(), 1, atol=1e-5)


def test_the_artist_model_gives_logits_for_each_artist_whatever_the_batch() -> None:
    torch.manual_seed(0)
    encoders = Encoders(EfficientNetLite0(), facts=3)
    model = ArtistImage(encoders, ArtistHead(5)).eval()
    images = example_images(3)
    with torch.no_grad():
        logits, embedding = model(images)
        alone, _ = model(images[1:2])
    assert logits.shape == (3, 5) and embedding.shape == (3, 256)
    torch.testing.assert_close(alone[0], logits[1], atol=1e-4, rtol=0)


def test_words_tell_artists_apart_before_and_after_quantisation(folder: Path, tmp_path: Path) -> None:
    split = split_works(read_works(folder), seed=1)
    parts, metrics = train_text(split, seed=1, target=tmp_path / "model.ftz", settings=FEW)
    np.testing.assert_allclose(parts["test"].sum(axis=1), 1, atol=1e-6)
    assert metrics["test accuracy before quantisation"] > 90
    assert metrics["bytes"] < 2_000_000


def test_what_the_text_model_reads_has_no_line_break(folder: Path) -> None:
    work = read_works(folder, 1)[0]
    assert "\n" not in line(work) and "number0" in line(work)
