"""The main job, as a new user runs it: `lunula demo` and `lunula up` in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cli.ports import DEFAULT_PORTS, is_free

ROOT = Path(__file__).resolve().parents[2]


def lunula(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cli", *arguments]


def services_running() -> list[psutil.Process]:
    """Processes of this interpreter that run a service."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if line[:1] == [sys.executable] and any(part.startswith("services.") for part in line):
            found.append(process)
    return found


@pytest.fixture(autouse=True)
def no_process_stays() -> Iterator[None]:
    before = {process.pid for process in services_running()}
    yield
    assert [process for process in services_running() if process.pid not in before] == []


@pytest.mark.timeout(300)
def test_the_demo_indexes_searches_writes_a_page_and_leaves_nothing_running(tmp_path: Path) -> None:
    finished = subprocess.run(
        lunula("demo", "--out", str(tmp_path)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", "PYTHONWARNINGS": "error"},
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "60 designs indexed" in finished.stdout
    assert "0 failed" in finished.stdout
    for label in ("English", "Japanese", "palette", "peak memory", "p50 of"):
        assert label in finished.stdout
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 24  # eight hits for each of three requests
    assert (tmp_path / "request-1.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.timeout(180)
def test_up_serves_until_it_is_asked_to_stop(tmp_path: Path) -> None:
    if not all(is_free(f"127.0.0.1:{port}") for port in DEFAULT_PORTS.values()):
        pytest.skip("the default ports are in use on this machine")
    log = tmp_path / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            lunula("up", "--state", str(tmp_path / "state")), cwd=ROOT, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 120
        while "ready" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)  # polls another process; nothing here depends on how long it takes
        one = next(path for path in (ROOT / "sample" / "images").iterdir())
        cropped = subprocess.run(
            lunula("crop", str(one), "--out", str(tmp_path / "crops")),
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert cropped.returncode == 0, cropped.stdout + cropped.stderr
        assert (tmp_path / "crops" / f"{one.stem}.overlay.png").is_file()
        identified = subprocess.run(
            lunula("identify", str(one), "--title", "red nails"),
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert identified.returncode == 0, identified.stdout + identified.stderr
        assert "someone else" in identified.stdout
        unknown = subprocess.run(
            lunula("search", "red", "--like", "no-such-design"),
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert unknown.returncode == 1
        assert "DESIGN_NOT_FOUND" in unknown.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
