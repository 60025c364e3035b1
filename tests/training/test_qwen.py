"""Qwen-VL on this machine: tiny random models of two generations answer and weigh, alone as in a batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")
pytest.importorskip("transformers", reason="needs transformers in the training environment")

from training.describe.describers import ModelDescriber
from training.describe.judges import DigitJudge, Pair
from training.describe.models.question import ItemError, Question, RunError
from training.describe.models.qwen import QwenVL, load_qwen
from training.describe.photos import Photo

pytestmark = [
    pytest.mark.torch,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
RNG = np.random.default_rng(0)
PHOTO = Photo(RNG.integers(0, 256, (80, 60, 3)).astype(np.uint8))
WIDE = Photo(RNG.integers(0, 256, (64, 96, 3)).astype(np.uint8))
QUESTIONS = [
    Question("a role", "describe it", (PHOTO,)),
    Question("a role", "words alone"),
    Question("a role", "which of them?", (PHOTO, WIDE)),
]


def tokenizer() -> Any:
    """One token a byte, and the marks of a chat."""
    from transformers import Qwen2Tokenizer

    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    # Byte-level BPE shows the bytes that do not print as characters from 256 on.
    letters = [chr(byte) for byte in shown] + [chr(256 + index) for index in range(256 - len(shown))]
    return Qwen2Tokenizer(
        vocab={letter: index for index, letter in enumerate(letters)},
        merges=[],
        additional_special_tokens=list(MARKS[1:]),
    )


def write_model(folder: Path, kind: str) -> Path:
    """A random model with its tokenizer and image processor, as the hub has them."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
    )
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    words = tokenizer()
    marks = {mark: words.convert_tokens_to_ids(mark) for mark in MARKS}
    places = {
        "image_token_id": marks["<|image_pad|>"],
        "video_token_id": len(words),
        "vision_start_token_id": marks["<|vision_start|>"],
        "vision_end_token_id": marks["<|vision_end|>"],
    }
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
    text = {
        "vocab_size": len(words) + 1,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    }
    sight = {"depth": 2, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2, "out_hidden_size": 32}
    torch.manual_seed(0)
    if kind == "qwen2_5_vl":
        ends = {"bos_token_id": None, "eos_token_id": marks["<|im_end|>"]}
        model = Qwen2_5_VLForConditionalGeneration(
            Qwen2_5_VLConfig(
                text_config={**text, **ends, "rope_parameters": rope},
                vision_config={**sight, "fullatt_block_indexes": [1], "window_size": 56},
                **places,
            )
        )
    else:
        model = Qwen3VLForConditionalGeneration(
            Qwen3VLConfig(
                text_config={**text, "head_dim": 16, "rope_parameters": {**rope, "mrope_interleaved": True}},
                vision_config={**sight, "deepstack_visual_indexes": [0], "num_position_embeddings": 64},
                **places,
            )
        )
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    Qwen2VLImageProcessorPil(patch_size=14 if kind == "qwen2_5_vl" else 16).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def qwen(folder: Path) -> QwenVL:
    return load_qwen(str(folder), device="cpu", max_side=96)


def test_a_question_weighs_the_same_alone_and_in_a_batch(qwen: QwenVL) -> None:
    together = qwen.digits(QUESTIONS)
    for question, weights in zip(QUESTIONS, together, strict=True):
        (alone,) = qwen.digits([question])
        assert not isinstance(weights, ItemError)
        assert not isinstance(alone, ItemError)
        assert weights.sum() == pytest.approx(1)
        np.testing.assert_allclose(weights, alone, atol=1e-6)


def test_another_photo_weighs_otherwise(qwen: QwenVL) -> None:
    first, second = qwen.digits([Question("r", "t", (PHOTO,)), Question("r", "t", (WIDE,))])
    assert np.abs(np.subtract(first, second)).max() > 1e-4


def test_the_conversation_is_the_one_that_the_models_were_trained_on(qwen: QwenVL) -> None:
    inputs = qwen._inputs([qwen._prompt(QUESTIONS[0])])
    height, width = (int(side) // 2 for side in inputs["image_grid_thw"][0, 1:])
    whole = (
        "<|im_start|>system\na role<|im_end|>\n<|im_start|>user\n"
        f"<|vision_start|>{'<|image_pad|>' * height * width}<|vision_end|>describe it<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert inputs["input_ids"][0].tolist() == qwen.tokenizer.encode(whole, add_special_tokens=False)
    assert int(inputs["mm_token_type_ids"].sum()) == height * width


def test_marks_in_a_question_are_words(qwen: QwenVL) -> None:
    (end,) = qwen.tokenizer.encode("<|im_end|>", add_special_tokens=False)
    assert qwen._prompt(Question("r", "t <|im_end|>")).ids.count(end) == 2


def test_an_answer_is_what_the_model_writes_greedily_up_to_its_end(qwen: QwenVL) -> None:
    question = QUESTIONS[0]
    ids = qwen._inputs([qwen._prompt(question)])
    written: list[int] = []
    with torch.inference_mode():
        for _ in range(4):  # by hand, without what `generate` remembers
            logits = qwen.model(**ids, use_cache=False).logits[0, -1]
            written.append(int(logits.argmax()))
            fresh = torch.tensor([[written[-1]]])
            for name, value in (
                ("input_ids", fresh),
                ("attention_mask", fresh * 0 + 1),
                ("mm_token_type_ids", fresh.int() * 0),
            ):
                ids[name] = torch.cat([ids[name], value], dim=1)
    (cut,) = qwen.ask([question], max_tokens=4)
    assert isinstance(cut, ItemError)  # a random model does not come to an end
    assert cut.message == "the answer was cut short at max_tokens"
    ending = QwenVL(
        qwen.model, qwen.tokenizer, qwen.image_processor, name="e", max_side=96, ends=written[-1:]
    )
    before = written[: written.index(written[-1])]
    assert ending.ask([question], max_tokens=4) == [qwen.tokenizer.decode(before, skip_special_tokens=True)]


def test_a_photo_that_cannot_be_read_costs_its_question_alone(qwen: QwenVL, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    broken = Question("r", "t", (Photo(tmp_path / "broken.jpg"),))
    found = qwen.digits([broken, QUESTIONS[0]])
    assert isinstance(found[0], ItemError)
    assert found[0].kind == "photo"
    np.testing.assert_allclose(found[1], qwen.digits([QUESTIONS[0]])[0], atol=1e-6)
    answers = qwen.ask([broken, QUESTIONS[0]], max_tokens=2)
    assert [answer.kind for answer in answers if isinstance(answer, ItemError)] == ["photo", "malformed"]


def test_a_stopped_model_asks_nothing_more(qwen: QwenVL) -> None:
    stopped = QwenVL(qwen.model, qwen.tokenizer, qwen.image_processor, name="s")
    stopped.stop()
    (answer,) = stopped.ask(QUESTIONS[:1], max_tokens=2)
    assert isinstance(answer, ItemError)
    assert answer.kind == "unreachable"


def test_it_judges_and_describes(qwen: QwenVL) -> None:
    confidence = DigitJudge(qwen).judge([Pair("red nails", ("red nails",), PHOTO), Pair("x", (), WIDE)])
    assert all(isinstance(one, float) and 0 <= one <= 1 for one in confidence)
    (described,) = ModelDescriber(qwen, max_tokens=3).describe([PHOTO])
    assert isinstance(described, ItemError)
    assert described.kind == "malformed"


def test_the_name_tells_models_apart(folder: Path, qwen: QwenVL, tmp_path: Path) -> None:
    other = tmp_path / folder.name
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    assert load_qwen(str(other)).name == qwen.name
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "note": "another"}))
    assert load_qwen(str(other)).name != qwen.name


def test_what_is_no_such_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="needs --revision with its 40-digit commit"):
        load_qwen("Qwen/Qwen2.5-VL-7B-Instruct", revision="main")
    with pytest.raises(RunError, match="Qwen/absent: "):
        load_qwen("Qwen/absent", revision="0" * 40)
    with pytest.raises(RunError):
        load_qwen(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(RunError, match="bert: one of qwen2_5_vl, qwen3_vl, qwen2_vl expected"):
        load_qwen(str(tmp_path))
