"""`lunula eval rerank` against a service that ranks by the rule it measures."""

from __future__ import annotations

import json
import tomllib
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.client.models import DEFAULT_REPOSITORY
from cli.evaluate.measuring import digest_models
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from lunula.type.v1 import response_info_pb2
from nails.aesthetic.rerank import aesthetic_term, eligible, relevance_part, rerank
from tests.rank_server import serving
from tests.rated_pool import rated_folder

PHOTOS = 40
UNSCORED = "000001"
PAGE = 17


class ByRule(rank_grpc.RankServiceServicer):
    """Every request likes designs by a hash of both; a third of them too little to be relevant.

    Aesthetic scores fall with the id; pages are short. others: designs that somebody else indexed; late:
    those that come after the catalogue was listed; judges: whether aesthetic scores are given; models:
    fingerprints by name.
    """

    def __init__(self) -> None:
        self.indexed: list[str] = []
        self.asked: list[tuple[str, float]] = []
        self.others: list[str] = []
        self.late: list[str] = []
        self.judges = True
        self.models: dict[str, str] = {}

    async def IndexDesigns(
        self, requests: AsyncIterator[rank.IndexDesignsRequest], _: grpc.aio.ServicerContext
    ) -> AsyncIterator[rank.IndexDesignsResponse]:
        async for request in requests:
            assert request.design.photo.data
            assert not request.design.title
            self.indexed.append(request.design.design_id)
            yield rank.IndexDesignsResponse(
                design_id=request.design.design_id, state=rank.INDEX_STATE_INDEXED
            )

    async def ListDesigns(
        self, request: rank.ListDesignsRequest, _: grpc.aio.ServicerContext
    ) -> rank.ListDesignsResponse:
        names = sorted({*self.indexed, *self.others})
        start = int(request.page_token or 0)
        end = start + min(PAGE, request.page_size)
        return rank.ListDesignsResponse(
            designs=[rank.Design(design_id=name) for name in names[start:end]],
            next_page_token=str(end) if end < len(names) else "",
            total_size=len(names),
        )

    async def SearchDesigns(
        self, request: rank.SearchDesignsRequest, _: grpc.aio.ServicerContext
    ) -> rank.SearchDesignsResponse:
        weight = round(request.aesthetic_weight, 6)
        self.asked.append((request.text, weight))
        names = sorted({*self.indexed, *self.others, *self.late})
        relevance = [zlib.crc32(f"{request.text}/{name}".encode()) % 2**20 / 2**20 for name in names]
        parts = [relevance_part(own, weight) for own in relevance]
        counts = eligible(parts, names, head=200)
        aesthetic = {place: 1 - place / len(names) for place in counts if names[place] != UNSCORED}
        placed = rerank(parts, names, aesthetic, weight=weight)
        start = int(request.page_token or 0)
        hits = []
        end = start + min(PAGE, request.page_size)
        for one in placed[start:end]:
            terms = [rank.ScoreTerm(channel="design", contribution=one.relevance)]
            if weight and self.judges:
                found = aesthetic_term(one, 5.0, weight)
                terms.append(
                    rank.ScoreTerm(
                        channel=found.channel,
                        normalised=found.normalised,
                        contribution=found.contribution,
                        note=one.status.value,
                    )
                )
            design = rank.Design(design_id=names[one.index])
            hits.append(rank.Hit(design=design, score=one.score, terms=terms))
        token = str(end) if end < len(placed) else ""
        models = [response_info_pb2.ModelVersion(name=n, fingerprint=f) for n, f in self.models.items()]
        info = response_info_pb2.ResponseInfo(models=models)
        return rank.SearchDesignsResponse(hits=hits, next_page_token=token, info=info)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rated_folder(tmp_path_factory.mktemp("data"), PHOTOS)


@pytest.fixture
def service() -> ByRule:
    return ByRule()


@pytest.fixture
def address(service: ByRule) -> Iterator[str]:
    with serving(service) as found:
        yield found


def lunula(*words: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(app, ["eval", "rerank", *words])
    return ended.exit_code, ended.stdout, "".join(ended.stderr.split())  # lines break anywhere


def part_path(terms: Path) -> Path:
    """Where an interrupted run keeps what it has."""
    return terms.with_name(f"{terms.name}.{digest_models()}.part")


def test_the_orders_of_the_service_are_those_that_are_computed(
    folder: Path, service: ByRule, address: str
) -> None:
    code, out, message = lunula("--data", str(folder), "--rank", address, "--json", "--check", "9")
    found = json.loads(out)
    assert code == 0, message
    assert (found["checked"], found["wrong"]) == (9 * 5, [])
    assert (found["photos"], found["requests"]) == (24, 24)
    assert len(service.indexed) == 24
    assert [row["weight"] for row in found["rows"]] == [0, 0.02, 0.05, 0.1, 0.2] * 2
    assert found["chosen"] in (0, 0.02, 0.05, 0.1, 0.2)
    assert found["gains"]["0"]["nDCG@10"]["mean"] == 0


def test_a_service_that_ranks_otherwise_is_found_out(folder: Path, address: str, tmp_path: Path) -> None:
    terms = tmp_path / "terms.jsonl"
    assert lunula("--data", str(folder), "--rank", address, "--terms", str(terms), "--check", "0")[0] == 0
    lines = []
    for line in terms.read_text().splitlines():
        fields = json.loads(line)
        lines.append(json.dumps(fields | {"aesthetic": fields["aesthetic"][::-1]}) + "\n")
    terms.unlink()
    part_path(terms).write_text("".join(lines))
    code, _, message = lunula(
        "--data", str(folder), "--rank", address, "--terms", str(terms), "--check", "24"
    )
    assert code == 1
    assert "notascomputed" in message


def test_a_catalogue_with_other_designs_is_refused(folder: Path, service: ByRule, address: str) -> None:
    service.others = ["a", "b", "c"]
    code, _, message = lunula("--data", str(folder), "--rank", address)
    assert code == 2
    assert "notempty(designs:3,suchas'a')" in message
    assert not service.indexed


def test_a_catalogue_that_others_fill_meanwhile_is_refused(
    folder: Path, service: ByRule, address: str
) -> None:
    service.late = ["a", "b", "c"]
    code, _, message = lunula("--data", str(folder), "--rank", address)
    assert code == 2
    assert "otherdesigns" in message


def test_photos_of_the_split_are_others_too_unless_a_run_was_interrupted(
    folder: Path, service: ByRule, address: str, tmp_path: Path
) -> None:
    words = ("--data", str(folder), "--rank", address, "--check", "0")
    assert lunula(*words)[0] == 0
    terms = tmp_path / "terms.jsonl"
    for _ in range(2):  # a run that was refused has not begun
        code, _, message = lunula(*words, "--terms", str(terms))
        assert code == 2
        assert "notempty(designs:24" in message
    part_path(terms).touch()
    service.others = ["z"]
    assert "notempty" in lunula(*words, "--terms", str(terms))[2]
    service.others = []
    assert lunula(*words, "--terms", str(terms))[0] == 0


def test_terms_are_read_in_place_of_asking(
    folder: Path, service: ByRule, address: str, tmp_path: Path
) -> None:
    terms = tmp_path / "new" / "terms.jsonl"
    words = ("--data", str(folder), "--terms", str(terms), "--json")
    first = json.loads(lunula(*words, "--rank", address)[1])
    asked = len(service.asked)
    again = json.loads(lunula(*words)[1])
    assert len(service.asked) == asked
    assert again["rows"] == first["rows"]
    assert again["checked"] == 0
    code, _, message = lunula(*words, "--each", "2")
    assert code == 2
    assert "24requests,notthe48" in message


def test_terms_of_other_models_are_refused(
    folder: Path, service: ByRule, address: str, tmp_path: Path
) -> None:
    terms = tmp_path / "terms.jsonl"
    words = ("--data", str(folder), "--terms", str(terms), "--check", "0")
    own = tomllib.loads((DEFAULT_REPOSITORY / "aesthetic" / "model.toml").read_text())["model"]
    service.models = {"aesthetic": own["fingerprint"]}
    assert lunula(*words, "--rank", address)[0] == 0
    assert json.loads(terms.read_text().splitlines()[0])["models"] == service.models
    assert [lunula(*words)[0], lunula(*words, "--rank", address)[0]] == [0, 0]
    service.models = {"aesthetic": "trained anew"}
    code, _, message = lunula(*words, "--rank", address)
    assert (code, "othermodelsthanareservednow:aesthetic" in message) == (2, True)
    service.models = {}
    code, _, message = lunula(*words, "--rank", address)
    assert (code, "doesnotsaywhichmodels" in message) == (2, True)
    first, _, rest = terms.read_text().partition("\n")
    for models, fault in (({"aesthetic": "older"}, "othermodels"), (None, "doesnotsaybywhichmodels")):
        terms.write_text(json.dumps(json.loads(first) | {"models": models}) + "\n" + rest)
        code, _, message = lunula(*words)
        assert (code, fault in message) == (2, True)


def test_an_interrupted_run_goes_on(folder: Path, service: ByRule, address: str, tmp_path: Path) -> None:
    terms = tmp_path / "terms.jsonl"
    words = ("--data", str(folder), "--terms", str(terms), "--rank", address, "--check", "0", "--json")
    whole = json.loads(lunula(*words)[1])
    lines = terms.read_text().splitlines(keepends=True)
    terms.unlink()
    part_path(terms).write_text("".join(lines[:20]) + lines[20][:30])
    service.asked.clear()
    again = json.loads(lunula(*words)[1])
    assert len({text for text, _ in service.asked}) <= 4
    assert again["rows"] == whole["rows"]
    assert [path.name for path in tmp_path.iterdir()] == ["terms.jsonl"]


def test_tables_and_a_page(folder: Path, address: str, tmp_path: Path) -> None:
    page = tmp_path / "rerank.html"
    code, out, _ = lunula("--data", str(folder), "--rank", address, "--page", str(page), "--check", "2")
    assert code == 0
    assert "10 of 10 orders of the service are as computed" in out
    assert "chosen: " in out
    assert "By the model" in page.read_text(encoding="utf-8")
    assert (tmp_path / "rerank-weights.png").stat().st_size > 5_000


def test_no_default_is_chosen_on_test(folder: Path, address: str, tmp_path: Path) -> None:
    terms = str(tmp_path / "terms.jsonl")
    words = ("--data", str(folder), "--terms", terms, "--split", "test", "--check", "0")
    assert "a default is chosen on val" in lunula(*words, "--rank", address)[1]
    assert json.loads(lunula(*words, "--json")[1])["chosen"] is None


def test_a_service_without_the_model_is_reported(folder: Path, service: ByRule, address: str) -> None:
    service.judges = False
    code, _, message = lunula("--data", str(folder), "--rank", address)
    assert code == 2
    assert "noaestheticscorewasgiven" in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split", "train"), "--splittrain:notoneofval,test"),
        (("--weights", "0.1,0.2"), "thefirstmustbe0"),
        (("--weights", "0,0.9"), "in0to0.5"),
        (("--weights", "0,0.2,0.1"), "mustrise"),
        (("--weights", "0,much"), "notnumbers"),
        (("--levels", "dense,verse"), "'verse'isnoneof"),
    ],
)
def test_options_that_make_no_sense_are_reported(folder: Path, words: tuple[str, ...], message: str) -> None:
    code, _, found = lunula("--data", str(folder), *words)
    assert code == 2
    assert message in found
