"""EmbedQueries beside the bare models on the same tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.callers import Ask, in_thread
from bench.recorder import ModelCalls, Recorder
from bench.report import REPOSITORY
from lunula.embed.v1 import embed_service_pb2 as embed_pb
from lunula.embed.v1 import embed_service_pb2_grpc as embed_grpc
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

_MODELS = (TEXT_ENCODE, QUERY_FUSE)


async def record_model_calls(requests: Sequence[pb.SearchDesignsRequest]) -> list[ModelCalls]:
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
        found: list[ModelCalls] = []
        for request in requests:
            recorder.calls = []
            palette = read_palette(request.palette, "palette")
            await path.embed(Request(request.text, palette, ""), Deadline.never())
            found.append(recorder.calls)
        return found
    finally:
        threads.close()
        await backend.close()


def bare_models() -> Ask[ModelCalls]:
    """Runs what the models were asked, in ONNX Runtime with the threads that the services give it."""
    sessions = {model: load_session(read_config(REPOSITORY / model), 1) for model in _MODELS}

    def run(calls: ModelCalls) -> None:
        for model, inputs in calls:
            sessions[model].run(None, dict(inputs))

    return in_thread(run)


def embed_query(stub: embed_grpc.EmbedServiceAsyncStub) -> Ask[pb.SearchDesignsRequest]:
    """Asks EmbedQueries what RankService would ask for such a request."""

    async def ask(request: pb.SearchDesignsRequest) -> embed_pb.EmbedQueriesResponse:
        query = embed_pb.QueryInput(text=request.text, palette=request.palette)
        response: embed_pb.EmbedQueriesResponse = await call(
            stub.EmbedQueries, embed_pb.EmbedQueriesRequest(queries=[query]), timeout=60
        )
        return response

    return ask
