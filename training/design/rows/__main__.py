"""Paper N from drawn photos to served models, in steps that each leave a file behind and are passed over once
it is there.

    lunula train design all      --data DIR --out RUN             every step below, in this order
    lunula train design encoders --data DIR --out RUN             RUN/encoders.pt: the backbone and its heads
    lunula train design features --data DIR --out RUN             RUN/{train,val,test}.npz
    lunula train design mine     --data DIR --out RUN             RUN/mined.npz: unlabelled positives
    lunula train design rows     --data DIR --out RUN --rows ours,cvfim --seeds 1-5   RUN/rows/ROW/seed-N/
    lunula train design photos   --photos DIR --out RUN           rows on real photos, which are only measured
    lunula train design export   --data DIR --out RUN             triton_models/: ours and its encoders

DIR holds drawn designs with nailstar.jsonl (docs/benchmark.md). One seed fixes a step. Checkpoints carry the
configuration, the digest of the data and the figures. `lunula eval design` prints the table.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from training.design.data.corpus import build_corpus
from training.design.data.features import embed_designs
from training.design.data.photos import read_photo
from training.design.data.records import digest, read_designs
from training.design.encoders import EncoderConfig, liveliness, train_encoders
from training.design.export import export_encoders, export_fusions
from training.design.rows.bench import SPLITS, Bench, designs_of, overridden, run_mine, run_rows
from training.design.rows.models import ROWS, RowNetwork
from training.design.rows.photos import measure_photos
from training.kit.data.augment import PLAIN, ViewConfig, plain_view
from training.kit.data.sentences import Sentences
from training.kit.export.model import ORIGIN, SCRATCH, Provenance
from training.kit.networks.encoders import load_encoders, pretrained_encoders

logger = logging.getLogger(__name__)
SERVED = "ours"  # the row that `export` writes


def run_encoders(args: argparse.Namespace) -> None:
    """Fine-tunes the backbone, in one process or in several."""
    config = overridden(EncoderConfig(seed=args.seed), args.set if args.step == "encoders" else [])
    if config.processes == 1:
        _encoders(0, args, config, None)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(
            _encoders, (args, config, Path(folder) / "meeting"), nprocs=config.processes
        )


def _encoders(rank: int, args: argparse.Namespace, config: EncoderConfig, meeting: Path | None) -> None:
    """One process of the training; rank 0 leaves the checkpoint."""
    if meeting is not None:
        prepare(args)
        torch.distributed.init_process_group(
            "gloo", init_method=meeting.as_uri(), rank=rank, world_size=config.processes
        )
    sentences = Sentences(args.out / "sentences.npz")
    corpus = build_corpus(read_designs(args.data, args.limit, "train"), sentences)
    if rank == 0:
        sentences.save()
    logger.info("%d designs, %d texts", len(corpus.designs), len(corpus.texts))
    started = time.monotonic()
    torch.manual_seed(config.seed)
    model = train_encoders(pretrained_encoders(len(corpus.facts)), corpus, config, ViewConfig(), rank)
    if rank > 0:
        return
    seen = [plain_view(read_photo(design), None, config.large) for design in corpus.designs[:32]]
    lively = liveliness(model, torch.from_numpy(np.stack(seen)))
    logger.info("liveliness by stride: %s", lively)
    stored = {
        "state": model.to(memory_format=torch.contiguous_format).state_dict(),
        "facts": [list(fact) for fact in corpus.facts],
        "config": dataclasses.asdict(config),
        "data": {"digest": digest(args.data), "designs": len(corpus.designs)},
        "metrics": {"seconds": time.monotonic() - started}
        | {f"liveliness at stride {stride}": value for stride, value in lively.items()},
        "command": args.command_line,
    }
    torch.save(stored, args.out / "encoders.pt")


def run_features(args: argparse.Namespace) -> None:
    """Embeds all photos; only the training photos in distorted views too."""
    model, _ = load_encoders(args.out / "encoders.pt")
    for split in SPLITS:
        path = args.out / f"{split}.npz"
        designs = designs_of(args, split)
        distorted, config = (args.views, ViewConfig()) if split == "train" else (0, PLAIN)
        if not path.exists() and designs:
            embed_designs(
                model, designs, distorted=distorted, seed=args.seed, config=config, workers=args.workers
            ).save(path)


def run_photos(args: argparse.Namespace) -> None:
    """Each trained row on real photos: RUN/photos.json."""
    if args.photos is None or args.crops is None:
        raise SystemExit("photos: say --photos DIR and --crops DIR (of `lunula crop DIR/images/* --out DIR`)")
    found = measure_photos(args.out, args.photos, args.crops)
    (args.out / "photos.json").write_text(json.dumps(found, indent=1) + "\n")
    for name, values in found.items():
        print(f"{name}: " + " ".join(f"{k} {np.mean(v):.1f}±{np.std(v):.1f}" for k, v in values.items()))


def run_export(args: argparse.Namespace) -> None:
    """The encoders and the row SERVED of the first of --seeds, to be served."""
    encoders, about_encoders = load_encoders(args.out / "encoders.pt")
    folder = args.out / "rows" / SERVED / f"seed-{args.seeds[0]}"
    about = json.loads((folder / "run.json").read_text())
    network = RowNetwork(ROWS[SERVED])
    network.load_state_dict(torch.load(folder / "network.pt", weights_only=True)["state"])
    metrics = {f"{about['row']} {name}": float(value) for name, value in about["metrics"].items()}

    def provenance(trained: dict[str, Any], seed: int, licence: str) -> Provenance:
        data = trained["data"]
        return Provenance(
            command=trained["command"],
            data=f"synthetic designs, {data['designs']} photos, index sha256 {data['digest']}",
            seed=seed,
            licence_of_origin=licence,
            metrics=metrics,
        )

    seed = about_encoders["config"]["seed"]
    reports = export_encoders(encoders, args.models, provenance(about_encoders, seed, ORIGIN))
    reports |= export_fusions(network.eval(), args.models, provenance(about, about["seed"], SCRATCH))
    for name, report in reports.items():
        logger.info(
            "%s: %d bytes, graph %s, fp16 weights %s %s",
            name,
            report.size,
            report.graph_error,
            report.half_error,
            report.half_cosine,
        )


def run_all(args: argparse.Namespace) -> None:
    """All steps but `photos`; what is there already is passed over."""
    if not (args.out / "encoders.pt").exists():
        run_encoders(args)
    run_features(args)
    bench = Bench(args)
    if not (args.out / "mined.npz").exists():
        run_mine(bench)
    run_rows(bench)
    run_export(args)


STEPS: dict[str, Callable[[argparse.Namespace], None]] = {
    "all": run_all,
    "encoders": run_encoders,
    "features": run_features,
    "mine": lambda args: run_mine(Bench(args)),
    "rows": lambda args: run_rows(Bench(args)),
    "photos": run_photos,
    "export": run_export,
}


def prepare(args: argparse.Namespace) -> None:
    """Threads and logs of a process."""
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


def numbers(text: str) -> list[int]:
    """ "1-3,7" as [1, 2, 3, 7]."""
    found: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found


def row_names(text: str) -> list[str]:
    """ "ours,cvfim" as a list; "all" is every row."""
    names = list(ROWS) if text == "all" else text.split(",")
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    return names


def shown_arguments(args: argparse.Namespace) -> str:
    """The arguments that decide the result, with folders by name: where they lie is nobody's business."""
    words = []
    for name in ("data", "limit", "views", "seed", "set"):
        value = getattr(args, name)
        if value not in (None, []):
            values = value if isinstance(value, list) else [value]
            words += [f"--{name}", *(v.name if isinstance(v, Path) else str(v) for v in values)]
    return " ".join(words)


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="lunula train design", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--data", type=Path, help="drawn designs with nailstar.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--models", type=Path, default=Path("triton_models"), help="where `export` writes")
    parser.add_argument("--photos", type=Path, help="real photos with requests.jsonl, only measured")
    parser.add_argument(
        "--crops", type=Path, help="folder of NAME.crop.png that `lunula crop` wrote of --photos"
    )
    parser.add_argument(
        "--rows", type=row_names, default=["ours"], help="comma-separated, or all (default ours)"
    )
    parser.add_argument("--seeds", type=numbers, default=[1, 2, 3, 4, 5], help="of rows: 1-5 or 1,4")
    parser.add_argument("--limit", type=int, help="first designs of each split only")
    parser.add_argument("--views", type=int, default=1, help="distorted views a training design")
    parser.add_argument("--seed", type=int, default=7, help="of every step but rows")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes that embed photos")
    parser.add_argument(
        "--set",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help="change a field of the step's configuration",
    )
    args = parser.parse_args(argv)
    args.command_line = f"lunula train design {args.step} {shown_arguments(args)}"
    prepare(args)
    args.out.mkdir(parents=True, exist_ok=True)
    STEPS[args.step](args)


if __name__ == "__main__":
    main()
