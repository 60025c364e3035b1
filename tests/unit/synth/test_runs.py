"""Runs: what they refuse, how they end when something dies, and the lists that they leave."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from training.synth import write
from training.synth.__main__ import main
from training.synth.holdout import listing
from training.synth.run import writer as writer_module

REPOSITORY = Path(__file__).parents[3]

# Dies by SIGKILL while the third record lies half written beside its place.
DIES_WRITING = """
import os, signal, sys
from training.synth.run import writer

whole, records = writer._write_whole, 0

def dying(path, texts):
    global records
    records += path.parent.name == "records"
    if records == 3:
        path.with_name(path.name + ".part").write_text("{half a rec")
        os.kill(os.getpid(), signal.SIGKILL)
    whole(path, texts)

writer._write_whole = dying
writer.write(sys.argv[1], 4, seed=2, workers=1, size=96, progress=False)
"""

# Dies by SIGKILL while two others render for it, after saying who they are.
DIES_WAITING = """
import multiprocessing, os, signal, sys
from training.synth.run import writer

def dying(futures):
    for future in futures:
        future.result()
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    writer.as_completed = dying
    writer.write(sys.argv[1], 200, seed=2, workers=2, size=96, progress=False)
"""


def digest(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def run(script: str, tmp_path: Path, out: Path) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "script.py"
    file.write_text(script, encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(file), str(out)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_that_was_killed_goes_on_to_the_same_folder(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    write(whole, 4, seed=2, workers=1, size=96, progress=False)
    ended = run(DIES_WRITING, tmp_path, killed)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not (killed / "index.jsonl").exists()
    assert len(list((killed / "records").glob("*.json"))) == 2
    write(killed, 4, seed=2, workers=1, size=96, progress=False)
    assert digest(killed) == digest(whole)


def test_drawing_processes_do_not_outlive_the_one_that_wanted_the_photos(tmp_path: Path) -> None:
    ended = run(DIES_WAITING, tmp_path, tmp_path / "out")
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    pids = [int(pid) for pid in ended.stdout.split()]
    assert len(pids) == 2
    left = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    alive = psutil.wait_procs(left, timeout=60)[1]
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 0}, "n is 0, not in 1 to"),
        ({"n": -3}, "n is -3"),
        ({"n": 10**9}, "n is 1000000000"),
        ({"size": 8}, "size is 8, not in 64 to 4,096"),
        ({"size": 100_000}, "size is 100000"),
        ({"seed": -1}, "seed is -1"),
        ({"quality": 0}, "quality is 0"),
        ({"workers": -2}, "workers is -2"),
        ({"kind": "toes"}, "unknown kind 'toes': one of designs"),
        ({"kind": "artists", "artists": 0}, "artists is 0"),
        ({"kind": "contexts", "n": 7}, "groups of 5: n is 7"),
        ({"kind": "attributes", "n": 7}, "groups of 2: n is 7"),
        ({"without": ["fingers"]}, "unknown ingredient"),
        ({"backgrounds": Path("nowhere")}, "no folder of backgrounds"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    out = tmp_path / "out"
    asked = {"n": 2, "workers": 1, "progress": False} | wrong
    with pytest.raises(ValueError, match=message):
        write(out, **asked)  # type: ignore[arg-type]  # that is the point
    assert not out.exists()


def test_a_full_disk_is_said_and_the_run_can_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["--n", "2", "--workers", "1", "--size", "96", "--out", str(out)]

    def full(path: Path, _: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(SystemExit) as ended:
            main(command)
    assert "000000.jpg: No space left on device" in str(ended.value)
    main(command)
    assert (out / "index.jsonl").exists()
    capsys.readouterr()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(SystemExit, match="Not a directory"):
        main(["--n", "2", "--out", str(tmp_path / "file" / "out")])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["--n", "3"], "say where to: --out FOLDER"),
        (["--n", "0", "--out", "x"], "n is 0"),
        (["--all-works", "--out", "x"], "--all-works goes with --kind artists"),
        (["sheet", "--out", "sheet.tiff"], "a contact sheet is a .png or .jpg file"),
        (["--kind", "toes", "--out", "x"], "invalid choice 'toes'"),
    ],
)
def test_a_wrong_command_ends_with_two_and_a_reason(
    command: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_command_prints_what_is_held_out(capsys: pytest.CaptureFixture[str]) -> None:
    main(["held-out"])
    assert json.loads(capsys.readouterr().out) == listing()


@pytest.mark.parametrize(
    ("kind", "n", "names"),
    [
        ("designs", 1, set()),
        ("artists", 2, {"artists.json"}),
        ("contexts", 5, {"contexts.jsonl"}),
        ("aesthetics", 1, {"AVA.txt", "tags.txt"}),
        ("attributes", 2, {"attributes.json", "train.txt", "pairs.txt", "query_val.txt", "query_test.txt",
                           "candidate_val.txt", "candidate_test.txt"}),
    ],
)  # fmt: skip
def test_a_run_leaves_the_lists_of_its_kind(tmp_path: Path, kind: str, n: int, names: set[str]) -> None:
    index = write(tmp_path, n, seed=1, kind=kind, workers=1, size=64, progress=False)
    assert len(index.read_text(encoding="utf-8").splitlines()) == n
    assert {p.name for p in tmp_path.iterdir() if p.is_file()} == {"index.jsonl", "settings.json"} | names


def test_a_drawing_process_that_is_killed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> list[object]:
        raise writer_module.BrokenProcessPool("gone")

    monkeypatch.setattr(writer_module, "as_completed", broken)
    monkeypatch.setattr(writer_module, "ProcessPoolExecutor", lambda *_, **__: ThreadPoolExecutor(1))
    with pytest.raises(RuntimeError, match="the same command goes on"):
        write(tmp_path, 2, workers=2, size=64, progress=False)
