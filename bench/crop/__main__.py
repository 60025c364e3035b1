"""What cropping a 12-megapixel photo costs, beside the bare ONNX Runtime sum of its models in the same run.

    python -m bench.crop [--rounds 15] [--photo FILE] [--json FILE]

Four things take turns, round by round, so that whatever else the machine does falls on all of them: the bare
sessions on the photo's own tensors (as often as the path asks each model), nail_seg alone, the whole path in
this process (JPEG bytes in, crop and palette out), and the same through the real gRPC service. Processor time
is that of all threads and depends least on what else the machine does; overheads are medians over rounds of
the ratio within a round. Once with one core, once with two. Then the decoders that could read the photo, and
which of them notice damage.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
import simplejpeg
from rich.console import Console

from bench.crop.decoders import HEIGHT, WIDTH, Decoder, compare_decoders
from bench.recorder import ModelCalls, Recorder
from bench.report import REPOSITORY, Laps, print_table, read_options, refuse, write_figures
from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.crop.v1 import crop_service_pb2_grpc as pb_grpc
from lunula.type.v1 import photo_pb2
from nails.photo.codec import decode_photo, read_header
from services.crop.build import serve_on
from services.crop.models import MODELS, HandFinder, NailFinder
from services.crop.pipeline import CropPipeline
from services.crop.results import CropOptions
from services.crop.settings import CropSettings
from services.intake.photos import PhotoIntake, PhotoSource
from services.kit.client import call, connect
from services.kit.deadline import Deadline
from services.kit.inference.config import read_config
from services.kit.inference.local import LocalBackend, load_session
from services.kit.server import running_server

LIMIT = 0.25


@dataclass(frozen=True)
class Row:
    """Milliseconds a photo. overhead: of its processor time over the bare sum's, None for the sum itself."""

    what: str
    cores: int
    wall_ms: float
    cpu_ms: float
    overhead_cpu: float | None
    overhead_wall: float | None


@dataclass(frozen=True)
class Stage:
    """Processor time of one part of the path, on one thread."""

    what: str
    cpu_ms: float


@dataclass(frozen=True)
class Flow:
    """Two photos in flight: photos a second, processor time of each. bare: the sessions in two threads."""

    cores: int
    photos_per_s: float
    cpu_ms: float
    bare_per_s: float


@dataclass
class Report:
    """Everything that one run with so many cores gave."""

    photo: str
    rows: list[Row] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)


def make_12mp_photo() -> bytes:
    """A synthetic hand of 4000 x 3000 pixels with a sensor's grain, as JPEG."""
    from training.synth import generate

    for seed in range(1, 500):  # small first: which seed shows one hand with its nails in a wide photo
        record = generate(seed, "designs", 160).record
        if record["size"] == [160, 120] and len(record["nails"]) >= 4 and len(record["hands"]) == 1:
            break
    hand = generate(seed, "designs", 1600).image
    rng = np.random.default_rng(seed)
    large = cv2.resize(hand, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    grain = rng.standard_normal((HEIGHT // 4, WIDTH // 4, 3), np.float32) * 3.0
    grain = np.tile(grain, (4, 4, 1)).astype(np.int16)
    noisy = cv2.add(large, np.ascontiguousarray(grain), dtype=cv2.CV_8U)
    encoded: bytes = simplejpeg.encode_jpeg(noisy, quality=88, colorspace="RGB", colorsubsampling="420")
    return encoded


async def make_pipeline(backend: Any, settings: CropSettings, intake: PhotoIntake) -> CropPipeline:
    """The path that CropService takes, without the service."""
    return CropPipeline(
        intake=intake,
        nails=await NailFinder.from_backend(backend, intake.threads),
        hands=await HandFinder.from_backend(backend, intake.threads, max_hands=settings.max_hands),
        work_side=settings.work_side,
        enough_side=settings.enough_side,
        jpeg_quality=settings.jpeg_quality,
    )


async def measure(data: bytes, cores: int, rounds: int) -> Report:
    """Everything, in this process, which is bound to its cores already."""
    settings = CropSettings(port=0, canary_interval_s=3600)  # canaries would count as ours
    backend = LocalBackend(REPOSITORY, MODELS)
    for model in MODELS:
        if not await backend.ready(model):
            sys.exit(f"model {model} is not ready")
    intake = PhotoIntake.from_settings(settings)
    source, options = PhotoSource(data, "", "photo"), CropOptions()
    recorder = Recorder(backend)
    found = await (await make_pipeline(recorder, settings, intake)).crop(source, options, Deadline.never())
    path = await make_pipeline(backend, settings, intake)
    sessions = {model: load_session(read_config(REPOSITORY / model), 1) for model in MODELS}
    calls = recorder.calls
    runs = ", ".join(f"{model} x{sum(name == model for name, _ in calls)}" for model in MODELS)
    header = read_header(data)
    report = Report(
        f"{header.width} x {header.height} JPEG of {len(data) / 1e6:.1f} MB: {len(found.nails)} nails, "
        f"{len(found.hands)} hands; models: {runs}"
    )
    first = next(inputs for model, inputs in calls if model == "nail_seg")

    async def bare() -> None:
        for model, inputs in calls:
            sessions[model].run(None, dict(inputs))

    async def nail_seg() -> None:
        sessions["nail_seg"].run(None, dict(first))

    async def whole() -> None:
        await path.crop(source, options, Deadline.never())

    async with running_server(settings, lambda s, _: serve_on(backend, s)) as server:
        await server.until_serving()
        async with connect(server.address) as channel:
            stub = pb_grpc.CropServiceStub(channel)

            async def served() -> None:
                request = pb.CropImagesRequest(photos=[photo_pb2.Photo(data=data)])
                response: pb.CropImagesResponse = await call(stub.CropImages, request, timeout=300)
                if not response.items[0].HasField("result"):
                    sys.exit(f"the service answered {response.items[0].error}")

            contenders: dict[str, Callable[[], Awaitable[None]]] = {
                "bare sum of the models": bare,
                "nail_seg alone": nail_seg,
                "whole path": whole,
                "whole path through gRPC, client included": served,
            }
            report.rows += await take_turns(contenders, cores, rounds)
    report.stages += await measure_stages(data, path, rounds)
    report.flows.append(await two_in_flight(whole, calls, sessions, cores, rounds))
    intake.close()
    await backend.close()
    return report


async def take_turns(
    contenders: Mapping[str, Callable[[], Awaitable[None]]], cores: int, rounds: int
) -> list[Row]:
    """One row a contender; the first is the reference."""
    laps = Laps()
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            if turn == 0:
                await run()  # warms up
                continue
            with laps.lap(name):
                await run()
    reference = next(iter(contenders))
    rows = []
    for name in contenders:
        compared = name != reference and "alone" not in name
        overheads = laps.overhead(name, reference) if compared else (None, None)
        wall, cpu = float(np.median(laps.wall[name])), float(np.median(laps.cpu[name]))
        rows.append(Row(name, cores, wall, cpu, *overheads))
    return rows


async def measure_stages(data: bytes, path: CropPipeline, rounds: int) -> list[Stage]:
    """Processor time of the path's own parts, called one by one as the path calls them."""
    from nails.colour.palette import extract_nail_palette
    from nails.perception.crop_rules import choose_crop, cut_square, expand_square
    from nails.perception.quality import find_quality_flags
    from nails.photo.codec import encode_png
    from nails.photo.preprocess import hand_detect_input, hand_pose_input, nail_seg_input

    never = Deadline.never()
    photo = await path.intake.load(
        PhotoSource(data, "", "photo"), max_side=path.work_side, enough_side=path.enough_side, deadline=never
    )
    image, size = photo.image, (photo.image.shape[1], photo.image.shape[0])
    nails = await path.nails.find(image, min_score=0.5, deadline=never)
    hands = await path.hands.find(image, deadline=never)
    decided = choose_crop(
        np.array([nail.box for nail in nails]).reshape(-1, 4),
        np.array([nail.centroid for nail in nails]).reshape(-1, 2),
        np.array([nail.area for nail in nails]),
        [hand.scored_joints for hand in hands],
        size,
    )
    square = expand_square(decided.box, size)
    crop = cut_square(image, square)
    corners = [(*nail.offset, *nail.mask.shape) for nail in nails]
    windows = [
        (image[y : y + h, x : x + w], nail.mask) for nail, (x, y, h, w) in zip(nails, corners, strict=True)
    ]
    parts: dict[str, Callable[[], Any]] = {
        "header": lambda: read_header(data),
        f"decode to {size[0]} x {size[1]}": lambda: decode_photo(
            data, max_side=path.work_side, enough_side=path.enough_side
        ),
        "input of nail_seg": lambda: nail_seg_input(image, 512),
        "input of hand_detect": lambda: hand_detect_input(image, 320),
        "inputs of hand_pose": lambda: [hand_pose_input(image, hand.box) for hand in hands],
        "quality flags": lambda: find_quality_flags(image, nails),
        "palette": lambda: extract_nail_palette(windows),
        "cut": lambda: cut_square(image, square),
        "crop to PNG": lambda: encode_png(crop),
    }
    laps = Laps(time.thread_time)
    for _ in range(rounds):
        for name, part in parts.items():
            part()
            with laps.lap(name):
                part()
    return [Stage(name, float(np.median(times))) for name, times in laps.cpu.items()]


async def two_in_flight(
    whole: Callable[[], Awaitable[None]],
    calls: ModelCalls,
    sessions: Mapping[str, ort.InferenceSession],
    cores: int,
    rounds: int,
) -> Flow:
    """Two callers, each with a photo at a time; and the bare sessions in two threads."""

    def bare() -> None:
        for model, inputs in calls:
            sessions[model].run(None, dict(inputs))

    photos = max(2, rounds // 2)
    ours, theirs, processor = 0.0, 0.0, 0.0
    for _ in range(photos):
        start, before = time.perf_counter(), time.process_time()
        await asyncio.gather(whole(), whole())
        ours += time.perf_counter() - start
        processor += time.process_time() - before
        start = time.perf_counter()
        await asyncio.gather(asyncio.to_thread(bare), asyncio.to_thread(bare))
        theirs += time.perf_counter() - start
    return Flow(cores, 2 * photos / ours, processor / (2 * photos) * 1e3, 2 * photos / theirs)


def show(reports: Sequence[Report], decoders: Sequence[Decoder]) -> None:
    """Print the tables."""
    console = Console(width=112)
    console.print(reports[0].photo)
    rows = [row for report in reports for row in report.rows]
    print_table(
        ("what", "cores", "wall ms", "CPU ms", "over the sum, CPU", "wall"),
        (
            (
                row.what,
                str(row.cores),
                f"{row.wall_ms:.1f}",
                f"{row.cpu_ms:.1f}",
                *("" if x is None else f"{x:+.0%}" for x in (row.overhead_cpu, row.overhead_wall)),
            )
            for row in rows
        ),
        console=console,
    )
    stages = ((stage.what, f"{stage.cpu_ms:.2f}") for stage in reports[0].stages)
    print_table(("part of the path, one core", "CPU ms"), stages, console=console)
    print_table(
        ("two photos in flight, cores", "photos/s", "CPU ms a photo", "bare models, photos/s"),
        (
            (str(flow.cores), f"{flow.photos_per_s:.1f}", f"{flow.cpu_ms:.1f}", f"{flow.bare_per_s:.1f}")
            for report in reports
            for flow in report.flows
        ),
        console=console,
    )
    print_table(
        ("decoder", "CPU ms", "refuses truncated", "refuses flipped bits"),
        ((item.what, f"{item.cpu_ms:.1f}", item.truncated, item.flipped) for item in decoders),
        console=console,
    )


@dataclass(frozen=True)
class Options:
    """What `python -m bench crop` takes."""

    rounds: int = 15
    """how often each is measured"""
    photo: Path | None = None
    """a JPEG to measure with; a synthetic one where none is given"""
    json: Path | None = None
    """file for the figures"""
    cores: int = 0
    """for the processes that this one starts: measure on so many cores and print the report as JSON"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its tables."""
    options = read_options(Options, "python -m bench crop", __doc__, arguments)
    if options.rounds < 1:
        refuse("--rounds must be at least 1")
    cv2.setNumThreads(1)
    data = options.photo.read_bytes() if options.photo else make_12mp_photo()
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
        print(json.dumps(asdict(asyncio.run(measure(data, options.cores, options.rounds)))))
        return 0
    available = len(os.sched_getaffinity(0))
    reports = [_in_a_process(data, cores, options.rounds) for cores in (1, 2) if cores <= available]
    decoders = compare_decoders(data, options.rounds)
    show(reports, decoders)
    figures = {"runs": [asdict(one) for one in reports], "decoders": [asdict(one) for one in decoders]}
    write_figures(options.json, figures)
    return 0


def _in_a_process(data: bytes, cores: int, rounds: int) -> Report:
    """Measured in a process of its own, whose threads are born on their cores."""
    command = [sys.executable, "-m", "bench.crop", f"--cores={cores}", f"--rounds={rounds}"]
    command.append("--photo=/dev/stdin")
    done = subprocess.run(
        command, input=data, stdout=subprocess.PIPE, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    facts = json.loads(done.stdout)
    return Report(
        facts["photo"],
        [Row(**row) for row in facts["rows"]],
        [Stage(**stage) for stage in facts["stages"]],
        [Flow(**flow) for flow in facts["flows"]],
    )


if __name__ == "__main__":
    sys.exit(main())
