"""Paper N from synthetic photos to served models, in steps that each leave a file behind and are passed over
once it is there.

    lunula train design all      --data DIR --out RUN             every step below, in this order
    lunula train design encoders --data DIR --out RUN             RUN/encoders.pt: the backbone and its heads
    lunula train design features --data DIR --out RUN             RUN/{train,val,test}.npz
    lunula train design mine     --data DIR --out RUN             RUN/mined.npz: unlabelled positives
    lunula train design rows     --data DIR --out RUN --rows ours,cvfim --seeds 1-5   RUN/rows/ROW/seed-N/
    lunula train design photos   --photos DIR --out RUN           rows on real photos, which are only measured
    lunula train design export   --data DIR --out RUN             triton_models/: ours and its encoders

DIR holds synthetic designs with nailstar.jsonl (docs/benchmark.md). One seed fixes a step. Checkpoints carry
the configuration, the digest of the data and the figures. `lunula eval design` prints the table.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
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
from training.design.rows.bench import SPLITS, Bench, run_mine, run_rows
from training.design.rows.job import DesignJob
from training.design.rows.models import ROWS, RowNetwork
from training.design.rows.photos import measure_photos
from training.kit.compute import set_memory_format
from training.kit.data.augment import PLAIN, ViewConfig, plain_view
from training.kit.data.sentences import Sentences
from training.kit.export.card import ORIGIN, SCRATCH, Provenance
from training.kit.flags import parse
from training.kit.networks.encoders import load_encoders, pretrained_encoders
from training.kit.training_command import choose_device

logger = logging.getLogger(__name__)
SERVED = "ours"  # the row that `export` writes


def run_encoders(job: DesignJob) -> None:
    """Fine-tunes the backbone, in one process or in several."""
    config = job.encoder_config
    if config.processes == 1:
        _encoders(0, job, config, None)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(
            _encoders, (job, config, Path(folder) / "meeting"), nprocs=config.processes
        )


def _encoders(rank: int, job: DesignJob, config: EncoderConfig, meeting: Path | None) -> None:
    """One process of the training; rank 0 leaves the checkpoint."""
    if meeting is not None:
        prepare(job)
        torch.distributed.init_process_group(
            "gloo", init_method=meeting.as_uri(), rank=rank, world_size=config.processes
        )
    sentences = Sentences(job.out / "sentences.npz")
    corpus = build_corpus(read_designs(job.folder, job.limit, "train"), sentences)
    if rank == 0:
        sentences.save()
    logger.info("%d designs, %d texts", len(corpus.designs), len(corpus.texts))
    started = time.monotonic()
    torch.manual_seed(config.seed)
    model = pretrained_encoders(len(corpus.facts))
    model = train_encoders(model, corpus, config, ViewConfig(), rank, job.compute)
    if rank > 0:
        return
    seen = [plain_view(read_photo(design), None, config.large) for design in corpus.designs[:32]]
    lively = liveliness(model, torch.from_numpy(np.stack(seen)))
    logger.info("liveliness by stride: %s", lively)
    stored = {
        "state": set_memory_format(model, torch.contiguous_format).state_dict(),
        "facts": [list(fact) for fact in corpus.facts],
        "config": dataclasses.asdict(config),
        "data": {"digest": digest(job.folder), "designs": len(corpus.designs)},
        "metrics": {"seconds": time.monotonic() - started}
        | {f"liveliness at stride {stride}": value for stride, value in lively.items()},
        "command": job.command,
    }
    torch.save(stored, job.out / "encoders.pt")


def run_features(job: DesignJob) -> None:
    """Embeds all photos; only the training photos in distorted views too."""
    model, _ = load_encoders(job.out / "encoders.pt")
    for split in SPLITS:
        path = job.out / f"{split}.npz"
        designs = job.designs(split)
        distorted, config = (job.views, ViewConfig()) if split == "train" else (0, PLAIN)
        if not path.exists() and designs:
            embed_designs(
                model, designs, distorted=distorted, seed=job.seed, config=config, workers=job.workers
            ).save(path)


def run_photos(job: DesignJob) -> None:
    """Each trained row on real photos: RUN/photos.json."""
    if job.photos is None or job.crops is None:
        raise SystemExit(
            "photos: give --photos DIR and --crops DIR (of `lunula crop DIR/images/* --out DIR`)"
        )
    found = measure_photos(job.out, job.photos, job.crops)
    (job.out / "photos.json").write_text(json.dumps(found, indent=1) + "\n")
    for name, values in found.items():
        print(f"{name}: " + " ".join(f"{k} {np.mean(v):.1f}±{np.std(v):.1f}" for k, v in values.items()))


def run_export(job: DesignJob) -> None:
    """The encoders and the row SERVED of the first of --seeds, to be served."""
    encoders, about_encoders = load_encoders(job.out / "encoders.pt")
    folder = job.out / "rows" / SERVED / f"seed-{job.seeds[0]}"
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
    reports = export_encoders(encoders, job.models, provenance(about_encoders, seed, ORIGIN))
    reports |= export_fusions(network.eval(), job.models, provenance(about, about["seed"], SCRATCH))
    for name, report in reports.items():
        logger.info(
            "%s: %d bytes, graph %s, fp16 weights %s %s",
            name,
            report.size,
            report.graph_error,
            report.half_error,
            report.half_cosine,
        )


def run_all(job: DesignJob) -> None:
    """All steps but `photos`; what is there already is passed over."""
    if not (job.out / "encoders.pt").exists():
        run_encoders(job)
    run_features(job)
    bench = Bench(job)
    if not (job.out / "mined.npz").exists():
        run_mine(bench)
    run_rows(bench)
    run_export(job)


STEPS: dict[str, Callable[[DesignJob], None]] = {
    "all": run_all,
    "encoders": run_encoders,
    "features": run_features,
    "mine": lambda job: run_mine(Bench(job)),
    "rows": lambda job: run_rows(Bench(job)),
    "photos": run_photos,
    "export": run_export,
}


def prepare(job: DesignJob) -> None:
    """Threads and logs of a process."""
    torch.set_num_threads(job.threads)
    cv2.setNumThreads(1)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    job: DesignJob = parse(DesignJob, argv, program="lunula train design", about=__doc__)
    choose_device(job.device)  # one that is not there is refused before anything begins
    prepare(job)
    job.out.mkdir(parents=True, exist_ok=True)
    STEPS[job.step](job)


if __name__ == "__main__":
    main()
