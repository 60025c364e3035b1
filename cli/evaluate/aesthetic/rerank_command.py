"""`lunula eval rerank`: costs and gains of the aesthetic score at several weights, and the default."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.client import indexing
from cli.client.models import DEFAULT_REPOSITORY
from cli.client.records import Record
from cli.console import console, errors, errors_as_exit_codes, progress, run
from cli.errors import RequestError
from cli.evaluate.aesthetic.rerank_page import weights_table, write_rerank_page
from cli.evaluate.aesthetic.rerank_terms import ask_all, disagreements, served_models
from cli.evaluate.extra import require_evaluate_extra
from cli.stack.own_stack import EmptyRank, check_empty, own_stack
from evaluation.aesthetic.rerank_labels import LEVELS, Labels, Pool, read_pool
from evaluation.aesthetic.rerank_weights import (
    WEIGHTS,
    ServedRanking,
    choose,
    compare_weights,
    measure_weight,
    read_terms,
    terms_json,
)
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from nails.aesthetic.rerank import DEFAULT_WEIGHT, MAX_WEIGHT
from services.kit.client import connect

SPLITS = ("val", "test")
_MODELS = "models"
_WEIGHTS = ",".join(f"{weight:g}" for weight in WEIGHTS)


@dataclass
class _Measured:
    """checked, wrong: orders of the service that were compared with those computed here, and that differ.

    models: fingerprints of those that were served, by name.
    """

    rankings: list[ServedRanking] = field(default_factory=list)
    checked: int = 0
    wrong: list[str] = field(default_factory=list)
    models: dict[str, str] = field(default_factory=dict)


def rerank(
    data: Annotated[Path, typer.Option(help="A folder of `lunula data synth --kind aesthetics`.")],
    split: Annotated[
        str, typer.Option(metavar="|".join(SPLITS), help="val to choose the default on; test to report.")
    ] = "val",
    weights: Annotated[str, typer.Option(help="Aesthetic weights to try, the first 0.")] = _WEIGHTS,
    levels: Annotated[str, typer.Option(help=f"Levels of the requests, of {', '.join(LEVELS)}.")] = ",".join(
        LEVELS[:3]
    ),
    each: Annotated[int, typer.Option(min=1, max=8, help="Requests for each photo.")] = 1,
    limit: Annotated[int, typer.Option(min=0, help="Only so many photos; 0 takes all.")] = 0,
    check: Annotated[
        int,
        typer.Option(min=0, help="Requests for which the service's own order is compared, at all weights."),
    ] = 12,
    terms: Annotated[
        Path | None,
        typer.Option(
            help="File for the answers of the service: read where it exists and the models are the same, "
            "else written; an interrupted run goes on where it stopped."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    page: Annotated[
        Path | None, typer.Option(help="Write a page with the plot, and the plot as PNG beside it.")
    ] = None,
    rank_address: EmptyRank = "",
) -> None:
    """Measure how often the right photo is found, and how good and well rated the first ten are, by weight.

    Indexes the photos of a split without any text and asks requests that were written for them. nDCG@10 has
    the gain 2^(grade + aesthetic) - 1: the grade says how much of the request a design meets (0 to 3, none
    without a half of it), aesthetic is the share of photos with a lower mean vote. On val, the weight with
    the largest nDCG@10 that costs less than 0.5 points of hit@10 is named as the default to be.
    """
    with errors_as_exit_codes():
        require_evaluate_extra()
        if split not in SPLITS:
            raise RequestError(f"--split {split}: not one of {', '.join(SPLITS)}")
        tried = _weights(weights)
        pool = read_pool(data, split, levels=_levels(levels), each=each, limit=limit)
        measured = _known(pool, terms, rank_address) or _measure(pool, terms, rank_address, check, tried)
        labels = Labels(pool)
        with progress() as bar:
            task = bar.add_task("Reranking", total=2 * len(tried))
            lines, people = [], []
            for weight in tried:
                lines.append(measure_weight(labels, measured.rankings, weight))
                bar.advance(task)
                people.append(measure_weight(labels, measured.rankings, weight, people=True))
                bar.advance(task)
        gains = [compare_weights(line, lines[0]) for line in lines]
        best = choose(lines)
        facts: dict[str, Any] = {
            "split": split,
            "photos": len(pool.photos),
            "requests": len(measured.rankings),
            "met by one photo alone": labels.alone,
            "data": pool.digest,
            "default": DEFAULT_WEIGHT,
            "chosen": best.weight if split == "val" else None,
            "checked": measured.checked,
            "wrong": measured.wrong,
        }
        if page is not None:
            for path in write_rerank_page(page, lines, gains, people, facts):
                errors.print(f"wrote {escape(str(path))}")
    if as_json:
        rows = [
            {
                "weight": line.weight,
                "people": line.people,
                "hit@10": line.hit_at_10,
                "nDCG@10": line.ndcg_at_10,
                "mrr": line.mrr,
                "aesthetic": line.aesthetic,
                "grade": line.grade,
            }
            for line in (*lines, *people)
        ]
        over = {
            f"{line.weight:g}": {k: asdict(v) for k, v in gain.items()}
            for line, gain in zip(lines, gains, strict=True)
        }
        typer.echo(json.dumps(facts | {"rows": rows, "gains": over}, ensure_ascii=False, indent=2))
    else:
        said = f"{len(measured.rankings):,} requests, {len(pool.photos):,} photos of split {split}"
        console.print(weights_table(lines, gains, f"{said}: by the model's aesthetic score"))
        console.print(
            weights_table(people, [compare_weights(line, people[0]) for line in people], "by people's votes")
        )
        console.print(f"{labels.alone:,} requests are met in full by one photo alone", highlight=False)
        if measured.checked:
            same = measured.checked - len(measured.wrong)
            console.print(
                f"{same} of {measured.checked} orders of the service are as computed", highlight=False
            )
        console.print(_verdict(split, best.weight), highlight=False)
    if measured.wrong:
        for line_ in measured.wrong[:5]:
            errors.print(f"not as computed: {line_}", markup=False)
        raise typer.Exit(1)


def _verdict(split: str, best: float) -> str:
    served = f"nails.aesthetic.rerank serves {DEFAULT_WEIGHT:g}"
    if split != "val":
        return f"{served}; a default is chosen on val"
    return f"chosen: {best:g}, the largest nDCG@10 for less than 0.5 points of hit@10; {served}"


def _weights(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise RequestError(f"--weights {text}: not numbers with commas between them") from None
    if found[0] != 0 or any(not 0 <= weight <= MAX_WEIGHT for weight in found):
        raise RequestError(f"--weights {text}: the first must be 0, the others in 0 to {MAX_WEIGHT:g}")
    if list(found) != sorted(set(found)):
        raise RequestError(f"--weights {text}: must rise")
    return found


def _levels(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(","))
    if unknown := [level for level in found if level not in LEVELS]:
        raise RequestError(f"--levels {text}: {unknown[0]!r} is none of {', '.join(LEVELS)}")
    return found


def _known(pool: Pool, terms: Path | None, rank_address: str) -> _Measured | None:
    """What a whole file of terms says; None where there is none. Raises RequestError for other models."""
    if terms is None or not terms.is_file():
        return None
    found = read_terms(terms, pool)
    _check_models(terms, pool, rank_address)
    if {asked.request for asked in found} != {request.id for request in pool.requests}:
        raise RequestError(f"{terms}: {len(found)} requests, not the {len(pool.requests)} of these options")
    return _Measured(found)


def _check_models(terms: Path, pool: Pool, rank_address: str) -> None:
    """Of other models, measures are others: those of the service, or of the own stack without one."""
    lines = terms.read_text(encoding="utf-8").splitlines()
    made_with = json.loads(lines[0]).get(_MODELS) if lines else None
    if not isinstance(made_with, dict):
        raise RequestError(f"{terms} does not say by which models it was measured; measure into another file")
    if rank_address:
        served = run(_served_at(rank_address, pool.requests[0].text))
        # A search names no model of photos.
        compared = {name: made_with[name] for name in made_with if name in served}
        if made_with and not compared:
            raise RequestError(f"{rank_address} does not say which models it serves; is its catalogue empty?")
    else:
        served, compared = _own_models(), made_with
    if other := sorted(name for name, made in compared.items() if served.get(name) != made):
        raise RequestError(
            f"{terms} was measured with other models than are served now: {', '.join(other)}; "
            "measure into another file"
        )


async def _served_at(rank_address: str, text: str) -> dict[str, str]:
    async with connect(rank_address) as channel:
        return await served_models(rank_grpc.RankServiceStub(channel), text)


def _own_models() -> dict[str, str]:
    """Fingerprints of what the own stack serves, by name."""
    found = {}
    for path in sorted(DEFAULT_REPOSITORY.glob("*/model.toml")):
        model = tomllib.loads(path.read_text(encoding="utf-8")).get("model", {})
        found[path.parent.name] = str(model.get("fingerprint", ""))
    return found


def _measure(
    pool: Pool, terms: Path | None, rank_address: str, check: int, weights: Sequence[float]
) -> _Measured:
    """Asks all requests; keeps what came back in `terms`, also of a run that is interrupted."""
    if terms is None:
        return _asked(pool, [], lambda _: None, rank_address, check, weights)
    terms.parent.mkdir(parents=True, exist_ok=True)
    part = terms.with_name(f"{terms.name}.{models_digest()}.part")
    known = []
    interrupted = part.is_file()
    if interrupted:
        whole = part.read_text(encoding="utf-8").rpartition("\n")[0]  # without a half line
        part.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
        known = read_terms(part, pool)

    def keep(asked: ServedRanking) -> None:
        with part.open("a", encoding="utf-8") as file:
            file.write(terms_json(asked))

    own = [photo.id for photo in pool.photos] if interrupted else []
    measured = _asked(pool, known, keep, rank_address, check, weights, own=own, begin=part.touch)
    _state_models(part, measured.models)
    part.replace(terms)
    return measured


def _state_models(part: Path, models: Mapping[str, str]) -> None:
    """Adds them to the first line."""
    first, _, rest = part.read_text(encoding="utf-8").partition("\n")
    stated = json.dumps(json.loads(first) | {_MODELS: models}, ensure_ascii=False)
    part.write_text(f"{stated}\n{rest}", encoding="utf-8")


def models_digest() -> str:
    """Stands for the models of the own stack: of others, measures are others."""
    made_with = hashlib.sha256()
    for path in sorted(DEFAULT_REPOSITORY.glob("*/model.toml")):
        made_with.update(path.read_bytes())
    return made_with.hexdigest()[:8]


def _asked(
    pool: Pool,
    known: Sequence[ServedRanking],
    keep: Callable[[ServedRanking], None],
    rank_address: str,
    check: int,
    weights: Sequence[float],
    *,
    own: Collection[str] = (),
    begin: Callable[[], None] = lambda: None,
) -> _Measured:
    """Indexes the photos and asks the requests, less those that are known.

    own: photos that may be in the catalogue already; one with others ends the command. begin: called before
    the first is indexed.
    """
    done = {asked.request for asked in known}
    left = [request for request in pool.requests if request.id not in done]
    ids = {photo.id for photo in pool.photos}
    measured = _Measured(list(known))
    models = measured.models
    with ExitStack() as resources:
        if not rank_address:
            rank_address = resources.enter_context(own_stack()).rank

        async def work() -> None:
            async with connect(rank_address) as channel:
                stub = rank_grpc.RankServiceStub(channel)
                with progress() as bar:
                    photos = bar.add_task("Indexing", total=len(pool.photos))
                    asking = bar.add_task("MeasuredRequest  ", total=len(left))
                    sample = min(check, len(pool.requests))
                    checking = bar.add_task("Checking", total=sample * len(weights))
                    records = [Record(design_id=photo.id, photo=photo.image) for photo in pool.photos]
                    await check_empty(stub, own)
                    begin()

                    def indexed(answer: rank.IndexDesignsResponse) -> None:
                        models.update({model.name: model.fingerprint for model in answer.info.models})
                        bar.advance(photos)

                    outcome = await indexing.index(stub, records, on_answer=indexed)
                    for name, error in outcome.failed.items():
                        errors.print(f"not indexed: {name}: {error.message} [{error.reason}]", markup=False)

                    models.update(await served_models(stub, (left or pool.requests)[0].text))

                    def note(asked: ServedRanking) -> None:
                        if others := set(asked.ids) - ids:
                            raise RequestError(
                                f"the catalogue is not empty: it holds other designs, such as {min(others)!r}"
                            )
                        measured.rankings.append(asked)
                        keep(asked)
                        bar.advance(asking)

                    await ask_all(stub, left, note)
                    compared = sorted(measured.rankings, key=lambda asked: asked.request)[:sample]
                    measured.wrong = await disagreements(
                        stub, pool, compared, weights, lambda: bar.advance(checking)
                    )
                    measured.checked = len(compared) * len(weights)

        run(work())
    return measured
