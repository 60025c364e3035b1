"""Fields and indexes of a catalogue version's collections."""

from __future__ import annotations

from typing import Any

from pymilvus import DataType, Function, FunctionType, MilvusClient

from services.rank.catalogue.companion import Companion
from services.rank.catalogue.milvus import Capabilities
from services.rank.catalogue.rows import MAX_VARCHAR_BYTES

_VARCHARS = {
    # Bytes; four to a character.
    "artist_id": 1024,
    "context": MAX_VARCHAR_BYTES,
    "title": MAX_VARCHAR_BYTES,
    "description": MAX_VARCHAR_BYTES,
    "photo": 256,
    "digest": 64,
    "facts": 8192,
    "fingerprint": 256,
}


def _keyed_schema(dimensions: int) -> Any:
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("design_id", DataType.VARCHAR, max_length=128, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimensions)
    return schema


def _searched_schema(dimensions: int) -> Any:
    schema = _keyed_schema(dimensions)
    for name in ("artist_id", "context"):
        schema.add_field(name, DataType.VARCHAR, max_length=_VARCHARS[name])
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=64, max_length=256)
    schema.add_field(
        "attributes", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=16, max_length=128
    )
    return schema


def design_schema(dimensions: int, can: Capabilities) -> Any:
    """Of the first collection: the fused vector and everything that is known of a design."""
    schema = _searched_schema(dimensions)
    for name in ("title", "description", "photo", "digest", "facts", "fingerprint"):
        schema.add_field(name, DataType.VARCHAR, max_length=_VARCHARS[name])
    schema.add_field("index_time_ms", DataType.INT64)
    if can.bm25:
        schema.add_field(
            "words",
            DataType.VARCHAR,
            max_length=MAX_VARCHAR_BYTES,
            enable_analyzer=True,
            analyzer_params=can.bm25_analyzer,
        )
        schema.add_field("words_sparse", DataType.SPARSE_FLOAT_VECTOR)
        schema.add_function(
            Function(
                name="words_bm25",
                function_type=FunctionType.BM25,
                input_field_names=["words"],
                output_field_names=["words_sparse"],
            )
        )
    return schema


def companion_schema(companion: Companion[Any], dimensions: int) -> Any:
    """Of a companion: scalars for filters where it is searched, else the digest of the design."""
    if companion.searched:
        schema = _searched_schema(dimensions)
    else:
        schema = _keyed_schema(dimensions)
        schema.add_field("digest", DataType.VARCHAR, max_length=_VARCHARS["digest"])
    for name, length in companion.texts().items():
        schema.add_field(name, DataType.VARCHAR, max_length=length)
    return schema


def design_indexes(client: Any, can: Capabilities) -> Any:
    """The indexes of the first collection."""
    indexes = client.prepare_index_params()
    _add_dense(indexes, can)
    if can.bm25:
        indexes.add_index("words_sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    return indexes


def companion_indexes(client: Any, companion: Companion[Any], can: Capabilities) -> Any:
    """The indexes of a companion; one that is only read by id has the cheapest."""
    indexes = client.prepare_index_params()
    if companion.searched:
        _add_dense(indexes, can)
    else:
        indexes.add_index("vector", index_type="FLAT", metric_type="COSINE")
    return indexes


def _add_dense(indexes: Any, can: Capabilities) -> None:
    parameters = {"params": can.index_params} if can.index_params else {}
    indexes.add_index("vector", index_type=can.index_type, metric_type="COSINE", **parameters)
