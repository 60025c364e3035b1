"""In what kind of field Milvus gives back bytes soonest: for the image tokens of a catalogue.

    python -m bench.token_fields [--size 2312] [--rows 2000] [--milvus lite|server]

Rows of random bytes in every kind of field that can hold them, 200 of them read by id at a time, before and
after a flush. A kind that this Milvus does not take is listed with its reason.
"""

from __future__ import annotations

import base64
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pymilvus import DataType, MilvusClient, MilvusException

from bench.report import Laps, print_table, read_options, wide_console
from tools.milvus_server import running

READ = 200
_TIMES = 15
_WRITE = 64
Kind = tuple[dict[str, Any], Callable[[bytes], Any]]


def kinds(size: int) -> dict[str, Kind]:
    """How a field is declared, and how bytes become its value."""
    return {
        "BINARY_VECTOR": ({"datatype": DataType.BINARY_VECTOR, "dim": 8 * size}, bytes),
        "VARCHAR, base64": (
            {"datatype": DataType.VARCHAR, "max_length": 65_535},
            lambda data: base64.b64encode(data).decode(),
        ),
        "JSON, base64": (
            {"datatype": DataType.JSON},
            lambda data: {"tokens": base64.b64encode(data).decode()},
        ),
        "ARRAY of INT8": (
            {"datatype": DataType.ARRAY, "element_type": DataType.INT8, "max_capacity": min(size, 4096)},
            lambda data: np.frombuffer(data[:4096], np.int8).tolist(),
        ),
    }


@contextmanager
def open_client(kind: str, folder: Path) -> Iterator[Any]:
    """A client of Milvus Lite or of a server, with its data in the folder."""
    if kind == "server":
        with running(folder) as (uri, _):
            yield MilvusClient(uri=uri)
        return
    from milvus_lite.server_manager import server_manager_instance as servers

    path = str(folder / "lite.db")
    yield MilvusClient(uri=str(servers.start_and_get_uri(path)))
    servers.release_server(path)


def measure(client: Any, name: str, kind: Kind, payload: Sequence[bytes]) -> list[float]:
    """Milliseconds of reading 200 rows, the median, before and after a flush. Raises MilvusException."""
    declared, value = kind
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("design_id", DataType.VARCHAR, max_length=128, is_primary=True)
    schema.add_field("tokens", **declared)
    index = client.prepare_index_params()
    binary = declared["datatype"] is DataType.BINARY_VECTOR
    if binary:
        index.add_index("tokens", index_type="BIN_FLAT", metric_type="HAMMING")
    else:
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        index.add_index("vector", index_type="FLAT", metric_type="COSINE")
    client.create_collection(name, schema=schema, consistency_level="Session")
    client.create_index(name, index)
    client.load_collection(name)
    rows = [
        {"design_id": f"d{n:06}", "tokens": value(data), **({} if binary else {"vector": [1.0, 0.0]})}
        for n, data in enumerate(payload)
    ]
    for start in range(0, len(rows), _WRITE):
        client.upsert(name, rows[start : start + _WRITE])
    medians = []
    for flushed in (False, True):
        if flushed:
            client.flush(name)
        medians.append(float(np.median([_read_ms(client, name, len(rows), turn) for turn in range(_TIMES)])))
    return medians


def _read_ms(client: Any, name: str, count: int, seed: int) -> float:
    chosen = np.random.default_rng(seed).choice(count, READ, replace=False)
    ids = ", ".join(f'"d{n:06}"' for n in chosen)
    laps = Laps()
    with laps.lap(name):
        found = client.query(name, filter=f"design_id in [{ids}]", output_fields=["tokens"], limit=READ)
    if len(found) != READ:
        sys.exit(f"{name} gave {len(found)} of {READ} rows")
    return laps.wall[name][0]


@dataclass(frozen=True)
class Options:
    """What `python -m bench.token_fields` takes."""

    size: int = 2312
    """bytes of a row"""
    rows: int = 2000
    """rows of a collection"""
    milvus: Literal["lite", "server"] = "lite"
    """which Milvus"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = read_options(Options, "python -m bench.token_fields", __doc__, arguments)
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    rng = np.random.default_rng(0)
    payload = [rng.bytes(options.size) for _ in range(options.rows)]
    rows = []
    with tempfile.TemporaryDirectory() as folder, open_client(options.milvus, Path(folder)) as client:
        version = str(client.get_server_version())
        for number, (name, kind) in enumerate(kinds(options.size).items()):
            try:
                fresh, flushed = measure(client, f"fields{number}", kind, payload)
                rows.append((name, f"{fresh:.0f}", f"{flushed:.0f}", ""))
            except MilvusException as error:
                rows.append((name, "", "", error.message[:70]))
    title = f"{READ} rows of {options.size:,} bytes, milliseconds, p50"
    heads = ("field", "fresh", "flushed", "why not")
    print_table(heads, rows, console=wide_console(120), title=title, caption=version)
    return 0


if __name__ == "__main__":
    sys.exit(main())
