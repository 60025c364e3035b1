"""EmbedQueries beside the bare models on the same tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bench.search_timing import Ask, in_thread
from lunula.embed.v1 import embed_service_pb2 as embed_pb
from lunula.embed.v1.embed_service_pb2_grpc import EmbedServiceStub
from lunula.rank.v1 import rank_service_pb2 as pb
from nails.encoders import QUERY_FUSE, TEXT_ENCODE
from nails.language.word_pieces import SentenceTokenizer
from services.embed.queries import QueryPipeline, Request
from services.embed.settings import EmbedSettings
from services.embed.text_encoder import TextEncoder, text_width
from services.intake.messages import read_palette
from services.kit.client import call
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.inference.config import read_config
from services.kit.inference.local import LocalBackend, load_session

REPOSITORY = Path(__file__).resolve().parents[1] / "triton_models"
_MODELS = (TEXT_ENCODE, QUERY_FUSE)
Asked = list[tuple[str, Mapping[str, NDArray[Any]]]]


class Recorder:
    """Stands before a backend and keeps what the models were asked."""

    def __init__(self, backend: LocalBackend) -> None:
        self._backend = backend
        self.asked: Asked = []

    async def infer(
        self, model: str, inputs: Mapping[str, NDArray[Any]], *, deadline: Deadline
    ) -> dict[str, NDArray[Any]]:
        """As the backend, and remembered."""
        self.asked.append((model, dict(inputs)))
        return await self._backend.infer(model, inputs, deadline=deadline)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


async def asked_of_models(requests: Sequence[pb.SearchDesignsRequest]) -> list[Asked]:
    """For every request what EmbedService asks its models when the requests come in this order."""
    settings = EmbedSettings(port=0)
    backend = LocalBackend(REPOSITORY, _MODELS)
    threads = WorkThreads(1)
    recorder: Any = Recorder(backend)
    try:
        encoder = TextEncoder(
            backend=recorder,
            tokenizer=SentenceTokenizer(settings.max_tokens),
            threads=threads,
            width=text_width(await backend.metadata(TEXT_ENCODE)),
            cached=settings.cached_texts,
        )
        path = QueryPipeline(backend=recorder, encoder=encoder, threads=threads, max_queries=1)
        found: list[Asked] = []
        for request in requests:
            recorder.asked = []
            palette = read_palette(request.palette, "palette")
            await path.embed(Request(request.text, palette, ""), Deadline.never())
            found.append(recorder.asked)
        return found
    finally:
        threads.close()
        await backend.close()


def bare_models() -> Ask[Asked]:
    """Runs what the models were asked, in ONNX Runtime with the threads that the services give it."""
    sessions = {model: load_session(read_config(REPOSITORY / model), 1) for model in _MODELS}

    def run(asked: Asked) -> None:
        for model, inputs in asked:
            sessions[model].run(None, dict(inputs))

    return in_thread(run)


def embedding(stub: EmbedServiceStub) -> Ask[pb.SearchDesignsRequest]:
    """Asks EmbedQueries what RankService would ask for such a request."""

    async def ask(request: pb.SearchDesignsRequest) -> embed_pb.EmbedQueriesResponse:
        query = embed_pb.QueryInput(text=request.text, palette=request.palette)
        response: embed_pb.EmbedQueriesResponse = await call(
            stub.EmbedQueries, embed_pb.EmbedQueriesRequest(queries=[query]), timeout=60
        )
        return response

    return ask
