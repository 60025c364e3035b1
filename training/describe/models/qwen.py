"""Qwen2.5-VL and Qwen3-VL on this machine, through `transformers`: answers in words, and weights of digits.

The conversation is put together token by token (ChatML, as these models were trained), so nothing in a
request can end its turn, and no part of the processor that needs torchvision is used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nails.photo.codec import PhotoError
from training.describe.models.question import ItemError, Question, RunError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_TYPES = ("qwen2_5_vl", "qwen3_vl", "qwen2_vl")


@dataclass(frozen=True)
class _Prompt:
    ids: list[int]
    pixels: list[Tensor]  # [patches, features] a photo
    grids: list[Tensor]  # [1,3] a photo: frames, rows and columns of patches


class QwenVL:
    """An `Asker`, and it weighs digits. Greedy, so the same question has the same answer.

    model: a Qwen2.5-VL or Qwen3-VL for conditional generation, with its tokenizer and image processor.
    batch: questions a pass. max_side: of photos, px; a photo of 768 x 768 takes some 750 tokens.
    ends: tokens that end an answer, by default the model's own.
    """

    parallel = 1

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        image_processor: Any,
        *,
        name: str,
        batch: int = 4,
        max_side: int = 768,
        ends: Sequence[int] = (),
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.name = name
        self.batch = batch
        self.max_side = max_side
        self.marks = {mark: self._mark(mark) for mark in ("<|im_start|>", "<|im_end|>", "<|endoftext|>")}
        self.opens = self._mark("<|vision_start|>")
        self.closes = self._mark("<|vision_end|>")
        self.ends = tuple(ends) or (self.marks["<|im_end|>"], self.marks["<|endoftext|>"])
        self.stopped = False

    def stop(self) -> None:
        """No pass is begun any more; the one that runs is not cut short."""
        self.stopped = True

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[str | ItemError]:
        """As in `Asker`, all questions in one pass."""
        prompts, answers = self._prompts(questions)
        asked = [place for place, prompt in enumerate(prompts) if prompt is not None]
        if asked:
            inputs = self._inputs([prompt for prompt in prompts if prompt is not None])
            with torch.inference_mode():
                written = self.model.generate(
                    **inputs,
                    max_new_tokens=max_tokens,
                    do_sample=False,
                    eos_token_id=list(self.ends),
                    pad_token_id=self.marks["<|endoftext|>"],
                )
            for place, ids in zip(asked, written[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
                answers[place] = self._answer(ids)
        return [ItemError("unreachable", "the run was stopped") if one is None else one for one in answers]

    def digits(self, questions: Sequence[Question]) -> list[NDArray[np.float64] | ItemError]:
        """Probabilities f64 [10] of the digits 0 to 9 as the answer's first token, among the digits."""
        prompts, errors = self._prompts(questions)
        found: list[NDArray[np.float64] | ItemError | None] = [
            error if isinstance(error, ItemError) else None for error in errors
        ]
        asked = [place for place, prompt in enumerate(prompts) if prompt is not None]
        if asked:
            inputs = self._inputs([prompt for prompt in prompts if prompt is not None])
            digits = [self._ids(str(digit))[0] for digit in range(10)]
            with torch.inference_mode():
                logits = self.model(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1, digits]
            weights = torch.softmax(logits.double(), dim=1).cpu().numpy()
            for place, row in zip(asked, weights, strict=True):
                found[place] = np.asarray(row, np.float64)
        return [ItemError("unreachable", "the run was stopped") if one is None else one for one in found]

    def _answer(self, ids: list[int]) -> str | ItemError:
        end = next((place for place, token in enumerate(ids) if token in self.ends), None)
        if end is None:
            return ItemError("malformed", "the answer was cut short at max_tokens")
        return str(self.tokenizer.decode(ids[:end], skip_special_tokens=True))

    def _prompts(
        self, questions: Sequence[Question]
    ) -> tuple[list[_Prompt | None], list[str | ItemError | None]]:
        """A prompt or an error for each question, the other one None; neither once the run is stopped."""
        prompts: list[_Prompt | None] = []
        errors: list[str | ItemError | None] = []
        for question in questions:
            prompt, error = None, None
            try:
                prompt = None if self.stopped else self._prompt(question)
            except (OSError, PhotoError) as problem:
                error = ItemError("photo", str(problem))
            prompts.append(prompt)
            errors.append(error)
        return prompts, errors

    def _prompt(self, question: Question) -> _Prompt:
        start, end = self.marks["<|im_start|>"], self.marks["<|im_end|>"]
        ids = [start, *self._ids(f"system\n{question.system}"), end, *self._ids("\n")]
        ids += [start, *self._ids("user\n")]
        pixels, grids = [], []
        for photo in question.photos:
            shown = self.image_processor(images=[photo.rgb(self.max_side)], return_tensors="pt")
            pixels.append(shown["pixel_values"])
            grids.append(shown["image_grid_thw"])
            count = int(grids[-1].prod()) // self.image_processor.merge_size**2
            ids += [self.opens, *[self.model.config.image_token_id] * count, self.closes]
        ids += [*self._ids(question.text), end, *self._ids("\n"), start, *self._ids("assistant\n")]
        return _Prompt(ids, pixels, grids)

    def _inputs(self, prompts: Sequence[_Prompt]) -> dict[str, Tensor]:
        """Padded on the left, so that every answer begins at the same place."""
        longest = max(len(prompt.ids) for prompt in prompts)
        ids = torch.full((len(prompts), longest), self.marks["<|endoftext|>"])
        attended = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt.ids) :] = torch.tensor(prompt.ids)
            attended[row, longest - len(prompt.ids) :] = 1
        inputs = {
            "input_ids": ids,
            "attention_mask": attended,
            "mm_token_type_ids": (ids == self.model.config.image_token_id).int(),
        }
        if pixels := [one for prompt in prompts for one in prompt.pixels]:
            inputs["pixel_values"] = torch.cat(pixels).to(self.model.dtype)
            inputs["image_grid_thw"] = torch.cat([one for prompt in prompts for one in prompt.grids])
        return {name: tensor.to(self.model.device) for name, tensor in inputs.items()}

    def _ids(self, text: str) -> list[int]:
        """Tokens of plain text: what looks like a mark is spelt out."""
        found = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return [int(token) for token in found]

    def _mark(self, mark: str) -> int:
        token = self.tokenizer.convert_tokens_to_ids(mark)
        if token is None or (token == self.tokenizer.unk_token_id and mark != self.tokenizer.unk_token):
            raise RunError(f"the tokenizer does not know {mark}: not a Qwen-VL model")
        return int(token)


def load_qwen(
    where: str,
    *,
    revision: str = "",
    download: bool = False,
    device: str = "",
    batch: int = 4,
    max_side: int = 768,
) -> QwenVL:
    """A model from a folder, or from the hub's cache by name and commit; `download` fills the cache.

    Weights are read from safetensors alone, and no code of the repository is run. RunError says what is
    missing.
    """
    try:
        from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer
    except ImportError as error:
        raise RunError(f"a local model needs the training environment with transformers: {error}") from error
    folder = Path(where)
    if not folder.is_dir() and not _COMMIT.fullmatch(revision):
        raise RunError(
            f"{where}: no such folder; a model of the hub needs --revision with its 40-digit commit"
        )
    source: dict[str, Any] = {"local_files_only": folder.is_dir() or not download}
    if not folder.is_dir():
        source["revision"] = revision
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        config = AutoConfig.from_pretrained(where, **source)
        if config.model_type not in _TYPES:
            raise RunError(f"{where}: {config.model_type}: one of {', '.join(_TYPES)} expected")
        model: Any = AutoModelForImageTextToText.from_pretrained(  # a decorator hides the type of its `to`
            where,
            config=config,
            dtype=torch.float32 if device == "cpu" else torch.bfloat16,
            use_safetensors=True,
            **source,
        )
        tokenizer = AutoTokenizer.from_pretrained(where, **source)
        image_processor = AutoImageProcessor.from_pretrained(where, backend="pil", **source)
    except (OSError, ValueError) as error:
        raise RunError(f"{where}: {error}") from error
    name = f"{folder.name}@{_fingerprint(folder) if folder.is_dir() else revision[:12]}"
    return QwenVL(model.to(device), tokenizer, image_processor, name=name, batch=batch, max_side=max_side)


def _fingerprint(folder: Path) -> str:
    """12 hex digits of a model's configuration and of the names and sizes of its weights."""
    found = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        found.update(f"{path.name} {path.stat().st_size}\n".encode())
    return found.hexdigest()[:12]
