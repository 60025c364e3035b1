"""The rankings that `lunula eval rerank` works on: measured on an empty catalogue, or read from a file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from cli.client.models import DEFAULT_REPOSITORY
from cli.client.records import Record
from cli.console import progress, run
from cli.errors import RequestError
from cli.evaluate.aesthetic.rerank_terms import disagreements, fetch_rankings, served_models
from cli.evaluate.measuring import PartFile, digest_models, index_photos
from cli.stack.own_stack import own_stack
from evaluation.aesthetic.rerank_labels import Pool
from evaluation.aesthetic.rerank_weights import ServedRanking, read_terms, terms_json
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from services.kit.client import connect

_MODELS = "models"


@dataclass
class Measurement:
    """The rankings of all requests, and how far the service agrees with what is computed from them.

    checked, wrong: orders of the service that were compared with those computed here, and that differ.

    models: fingerprints of those that were served, by name.
    """

    rankings: list[ServedRanking] = field(default_factory=list)
    checked: int = 0
    wrong: list[str] = field(default_factory=list)
    models: dict[str, str] = field(default_factory=dict)


def read_measurement(pool: Pool, terms: Path | None, rank_address: str) -> Measurement | None:
    """The measurement in a file of terms; None where there is none. Raises RequestError for other models."""
    if terms is None or not terms.is_file():
        return None
    found = read_terms(terms, pool)
    _check_models(terms, pool, rank_address)
    if {asked.request for asked in found} != {request.id for request in pool.requests}:
        raise RequestError(f"{terms}: {len(found)} requests, not the {len(pool.requests)} of these options")
    return Measurement(found)


def _check_models(terms: Path, pool: Pool, rank_address: str) -> None:
    """Compare the models of the file with those of the service, or of the own stack without one."""
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
    """Fingerprints of the models that the own stack serves, by name."""
    found = {}
    for path in sorted(DEFAULT_REPOSITORY.glob("*/model.toml")):
        model = tomllib.loads(path.read_text(encoding="utf-8")).get("model", {})
        found[path.parent.name] = str(model.get("fingerprint", ""))
    return found


def measure(
    pool: Pool, terms: Path | None, rank_address: str, check: int, weights: Sequence[float]
) -> Measurement:
    """Send all requests; keep the answers in `terms`, also those of a run that is interrupted."""
    if terms is None:
        return _measure(pool, [], lambda _: None, rank_address, check, weights)
    part = PartFile(terms, digest_models())
    known = read_terms(part.path, pool) if part.interrupted else []

    def keep(asked: ServedRanking) -> None:
        part.append(terms_json(asked))

    own = [photo.id for photo in pool.photos] if part.interrupted else []
    measured = _measure(pool, known, keep, rank_address, check, weights, own=own, begin=part.path.touch)
    _state_models(part.path, measured.models)
    part.path.replace(terms)
    return measured


def _state_models(part: Path, models: Mapping[str, str]) -> None:
    """Adds them to the first line."""
    first, _, rest = part.read_text(encoding="utf-8").partition("\n")
    stated = json.dumps(json.loads(first) | {_MODELS: models}, ensure_ascii=False)
    part.write_text(f"{stated}\n{rest}", encoding="utf-8")


def _measure(
    pool: Pool,
    known: Sequence[ServedRanking],
    keep: Callable[[ServedRanking], None],
    rank_address: str,
    check: int,
    weights: Sequence[float],
    *,
    own: Collection[str] = (),
    begin: Callable[[], object] = lambda: None,
) -> Measurement:
    """Index the photos and send the requests whose answers are not known.

    own: photos that may be in the catalogue already; one with others ends the command. begin: called before
    the first is indexed.
    """
    done = {asked.request for asked in known}
    left = [request for request in pool.requests if request.id not in done]
    ids = {photo.id for photo in pool.photos}
    measured = Measurement(list(known))
    models = measured.models
    with ExitStack() as resources:
        if not rank_address:
            rank_address = resources.enter_context(own_stack()).rank

        async def work() -> None:
            async with connect(rank_address) as channel:
                stub = rank_grpc.RankServiceStub(channel)
                with progress() as bar:
                    asking = bar.add_task("Searching", total=len(left))
                    sample = min(check, len(pool.requests))
                    checking = bar.add_task("Checking", total=sample * len(weights))
                    records = [Record(design_id=photo.id, photo=photo.image) for photo in pool.photos]

                    def note_models(answer: rank.IndexDesignsResponse) -> None:
                        models.update({model.name: model.fingerprint for model in answer.info.models})

                    await index_photos(stub, records, bar, own=own, begin=begin, on_answer=note_models)
                    models.update(await served_models(stub, (left or pool.requests)[0].text))

                    def note(asked: ServedRanking) -> None:
                        if others := set(asked.ids) - ids:
                            raise RequestError(
                                f"the catalogue is not empty: it holds other designs, such as {min(others)!r}"
                            )
                        measured.rankings.append(asked)
                        keep(asked)
                        bar.advance(asking)

                    await fetch_rankings(stub, left, note)
                    compared = sorted(measured.rankings, key=lambda asked: asked.request)[:sample]
                    measured.wrong = await disagreements(
                        stub, pool, compared, weights, lambda: bar.advance(checking)
                    )
                    measured.checked = len(compared) * len(weights)

        run(work())
    return measured
