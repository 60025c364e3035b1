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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from training.design import beit3_row
from training.design.corpus import Corpus, build_corpus
from training.design.encoders import (
    EncoderConfig,
    liveliness,
    load_encoders,
    pretrained_encoders,
    train_encoders,
)
from training.design.export import ORIGIN, SCRATCH, export_encoders, export_fusions
from training.design.features import Features, embed_designs
from training.design.mining import TOP, Mined, mine
from training.design.ranking import best_ranks, figures
from training.design.real import embed_real, read_real
from training.design.records import Design, digest, read_designs
from training.design.requests import Questions, RequestTable, read_questions, tabulate
from training.design.row_models import ROWS, Row, RowNetwork
from training.design.row_training import (
    RowConfig,
    Split,
    embed_questions,
    embed_split,
    mrr,
    target_matrix,
    train_row,
)
from training.design.sentences import Sentences
from training.design.views import PLAIN, ViewConfig, plain_view, read_photo
from training.design.written import written_texts
from training.export import Provenance

logger = logging.getLogger(__name__)
SPLITS = ("train", "val", "test")
MINER = "cvfim_info_nce"  # the row whose embeddings unlabelled positives are mined with


def overridden(config: Any, changes: Sequence[str]) -> Any:
    """A frozen configuration with fields given as name=value. Raises SystemExit for an unknown field."""
    fields = {field.name: type(getattr(config, field.name)) for field in dataclasses.fields(config)}
    values = dict(change.split("=", 1) for change in changes)
    for name in values:
        if name not in fields:
            raise SystemExit(f"--set {name}: no such field; there are {', '.join(fields)}")
    return dataclasses.replace(config, **{name: fields[name](value) for name, value in values.items()})


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
    corpus = build_corpus(read_designs(args.data, args.limit, "train"), Sentences(args.out / "sentences.npz"))
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


def designs_of(args: argparse.Namespace, split: str) -> list[Design]:
    """Designs of a split that a request can be about."""
    return [design for design in read_designs(args.data, args.limit, split) if design.requests]


class Bench:
    """Everything that the rows of a run share."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.sentences = Sentences(args.out / "sentences.npz")
        self.corpus: Corpus = build_corpus(designs_of(args, "train"), self.sentences)
        self.table: RequestTable = tabulate([r.text for r in self.corpus.requests], self.sentences)
        self.facts = load_encoders(args.out / "encoders.pt")[1]["facts"]
        self.splits = {split: self._split(split) for split in SPLITS}
        names = [design.name for design in self.corpus.designs]
        if names != self.splits["train"].features.names.tolist():
            raise SystemExit(f"{args.out}/train.npz was made of other designs: remove it and run `features`")
        self.questions: dict[str, Questions] = {
            split: read_questions(args.data / "nailstar.jsonl", split) for split in ("val", "test")
        }
        self.asked = {s: tabulate(q.texts, self.sentences) for s, q in self.questions.items()}

    def _split(self, split: str) -> Split:
        features = Features.load(self.args.out / f"{split}.npz")
        return Split(features, written_texts(features, self.facts, self.sentences))

    def targets(self, split: str) -> Any:
        """bool [Q,N] of a split."""
        return target_matrix(self.questions[split], self.splits[split].features.names)

    def train(self, row: Row, config: RowConfig, mined: Mined | None) -> tuple[RowNetwork, dict[str, float]]:
        """A row, chosen by its MRR on the validation requests."""
        targets = self.targets("val")

        def validate(network: RowNetwork) -> float:
            return mrr(*self.embed(row, network, "val"), targets)

        return train_row(row, self.corpus, self.splits["train"], self.table, config, mined, validate)

    def embed(self, row: Row, network: RowNetwork, split: str) -> tuple[Any, Any]:
        """Requests [Q,256] and designs [N,256] of a split."""
        queries = embed_questions(row, network, self.asked[split], self.questions[split].palettes)
        return queries, embed_split(row, network, self.splits[split])


def run_mine(args: argparse.Namespace) -> None:
    """Mines with the row MINER, trained for it with the first seed."""
    bench = Bench(args)
    row = ROWS[MINER]
    network, found = bench.train(row, row_config(args, row, args.seed), None)
    queries = embed_questions(row, network, bench.table, None)
    designs = embed_split(row, network, bench.splits["train"])
    mine(queries, designs, bench.corpus.owner, top=TOP).save(args.out / "mined.npz")
    logger.info("mined with %s, val MRR %.2f", row.name, found["val_mrr"])


# What differs from RowConfig's defaults, chosen on the validation requests.
TUNED: dict[str, dict[str, float]] = {}


def row_config(args: argparse.Namespace, row: Row, seed: int) -> RowConfig:
    """The configuration of a row; --set wins."""
    return overridden(
        dataclasses.replace(RowConfig(seed=seed), **TUNED.get(row.loss, {})),
        args.set if args.step == "rows" else [],
    )


def run_rows(args: argparse.Namespace) -> None:
    """Trains rows; each leaves run.json, network.pt and test.npz in a folder of its own."""
    bench = Bench(args)
    mined = Mined.load(args.out / "mined.npz") if (args.out / "mined.npz").exists() else None
    for seed in args.seeds:
        for name in args.rows:
            folder = args.out / "rows" / name / f"seed-{seed}"
            if (folder / "run.json").exists():
                continue
            folder.mkdir(parents=True, exist_ok=True)
            row = ROWS[name]
            if row.loss.startswith("drc") and mined is None:
                raise SystemExit(f"row {name} needs unlabelled positives: run the step `mine` first")
            started = time.monotonic()
            if row.network == "beit3":
                queries, designs, state, config, metrics = beit3_row.run(bench, seed)
            else:
                config = row_config(args, row, seed)
                network, metrics = bench.train(row, config, mined)
                queries, designs = bench.embed(row, network, "test")
                state = network.state_dict()
            metrics["test_mrr"] = mrr(queries, designs, bench.targets("test"))
            torch.save(
                {"row": name, "state": state, "config": dataclasses.asdict(config)}, folder / "network.pt"
            )
            np.savez(
                folder / "test.npz",
                query_ids=bench.questions["test"].ids,
                queries=queries,
                design_ids=bench.splits["test"].features.names,
                designs=designs,
            )
            about = {
                "row": name,
                "title": row.title,
                "seed": seed,
                "config": dataclasses.asdict(config),
                "data": {"digest": digest(args.data), "designs": len(bench.corpus.designs)},
                "metrics": metrics,
                "seconds": time.monotonic() - started,
                "command": args.command_line,
            }
            (folder / "run.json").write_text(json.dumps(about, indent=1) + "\n")
            logger.info("%s seed %d: %s", name, seed, metrics)


def run_photos(args: argparse.Namespace) -> None:
    """Each trained row on real photos with requests: RUN/photos.json. The photos choose nothing.

    --photos has requests.jsonl; --crops the folder of NAME.crop.png that `lunula crop` wrote of them.
    """
    if args.photos is None or args.crops is None:
        raise SystemExit("photos: say --photos DIR and --crops DIR (of `lunula crop DIR/images/* --out DIR`)")
    sentences = Sentences(args.out / "sentences.npz")
    real = read_real(args.photos, args.crops)
    encoders, about = load_encoders(args.out / "encoders.pt")
    features = embed_real(encoders, real)
    split = Split(features, written_texts(features, about["facts"], sentences))
    table = tabulate([request for _, request in real.requests], sentences)
    languages = np.array([language for language, _ in real.requests])
    targets = real.owner[:, None] == np.arange(len(real.photos))[None, :]
    found: dict[str, dict[str, list[float]]] = {}
    for folder in sorted((args.out / "rows").glob("*/seed-*")):
        if not (folder / "run.json").exists():
            continue
        name = folder.parent.name
        row = ROWS[name]
        palettes = (table.colours, table.colour_mask) if row.palette else None
        stored = torch.load(folder / "network.pt", map_location="cpu", weights_only=True)
        if row.network == "beit3":
            queries, designs = beit3_row.embed_real(
                stored, features.tokens, [text for _, text in real.requests]
            )
        else:
            network = RowNetwork(row)
            network.load_state_dict(stored["state"])
            queries = embed_questions(row, network.eval(), table, palettes)
            designs = embed_split(row, network, split)
        ranks = best_ranks(queries @ designs.T, targets)
        for language in sorted(set(languages.tolist())):
            of_row = found.setdefault(f"{name} {language}", {})
            for figure, value in figures(ranks[languages == language]).items():
                of_row.setdefault(figure, []).append(value)
        if (folder / "run.json").exists():
            (folder / "photos.json").write_text(json.dumps({"ranks": ranks.tolist()}) + "\n")
    (args.out / "photos.json").write_text(json.dumps(found, indent=1) + "\n")
    for name, values in found.items():
        print(f"{name}: " + " ".join(f"{k} {np.mean(v):.1f}±{np.std(v):.1f}" for k, v in values.items()))


def run_export(args: argparse.Namespace) -> None:
    """The encoders and the row `ours` of the first seed, to be served."""
    encoders, about_encoders = load_encoders(args.out / "encoders.pt")
    folder = args.out / "rows" / args.rows[0] / f"seed-{args.seeds[0]}"
    about = json.loads((folder / "run.json").read_text())
    network = RowNetwork(ROWS[about["row"]])
    network.load_state_dict(torch.load(folder / "network.pt", weights_only=True)["state"])
    data = f"synthetic designs, {about['data']['designs']} photos, index sha256 {about['data']['digest']}"
    metrics = {f"{about['row']} {name}": float(value) for name, value in about["metrics"].items()}

    def provenance(command: str, seed: int, licence: str) -> Provenance:
        return Provenance(command=command, data=data, seed=seed, licence_of_origin=licence, metrics=metrics)

    seed = about_encoders["config"]["seed"]
    reports = export_encoders(encoders, args.models, provenance(about_encoders["command"], seed, ORIGIN))
    reports |= export_fusions(
        network.eval(), args.models, provenance(about["command"], about["seed"], SCRATCH)
    )
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
    for step, made in (("encoders", "encoders.pt"), ("features", "test.npz"), ("mine", "mined.npz")):
        if not (args.out / made).exists():
            STEPS[step](args)
    run_rows(args)
    run_export(args)


STEPS = {
    "all": run_all,
    "encoders": run_encoders,
    "features": run_features,
    "mine": run_mine,
    "rows": run_rows,
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
