"""The five models that make a ranking, tiny and random, with the tensors of the served ones."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.kit.export.card import ModelCard, Provenance, TensorCard
from training.kit.export.model import export_model

PIECES, TEXT, ALIGN, STYLE, DESIGN = 128_010, 12, 12, 8, 16
PROVENANCE = Provenance(command="none", data="none", seed=0, licence_of_origin="none")


class Look(nn.Module):
    """images -> embedding [N,size] unit, and tokens f16 if asked for."""

    def __init__(self, size: int, tokens: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 8, stride=8)
        self.second = nn.Conv2d(16, 24, 4, stride=4)
        self.out = nn.Linear(24, size)
        self.tokens = tokens

    def forward(self, images: Tensor) -> tuple[Tensor, ...] | Tensor:
        seen = self.second(self.first(images).clamp(0, 6)).clamp(0, 6)
        embedding = functional.normalize(self.out(seen.mean(dim=(2, 3))), dim=1)
        return (embedding, seen.flatten(2).transpose(1, 2).half()) if self.tokens else embedding


class Read(nn.Module):
    """input_ids, attention_mask -> embedding [N,TEXT] unit, tokens [N,L,TEXT]."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(PIECES, 8)
        self.out = nn.Linear(8, TEXT)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.out(self.table(input_ids)) * attention_mask[:, :, None]
        return functional.normalize(tokens.sum(dim=1), dim=1), tokens


class Fuse(nn.Module):
    """Any inputs, flattened and end to end -> embedding [N,DESIGN] unit."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, 24)
        self.out = nn.Linear(24, DESIGN)

    def forward(self, *inputs: Tensor) -> Tensor:
        joined = torch.cat([x.flatten(1) for x in inputs], dim=1)
        return functional.normalize(self.out(torch.tanh(self.hidden(joined))), dim=1)


IMAGES = (TensorCard("images", "f32", (3, 224, 224)),)
SENTENCE = (TensorCard("input_ids", "i64", (-1,)), TensorCard("attention_mask", "i64", (-1,)))
DESIGN_INPUTS = {"style": (STYLE,), "align": (ALIGN,), "crop": (ALIGN,), "text": (TEXT,)}
QUERY_INPUTS = {
    "text": (TEXT,),
    "mdd": (TEXT,),
    "nnp": (16, TEXT),
    "nnp_mask": (16,),
    "palette": (12, 3),
    "palette_mask": (12,),
}


def embedding(size: int) -> TensorCard:
    return TensorCard("embedding", "f32", (size,))


def write_models(repository: Path) -> Path:
    """The repository, made anew with the same weights each time."""
    torch.manual_seed(0)
    fused = {
        name: tuple(TensorCard(key, "f32", shape) for key, shape in inputs.items())
        for name, inputs in (("design_fuse", DESIGN_INPUTS), ("query_fuse", QUERY_INPUTS))
    }
    networks = {
        "image_align": (Look(ALIGN, True), IMAGES, (embedding(ALIGN), TensorCard("tokens", "f16", (49, 24)))),
        "image_style": (Look(STYLE, False), IMAGES, (embedding(STYLE),)),
        "text_encode": (Read(), SENTENCE, (embedding(TEXT), TensorCard("tokens", "f32", (-1, TEXT)))),
        **{
            name: (
                Fuse(sum(int(np.prod(card.shape)) for card in inputs)),
                inputs,
                (embedding(DESIGN),),
            )
            for name, inputs in fused.items()
        },
    }
    for name, (network, inputs, outputs) in networks.items():
        shapes = [(3, *(8 if n == -1 else n for n in card.shape)) for card in inputs]
        example = [
            torch.randint(0, 2, shape) if card.dtype == "i64" else torch.rand(shape)
            for card, shape in zip(inputs, shapes, strict=True)
        ]
        if name == "text_encode":
            example[1] = torch.ones_like(example[1])
        card = ModelCard(name=name, description="tiny", inputs=inputs, outputs=outputs)
        export_model(network, card, repository / name, example=example, provenance=PROVENANCE, tolerance=0.01)
    return repository


def write_photos(folder: Path, count: int = 16) -> Path:
    """`count` test photos and as many for training, in NAIL-STAR's form with crop boxes."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = []
    colours = ("red", "navy", "gold", "mint green", "black", "pink", "white", "lilac")
    for index in range(2 * count):
        name = f"{index:03d}"
        coarse = rng.integers(0, 256, (4, 3, 3), np.uint8)
        photo = cv2.resize(coarse, (120, 160), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"images/{name}.png"), photo)
        entry = {
            "id": name,
            "image": f"images/{name}.png",
            "split": "train" if index % 2 else "test",
            "request": f"{colours[index % 8]} nails with {colours[index // 2 % 8]} dots",
            "lang": "en",
            "palette": [[50.0, float(index), 10.0]] if index % 3 else [],
            "targets": [name],
            "subset": "single",
            "crop": {"box": [10.0, 20.0, 90.0, 100.0]},
        }
        lines.append(json.dumps(entry) + "\n")
    (folder / "nailstar.jsonl").write_text("".join(lines))
    return folder
