"""BEiT-3's word pieces have XLM-R's ids."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")
import sentencepiece

from training.full.words import Beit3Words, WordsError

pytestmark = pytest.mark.torch
LINES = ["red nails with gold glitter", "a blue french tip on short nails", "赤いネイルに金のラメ"] * 20


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("words") / "tiny.spm")


def trained(path: Path, **settings: int) -> Path:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_writer=written,
        vocab_size=70,
        hard_vocab_limit=False,
        minloglevel=2,
        **settings,
    )
    path.write_bytes(written.getvalue())
    return path


def test_a_piece_is_one_above_its_place_and_the_text_stands_between_begin_and_end(model: Path) -> None:
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
    ids = Beit3Words(model).ids("red nails")
    assert ids[0] == 0
    assert ids[-1] == 2
    assert [pieces.id_to_piece(number - 1) for number in ids[1:-1]] == pieces.encode(
        "red nails", out_type=str
    )
    assert min(ids[1:-1]) >= 4


def test_what_no_piece_covers_is_unknown(model: Path) -> None:
    assert 3 in Beit3Words(model).ids("Ω")
    assert Beit3Words(model).ids("") == [0, 2]


def test_a_long_text_is_cut_before_its_end_mark(model: Path) -> None:
    words = Beit3Words(model, longest=6)
    ids = words.ids("red nails with gold glitter and a blue french tip")
    assert len(ids) == 6
    assert ids[-1] == 2
    assert ids[:5] == Beit3Words(model).ids("red nails with gold glitter and a blue french tip")[:5]


def test_a_batch_is_padded_to_its_longest_text(model: Path) -> None:
    words = Beit3Words(model)
    ids, mask = words.batch(["red", "a blue french tip", "赤いネイル"])
    assert ids.dtype == np.int64
    assert mask.dtype == np.float32
    assert (
        ids.shape
        == mask.shape
        == (3, max(len(words.ids(t)) for t in ("red", "a blue french tip", "赤いネイル")))
    )
    assert (ids[mask == 0] == 1).all()
    assert ids[0][mask[0] == 1].tolist() == words.ids("red")
    assert words.batch([])[0].shape == (0, 0)


def test_another_kind_of_model_is_refused_with_its_path(model: Path, tmp_path: Path) -> None:
    other = trained(tmp_path / "other.spm", unk_id=2, bos_id=0, eos_id=1)
    with pytest.raises(WordsError, match=r"other.spm: starts with"):
        Beit3Words(other)
    with pytest.raises(WordsError, match="the network knows 9 at most"):
        Beit3Words(model, vocabulary=10)
    (tmp_path / "text.spm").write_text("no model")
    with pytest.raises(WordsError, match=r"text\.spm: not a SentencePiece model"):
        Beit3Words(tmp_path / "text.spm")
