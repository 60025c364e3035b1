"""The steps that know artists by their words: `text` (fastText), and the pilots of paper A with LightGBM.

`text_w2v` averages word vectors of 100 numbers, `text_d2v` learns 300 numbers a text, `text_tfidf` weighs the
5,000 commonest words.
"""

from __future__ import annotations

import json
import logging
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluation.artist.predictions import FOLDER
from nails.language.morphemes import VERSION
from training.artist.baselines.trees import PARAMETERS, ask_trees, fit_trees
from training.artist.job import ArtistJob
from training.artist.nested import Nest, Rows, Table, Task, cross_validate, open_nest
from training.artist.text.words import TfIdf, Words, read_words
from training.kit.stepwise import StepError

LABEL: Final = "__label__"
FASTTEXT: Final[dict[str, Any]] = {
    "dim": 100,  # paper A, as are the defaults that are not named here
    "ws": 5,
    "neg": 5,
    "minCount": 1,
    "loss": "softmax",
    # Pairs of words too, which the paper has not: with words alone the library leaves the table of pairs out,
    # and then stops with "Encountered NaN" now and then, whatever the seed.
    "wordNgrams": 2,
    "bucket": 200_000,
    "thread": 1,  # with several it is not repeatable
    "verbose": 0,
}
TOP_TERMS: Final = 5_000
_TRIES = 4
logging.getLogger("gensim").setLevel(logging.WARNING)


def fasttext(job: ArtistJob) -> None:
    """Writes RUN/predictions/text."""
    epochs, rate = tuple(sorted(job.text.epochs)), job.text.lr
    nest = open_nest(job)
    texts = read_words(nest.works)
    artists = len(nest.folds.artists)
    settings = {**FASTTEXT, "lr": rate, "epochs": epochs, "words": VERSION}

    def trained(task: Task, count: int) -> Any:
        lines = [(texts[row], int(nest.truth[row])) for row in task.train if texts[row]]
        return fit_fasttext(lines, task.seed, {**FASTTEXT, "lr": rate, "epoch": count})

    def fit(task: Task) -> Table:
        path = job.out / FOLDER / "text" / f"epochs-{task.outer}.json"
        if not path.exists():  # chosen where it was not trained, once an outer fold
            tried = _tried(lambda count: trained(task, count), task.own, texts, nest, epochs)
            path.write_text(json.dumps({str(count): round(right, 5) for count, right in tried.items()}))
        tried = json.loads(path.read_text(encoding="utf-8"))
        count = int(max(tried, key=lambda name: (tried[name], -int(name))))
        model = trained(task, count)
        return ask_fasttext(model, [texts[row] for row in task.queries], artists)

    what = "fastText on fugashi + unidic-lite words of title and description"
    cross_validate(job, nest, "text", fit, what=what, settings=settings)


def fit_fasttext(lines: Sequence[tuple[Words, int | str]], seed: int, settings: dict[str, Any]) -> Any:
    """A fastText classifier; labels are numbers.

    A rate at which it diverges is halved: fastText then stops with "Encountered NaN". Raises StepError where
    it diverges at every rate.
    """
    import fasttext as library

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "works.txt"
        path.write_text("".join(f"{LABEL}{label} {' '.join(words)}\n" for words, label in lines), "utf-8")
        for turn in range(_TRIES):
            try:
                own = {**settings, "lr": settings["lr"] / 2**turn}
                return library.train_supervised(str(path), seed=seed % 2**31, **own)
            except RuntimeError as error:
                if "NaN" not in str(error):
                    raise
    raise StepError("fastText diverges at every rate: try --text.lr 0.05")


def ask_fasttext(model: Any, texts: Sequence[Words], artists: int) -> Table:
    """Probabilities f32 [n,A]; rows of zeros for texts without a word."""
    table = np.zeros((len(texts), artists), np.float32)
    for row, words in enumerate(texts):
        if words:
            labels, values = model.predict(" ".join(words), k=-1)
            table[row, [int(label.removeprefix(LABEL)) for label in labels]] = values
            total = table[row].sum()
            table[row] = table[row] / total if total > 0 else 0
    return table


def word2vec(job: ArtistJob) -> None:
    """Writes RUN/predictions/text_w2v."""

    def vectors(task: Task, texts: list[Words]) -> NDArray[np.float32]:
        from gensim.models import Word2Vec

        train = [texts[row] for row in task.train]
        model = Word2Vec(
            train, vector_size=100, window=5, min_count=1, workers=1, seed=task.seed % 2**31, hashfxn=_hash
        )
        known = model.wv.key_to_index
        found = np.zeros((len(texts), 100), np.float32)
        for row in np.concatenate([task.train, task.queries]):
            own = [known[word] for word in texts[row] if word in known]
            if own:
                found[row] = model.wv.vectors[own].mean(axis=0)
        return found

    _boosted(job, "text_w2v", "means of 100-d Word2Vec, LightGBM", vectors)


def doc2vec(job: ArtistJob) -> None:
    """Writes RUN/predictions/text_d2v."""

    def vectors(task: Task, texts: list[Words]) -> NDArray[np.float32]:
        from gensim.models.doc2vec import Doc2Vec, TaggedDocument

        train = [TaggedDocument(texts[row], [place]) for place, row in enumerate(task.train)]
        model = Doc2Vec(
            train,
            vector_size=300,
            window=5,
            min_count=1,
            epochs=20,
            workers=1,
            seed=task.seed % 2**31,
            hashfxn=_hash,
        )
        found = np.zeros((len(texts), 300), np.float32)
        for row in np.concatenate([task.train, task.queries]):  # both as a new text would be read
            model.random.seed(task.seed % 2**31)
            found[row] = model.infer_vector(texts[row])
        return found

    _boosted(job, "text_d2v", "300-d Doc2Vec, LightGBM", vectors)


def tfidf(job: ArtistJob) -> None:
    """Writes RUN/predictions/text_tfidf."""

    def vectors(task: Task, texts: list[Words]) -> Any:
        return TfIdf.learn([texts[row] for row in task.train], TOP_TERMS)(texts)

    _boosted(job, "text_tfidf", f"TF-IDF of the {TOP_TERMS:,} commonest words, LightGBM", vectors)


def _boosted(job: ArtistJob, model: str, what: str, vectors: Callable[[Task, list[Words]], Any]) -> None:
    """LightGBM on vectors [N,D] that are learnt from a task's training rows."""
    rounds = job.trees.rounds
    nest = open_nest(job)
    texts = read_words(nest.works)
    has_words = np.array([bool(text) for text in texts])

    def fit(task: Task) -> Table:
        inputs = vectors(task, texts)
        train = task.train[has_words[task.train]]
        artists = len(nest.folds.artists)
        booster = fit_trees(inputs[train], nest.truth[train], artists, task.seed, rounds)
        return np.where(has_words[task.queries, None], ask_trees(booster, inputs[task.queries]), 0)

    settings = {**PARAMETERS, "rounds": rounds, "words": VERSION}
    cross_validate(job, nest, model, fit, what=what, settings=settings)


def _tried(
    trained: Callable[[int], Any], rows: Rows, texts: list[Words], nest: Nest, epochs: Sequence[int]
) -> dict[int, float]:
    """Share of `rows` answered rightly after so many epochs, until more of them are no better."""
    found: dict[int, float] = {}
    for count in epochs:
        answers = ask_fasttext(trained(count), [texts[row] for row in rows], len(nest.folds.artists))
        found[count] = float((answers.argmax(axis=1) == nest.truth[rows]).mean())
        if found[count] < max(found.values()):
            break
    return found


def _hash(word: str) -> int:
    """Python's own changes from run to run."""
    return zlib.crc32(word.encode())
