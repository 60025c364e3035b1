"""Requests of a labelled folder, sent to running services, and figures of the answers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from cli.client.indexing import IndexOutcome, index
from cli.client.records import Record, derive_design_id
from cli.errors import RecordError
from cli.stack.own_stack import check_empty
from evaluation.json_lines import Line, read_lines
from evaluation.metrics import hit_at_k, mean_reciprocal_rank
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from services.kit.client import call

DEPTHS = (1, 5, 10)
_MAX_PAGE = 100
_MAX_LINE = 1 << 20  # bytes


@dataclass(frozen=True)
class Question:
    """A request and the design that it describes."""

    design_id: str
    photo: Path
    language: str
    text: str


@dataclass(frozen=True)
class Result:
    """A question with the rank of its design (1 is best) and what was returned before it."""

    question: Question
    rank: int
    top: tuple[str, ...]


@dataclass(frozen=True)
class Scores:
    """Figures of one language; all in [0, 1]."""

    language: str
    requests: int
    designs: int
    hit: dict[int, float]
    chance: dict[int, float]
    mrr: float


class _Requests(Line):
    """A photo with requests that it answers, by language."""

    image: str
    requests: dict[str, str]


def read_questions(folder: Path) -> list[Question]:
    """Questions of `folder`/requests.jsonl: lines of `{"image": ..., "requests": {language: text}}`.

    Raises:
        RecordError: the file is missing, or a line has another form.
    """
    listing = folder / "requests.jsonl"
    if not listing.is_file():
        raise RecordError(f"{listing}: no such file")
    questions = [
        Question(derive_design_id(Path(form.image)), folder / form.image, language, text)
        for _, form in read_lines(listing, _MAX_LINE, _Requests, RecordError)
        for language, text in form.requests.items()
    ]
    if not questions:
        raise RecordError(f"{listing}: no requests")
    return questions


def build_records(questions: list[Question]) -> list[Record]:
    """The photos alone, without any text: what is asked is what a photo shows."""
    photos = {question.design_id: question.photo for question in questions}
    return [Record(design_id=design_id, photo=photo) for design_id, photo in photos.items()]


async def evaluate(
    stub: rank_grpc.RankServiceAsyncStub,
    questions: list[Question],
    *,
    aesthetic_weight: float | None = None,
    on_indexed: Callable[[rank.IndexDesignsResponse], None] = lambda _: None,
    on_asked: Callable[[Result], None] = lambda _: None,
) -> tuple[IndexOutcome, list[Result]]:
    """Index the photos of `questions` into the live catalogue, and send each request.

    aesthetic_weight: of the aesthetic score; 0 ranks by relevance alone, None leaves the server's default.
    Raises RequestError, before anything is indexed, for a catalogue that is not empty.
    """
    await check_empty(stub)
    outcome = await index(stub, build_records(questions), on_answer=on_indexed)
    results = []
    for question in questions:
        ranking = await _ranking(stub, question.text, question.design_id, aesthetic_weight)
        place = ranking.index(question.design_id) + 1 if question.design_id in ranking else len(ranking) + 1
        results.append(Result(question, place, tuple(ranking[:10])))
        on_asked(results[-1])
    return outcome, results


async def _ranking(
    stub: rank_grpc.RankServiceAsyncStub, text: str, target: str, aesthetic_weight: float | None
) -> list[str]:
    """Design ids, best first, down to the page with `target`."""
    ranking: list[str] = []
    token = ""
    while True:
        request = rank.SearchDesignsRequest(
            text=text, page_size=_MAX_PAGE, page_token=token, aesthetic_weight=aesthetic_weight
        )
        response: rank.SearchDesignsResponse = await call(stub.SearchDesigns, request, timeout=60.0)
        ranking += [hit.design.design_id for hit in response.hits]
        token = response.next_page_token
        if target in ranking or not token:
            return ranking


def score(results: list[Result]) -> list[Scores]:
    """Figures per language, in alphabetical order."""
    by_language: dict[str, list[int]] = defaultdict(list)
    for result in results:
        by_language[result.question.language].append(result.rank)
    designs = len({result.question.design_id for result in results})
    return [
        Scores(
            language=language,
            requests=len(ranks),
            designs=designs,
            hit={depth: hit_at_k(np.array(ranks), depth) for depth in DEPTHS},
            chance={depth: min(1.0, depth / designs) for depth in DEPTHS},
            mrr=mean_reciprocal_rank(np.array(ranks)),
        )
        for language, ranks in sorted(by_language.items())
    ]


def as_json(scores: list[Scores], results: list[Result]) -> str:
    """All figures for `--json`."""
    return json.dumps(
        {
            "scores": [asdict(item) for item in scores],
            "results": [
                {
                    "design_id": item.question.design_id,
                    "language": item.question.language,
                    "text": item.question.text,
                    "rank": item.rank,
                    "top": item.top,
                }
                for item in results
            ],
        },
        ensure_ascii=False,
        indent=2,
    )
