from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.errors import StackError
from cli.ports import Addresses, free_addresses
from cli.stack import commands as stack_commands
from cli.stack.processes import Stack, StackOptions


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = f"127.0.0.1:{listener.getsockname()[1]}"
        free = free_addresses()
        addresses = Addresses(crop=free.crop, embed=taken, rank=free.rank, classify=free.classify)
        stack = Stack(StackOptions(tmp_path, tmp_path, addresses))
        with pytest.raises(StackError, match=f"{taken}, meant for embed, is in use"):
            stack.start()
        assert stack.pids == {}


def test_a_service_that_cannot_start_is_reported_with_its_log_and_nothing_stays(tmp_path: Path) -> None:
    options = StackOptions(tmp_path / "state", tmp_path / "no-models", free_addresses())
    stack = Stack(options)
    with pytest.raises(StackError, match=r"ended with|was not ready"), stack:
        pass
    assert stack.pids == {}


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_child_ends_when_its_parent_is_killed() -> None:
    # The parent starts `cli.stack.child http.server`, says its id, and waits to be killed.
    program = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-m', 'cli.stack.child', 'http.server', '0',"
        " '--bind', '127.0.0.1'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT);"
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)"
    )
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
    gone, alive = psutil.wait_procs([child], timeout=10)
    assert not alive
    assert gone


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_stops_at_a_signal_that_its_shell_had_it_ignore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    class Running:
        """A stack that is sent the signal when it is looked at."""

        looks = 0

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __enter__(self) -> Running:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def check(self) -> None:
            self.looks += 1
            assert self.looks == 1, "the signal was ignored"
            os.kill(os.getpid(), number)

    monkeypatch.setattr(stack_commands, "Stack", Running)
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(number, signal.SIG_IGN)
        ended = CliRunner().invoke(app, ["up", "--state", str(tmp_path)])
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert (ended.exit_code, "stopped" in ended.stdout) == (0, True), ended.output
