"""The job of `lunula train artist`: a flag for each field, those of a step after the step's name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from training.kit.flags import Numbers, single, whole
from training.kit.stepwise import Job

Folds = Annotated[int, whole(2, 100)]
Epochs = Annotated[int, whole(1, 100_000)]


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value <= 10:
        raise ValueError(f"{text} is not a rate above 0, such as 0.1")
    return value


@dataclass(frozen=True)
class FoldOptions:
    """Of the step `folds`."""

    outer: Folds = 5
    """folds of works to test on"""
    inner: Folds = 5
    """models trained for each of them"""


@dataclass(frozen=True)
class FeatureOptions:
    """Of the step `features`."""

    views: Annotated[int, whole(0, 8)] = 1
    """augmented crops of a photo for training, beside its serving view"""


@dataclass(frozen=True)
class ImageOptions:
    """Of the step `image`; `export` trains the served heads with the same width."""

    epochs: Epochs = 6
    """passes over the works of a training"""
    hidden: Epochs = 256
    """width of the head"""


@dataclass(frozen=True)
class TextOptions:
    """Of the step `text`, fastText."""

    epochs: Numbers = (10, 25, 50, 100)
    """tried in this order on the first inner fold, until one is no better (the paper trains 1,000)"""
    lr: Annotated[float, single(_rate, str, "RATE")] = 0.25
    """learning rate; halved where fastText diverges"""


@dataclass(frozen=True)
class TreeOptions:
    """Of the steps that train LightGBM: `labels`, `text_w2v`, `text_d2v`, `text_tfidf`."""

    rounds: Epochs = 100
    """iterations of LightGBM"""


@dataclass(frozen=True)
class Vgg16Options:
    """Of the step `vgg16`."""

    weights: Path | None = None
    """folder of the published checkpoint"""
    head: Literal["dense", "paper"] = "dense"
    """what is trained: the last layer alone, or both dense layers as in the paper, which needs a GPU"""
    epochs: Epochs = 100
    """passes over the works of a training, as in the paper"""


@dataclass(frozen=True)
class FuseOptions:
    """Of the step `fuse`."""

    image: str = "image"
    """step whose predictions stand for the photo"""
    text: str = "text"
    """step whose predictions stand for the text"""
    members: Literal["logs", "mean"] = "logs"
    """how a fold's inner models are averaged for fitted fusions: by logarithms or by probabilities"""


@dataclass(frozen=True)
class OpensetOptions:
    """Of the steps `openset` and `export`."""

    works: Annotated[int, whole(1, 64)] = 10
    """reference works of a few-shot artist"""
    words: Literal["words", "morphemes"] = "morphemes"
    """how the served text model divides texts: without a dictionary, or with the one of the step `text`"""


@dataclass(frozen=True)
class ExportOptions:
    """Of the step `export`."""

    models: Path = Path("triton_models")
    """where the models go"""
    texts: Literal["auto", "five", "one"] = "auto"
    """text models to serve: those of the five folds, or one of all works; auto: five if they are small"""


@dataclass(frozen=True)
class ArtistJob(Job):
    """What the steps are asked to do."""

    encoders: Path | None = None
    """checkpoint of the design encoders, for features, control and export"""
    folds: FoldOptions = field(default_factory=FoldOptions)
    features: FeatureOptions = field(default_factory=FeatureOptions)
    image: ImageOptions = field(default_factory=ImageOptions)
    text: TextOptions = field(default_factory=TextOptions)
    trees: TreeOptions = field(default_factory=TreeOptions)
    vgg16: Vgg16Options = field(default_factory=Vgg16Options)
    fuse: FuseOptions = field(default_factory=FuseOptions)
    openset: OpensetOptions = field(default_factory=OpensetOptions)
    export: ExportOptions = field(default_factory=ExportOptions)
