"""Memory of a family of processes, sampled while it works."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

import psutil


def proportional_bytes(pid: int) -> int:
    """Memory of a process and its children, in bytes; pages shared between processes count once (PSS).

    0 when the process is gone.
    """
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            try:
                info = process.memory_full_info()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            total += int(getattr(info, "pss", info.rss))
    except psutil.NoSuchProcess:
        return total
    return total


class PeakMemory:
    """Samples the memory of named processes and keeps the highest sum and the highest of each."""

    def __init__(self, pids: Callable[[], Mapping[str, int]], interval_s: float = 0.25) -> None:
        self._pids = pids
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peak-memory", daemon=True)
        self.peak_total = 0
        self.peaks: dict[str, int] = {}

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._sample(self._pids().items())

    def _sample(self, processes: Iterable[tuple[str, int]]) -> None:
        now = {name: proportional_bytes(pid) for name, pid in processes}
        self.peak_total = max(self.peak_total, sum(now.values()))
        for name, size in now.items():
            self.peaks[name] = max(self.peaks.get(name, 0), size)
