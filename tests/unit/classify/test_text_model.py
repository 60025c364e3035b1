"""The text model: folds of one model read as one, and files that do not belong together."""

from __future__ import annotations

import shutil
from pathlib import Path

import fasttext
import numpy as np
import pytest

from services.classify.features.text_model import FastTextModel
from services.kit.errors import FailedPrecondition

SAYINGS = {"ayame%20花": "milky pink pearl", "botan": "black gold lace", "100%25": "sea blue shell"}
NAMES = ("100%", "ayame 花", "botan")


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models of the same sayings, not equal."""
    folder = tmp_path_factory.mktemp("artist_text")
    lines = "".join(f"__label__{artist} {text}\n" for artist, text in SAYINGS.items()) * 30
    (folder / "texts.txt").write_text(lines, encoding="utf-8")
    for fold in range(3):
        # fastText leaves a part of its first layer unset when it has fewer than eleven threads.
        model = fasttext.train_supervised(
            str(folder / "texts.txt"), epoch=10 + 5 * fold, dim=8, bucket=1000, verbose=0, thread=12
        )
        model.save_model(str(folder / f"model-{fold}.ftz"))
    return folder


def best(reading: dict[str, float]) -> str:
    return max(reading, key=lambda name: reading[name])


def test_folds_answer_as_their_geometric_mean(folds: Path) -> None:
    whole = FastTextModel(folds)
    assert whole.artists == NAMES
    single = [FastTextModel(folds / f"model-{fold}.ftz").predict("pink lace") for fold in range(3)]
    logs = np.mean([np.log([one.probabilities[name] for name in NAMES]) for one in single], axis=0)
    powers = np.exp(logs)
    found = whole.predict("pink lace")
    assert [found.probabilities[name] for name in NAMES] == pytest.approx(powers / powers.sum(), rel=1e-5)
    assert best(dict(whole.predict("pearl").probabilities)) == "ayame 花"
    assert best(dict(whole.predict("shell").probabilities)) == "100%"


def test_known_words_are_counted_and_a_text_without_one_tells_nothing(folds: Path) -> None:
    model = FastTextModel(folds)
    some = model.predict("pink pink nebula")
    assert (some.word_count, some.known_word_count) == (3, 2) and sum(
        some.probabilities.values()
    ) == pytest.approx(1)
    none = model.predict("nebula 은하수")
    assert none.known_word_count == 0 < none.word_count and not none.probabilities
    assert model.predict("!?").word_count == 0


def test_the_fingerprint_is_of_all_folds(folds: Path, tmp_path: Path) -> None:
    shutil.copytree(folds, tmp_path / "less")
    (tmp_path / "less" / "model-2.ftz").unlink()
    assert FastTextModel(tmp_path / "less").fingerprint != FastTextModel(folds).fingerprint
    (tmp_path / "less" / "model.toml").write_text('[model]\nfingerprint = "as stated"\n')
    assert FastTextModel(tmp_path / "less").fingerprint == "as stated"


def test_folds_of_different_artists_are_refused(folds: Path, tmp_path: Path) -> None:
    shutil.copytree(folds, tmp_path / "mixed")
    source = tmp_path / "mixed" / "texts.txt"
    source.write_text("__label__somebody else\n" * 30)
    model = fasttext.train_supervised(str(source), epoch=1, dim=8, bucket=1000, verbose=0, thread=12)
    model.save_model(str(tmp_path / "mixed" / "model-3.ftz"))
    with pytest.raises(FailedPrecondition, match="different artists"):
        FastTextModel(tmp_path / "mixed")


def test_a_way_of_dividing_words_that_nobody_knows_is_refused(folds: Path, tmp_path: Path) -> None:
    shutil.copytree(folds, tmp_path / "odd")
    (tmp_path / "odd" / "model.toml").write_text('[model]\nwords = "syllables"\n')
    with pytest.raises(FailedPrecondition, match="'syllables'"):
        FastTextModel(tmp_path / "odd")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.ftz"):
        FastTextModel(tmp_path)
