"""Who may import whom: the rules hold, and a breach is caught."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("nails", "services", "cli", "evaluation", "training", "tools", "lunula")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [str(program), "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_import_breaks_the_rules() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("nails/colour/cielab.py", "import grpc"),
        ("nails/colour/cielab.py", "import services.kit.errors"),
        ("services/kit/errors.py", "import nails.colour.cielab"),
        ("services/crop/__init__.py", "import services.embed"),
        ("services/embed/__init__.py", "import torch"),
        ("services/rank/__init__.py", "import training"),
        ("services/rank/catalogue/rows.py", "import lunula.rank.v1.rank_service_pb2"),
        ("services/rank/catalogue/rows.py", "import services.rank.search.pipeline"),
        ("services/rank/search/channels/palette.py", "import services.rank.search.channels.design"),
        ("services/rank/rerank/base.py", "import services.rank.search.pipeline"),
        ("services/kit/errors.py", "import tools.render"),
        ("tools/render.py", "import services.rank"),
        ("cli/ports.py", "import services.rank"),
        ("evaluation/metrics.py", "import services.kit"),
        ("nails/colour/cielab.py", "import nails.language.words"),
        ("nails/artist/labels.py", "import nails.perception.masks"),
        ("services/kit/telemetry/timings.py", "import services.kit.wire.errors"),
        ("services/kit/inference/base.py", "import services.kit.server"),
        ("services/classify/features/references.py", "import services.classify.enrolment.records"),
        ("services/classify/enrolment/store.py", "import services.classify.identify.calibration"),
        ("services/crop/pipeline.py", "import lunula.crop.v1.crop_service_pb2"),
        ("services/kit/scope.py", "import lunula.type.v1.response_info_pb2"),
        ("services/intake/photos.py", "import lunula.type.v1.photo_pb2"),
        ("training/hand/__init__.py", "import training.seg"),
        ("training/kit/__init__.py", "import training.synth"),
        ("training/synth/__init__.py", "import training.design"),
        ("evaluation/metrics.py", "import evaluation.artist.metrics"),
        ("evaluation/artist/metrics.py", "import evaluation.retrieval.benchmark"),
        ("cli/client/records.py", "import cli.stack.processes"),
        ("cli/workbench/data.py", "import cli.evaluate.commands"),
        ("cli/client/tables.py", "import scipy.stats"),
    ],
)
def test_a_forbidden_import_is_caught(tmp_path: Path, module: str, line: str) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    target = tmp_path / module
    target.write_text(target.read_text(encoding="utf-8") + f"\n{line}  # noqa\n", encoding="utf-8")
    result = lint_imports(tmp_path)
    assert result.returncode != 0, "the rule did not notice"
    assert "BROKEN" in result.stdout
