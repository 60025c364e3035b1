"""What the rows of a run share, and the steps that train with it."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from typing import Any

import numpy as np
import torch

from training.design.data.corpus import Corpus, build_corpus
from training.design.data.features import Features
from training.design.data.records import digest
from training.design.data.requests import Questions, RequestTable, read_questions, tabulate
from training.design.data.written import embed_written
from training.design.mining import TOP, mine
from training.design.rows import beit3 as beit3_row
from training.design.rows.job import DesignJob
from training.design.rows.models import ROWS, Row, RowNetwork
from training.design.rows.training import (
    RowConfig,
    Split,
    embed_questions,
    embed_split,
    mrr,
    target_matrix,
    train_row,
)
from training.kit.compute import CPU, Compute
from training.kit.data.mined_pairs import Mined
from training.kit.data.sentences import Sentences
from training.kit.networks.encoders import load_encoders

logger = logging.getLogger(__name__)
SPLITS = ("train", "val", "test")
MINER = "cvfim_info_nce"  # the row whose embeddings unlabelled positives are mined with


class Bench:
    """Everything that the rows of a run share."""

    def __init__(self, job: DesignJob) -> None:
        self.job, self.compute = job, job.compute
        self.sentences = Sentences(job.out / "sentences.npz")
        self.corpus: Corpus = build_corpus(job.designs("train"), self.sentences)
        self.table: RequestTable = tabulate([r.text for r in self.corpus.requests], self.sentences)
        self.facts = load_encoders(job.out / "encoders.pt")[1]["facts"]
        self.splits = {split: self._split(split) for split in SPLITS}
        names = [design.name for design in self.corpus.designs]
        if names != self.splits["train"].features.names.tolist():
            raise SystemExit(f"{job.out}/train.npz was made of other designs: remove it and run `features`")
        self.questions: dict[str, Questions] = {
            split: read_questions(job.folder / "nailstar.jsonl", split) for split in ("val", "test")
        }
        self.query_tables = {s: tabulate(q.texts, self.sentences) for s, q in self.questions.items()}
        self.sentences.save()

    def _split(self, split: str) -> Split:
        features = Features.load(self.job.out / f"{split}.npz")
        return Split(features, embed_written(features, self.facts, self.sentences))

    def targets(self, split: str) -> Any:
        """bool [Q,N] of a split."""
        return target_matrix(self.questions[split], self.splits[split].features.names)

    def train(self, row: Row, config: RowConfig, mined: Mined | None) -> tuple[RowNetwork, dict[str, float]]:
        """A row, chosen by its MRR on the validation requests."""
        targets = self.targets("val")

        def validate(network: RowNetwork) -> float:
            return mrr(*self.embed(row, network, "val", self.compute), targets)

        return train_row(
            row, self.corpus, self.splits["train"], self.table, config, mined, validate, self.compute
        )

    def embed(self, row: Row, network: RowNetwork, split: str, compute: Compute = CPU) -> tuple[Any, Any]:
        """Requests [Q,256] and designs [N,256] of a split, by a network on the device of `compute`."""
        palettes = self.questions[split].palettes
        queries = embed_questions(row, network, self.query_tables[split], palettes, compute=compute)
        return queries, embed_split(row, network, self.splits[split], compute=compute)


def run_mine(bench: Bench) -> None:
    """Mines with the row MINER, trained for it with the first seed."""
    job, row = bench.job, ROWS[MINER]
    network, found = bench.train(row, job.row_config(job.seed), None)
    queries = embed_questions(row, network, bench.table, None)
    designs = embed_split(row, network, bench.splits["train"])
    mine(queries, designs, bench.corpus.owner, top=TOP).save(job.out / "mined.npz")
    logger.info("mined with %s, val MRR %.2f", row.name, found["val_mrr"])


def run_rows(bench: Bench) -> None:
    """Trains rows; each leaves run.json, network.pt and test.npz in a folder of its own."""
    job = bench.job
    mined = Mined.load(job.out / "mined.npz") if (job.out / "mined.npz").exists() else None
    for seed in job.seeds:
        for name in job.rows:
            if not (job.out / "rows" / name / f"seed-{seed}" / "run.json").exists():
                _run_row(bench, ROWS[name], seed, mined)


def _run_row(bench: Bench, row: Row, seed: int, mined: Mined | None) -> None:
    """One row with one seed."""
    job = bench.job
    if row.loss.startswith("drc") and mined is None:
        raise SystemExit(f"row {row.name} needs unlabelled positives: run the step `mine` first")
    started = time.monotonic()
    config: Any
    if row.network == "beit3":
        queries, designs, state, config, metrics = beit3_row.run(bench, seed, bench.compute)
    else:
        config = job.row_config(seed)
        network, metrics = bench.train(row, config, mined)
        queries, designs = bench.embed(row, network, "test")
        state = network.state_dict()
    metrics["test_mrr"] = mrr(queries, designs, bench.targets("test"))
    folder = job.out / "rows" / row.name / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"row": row.name, "state": state, "config": dataclasses.asdict(config)}, folder / "network.pt")
    np.savez(
        folder / "test.npz",
        query_ids=bench.questions["test"].ids,
        queries=queries,
        design_ids=bench.splits["test"].features.names,
        designs=designs,
    )
    about = {
        "row": row.name,
        "title": row.title,
        "seed": seed,
        "config": dataclasses.asdict(config),
        "data": {"digest": digest(job.folder), "designs": len(bench.corpus.designs)},
        "metrics": metrics,
        "seconds": time.monotonic() - started,
        "command": job.command,
    }
    # Last, since it says that the folder is whole.
    (folder / "run.json").write_text(json.dumps(about, indent=1) + "\n")
    logger.info("%s seed %d: %s", row.name, seed, metrics)
