"""The collections of a catalogue version: their names, fields and indexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymilvus import DataType, Function, FunctionType, MilvusClient

from services.rank.catalogue.milvus import Capabilities
from services.rank.catalogue.rows import MAX_VARCHAR_BYTES, NO_VECTOR

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


@dataclass(frozen=True)
class Collections:
    """The collections of a version. design, align: their names; dimensions of their vectors.

    tokens: name of the third, "" where the version keeps no image tokens.
    """

    design: str
    align: str
    design_dimensions: int
    align_dimensions: int
    tokens: str = ""

    @property
    def all(self) -> tuple[str, ...]:
        """Names in the order of writing: the one that makes a design exist is the last."""
        return (*([self.tokens] if self.tokens else []), self.align, self.design)


def _base_schema(dimensions: int) -> Any:
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("design_id", DataType.VARCHAR, max_length=128, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimensions)
    for name in ("artist_id", "context"):
        schema.add_field(name, DataType.VARCHAR, max_length=_VARCHARS[name])
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=64, max_length=256)
    schema.add_field(
        "attributes", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=16, max_length=128
    )
    return schema


def align_schema(names: Collections) -> Any:
    """Of the second collection: the crop's vector, and the scalars that filters need."""
    return _base_schema(names.align_dimensions)


def design_schema(names: Collections, can: Capabilities) -> Any:
    """Of the first collection: the fused vector and everything that is known of a design."""
    schema = _base_schema(names.design_dimensions)
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


def token_schema() -> Any:
    """Of the third collection: image tokens as a text, and the digest of the design that they are of."""
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("design_id", DataType.VARCHAR, max_length=128, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=len(NO_VECTOR))
    schema.add_field("digest", DataType.VARCHAR, max_length=_VARCHARS["digest"])
    schema.add_field("tokens", DataType.VARCHAR, max_length=MAX_VARCHAR_BYTES)
    return schema


def tells_photos(described: Mapping[str, Any]) -> bool:
    """Whether the third collection, as Milvus describes it, has the digests that tokens are known by."""
    return any(field["name"] == "digest" for field in described["fields"])


def indexes(client: Any, names: Collections, collection: str, can: Capabilities) -> Any:
    """The indexes of one of a version's collections."""
    indexes = client.prepare_index_params()
    if collection == names.tokens:
        indexes.add_index("vector", index_type="FLAT", metric_type="COSINE")
        return indexes
    indexes.add_index("vector", index_type=can.index_type, metric_type="COSINE", **_parameters(can))
    if collection == names.design and can.bm25:
        indexes.add_index("words_sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    return indexes


def _parameters(can: Capabilities) -> dict[str, Any]:
    return {"params": can.index_params} if can.index_params else {}
