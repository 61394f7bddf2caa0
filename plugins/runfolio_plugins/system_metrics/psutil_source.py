"""Reads the machine through psutil, where it is installed."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, Self

from runfolio_plugins.system_metrics.counters import Counters
from runfolio_plugins.system_metrics.disk_usage import used_and_total


class PsutilSource:
    """Reads the counters of this machine, and of a process with its descendants.

    Args:
        psutil: the package.
        pid: the process.
        folder: where the file system is whose fill level is read.
    """

    def __init__(self, psutil: ModuleType, pid: int, folder: Path) -> None:
        # Loosely typed: the package is no dependency, and its stubs need not be there either.
        self._psutil: Any = psutil
        self._pid = pid
        self._folder = folder

    @classmethod
    def if_installed(cls, pid: int, folder: Path) -> Self | None:
        """Return a source, or None without psutil."""
        try:
            return cls(importlib.import_module("psutil"), pid, folder)
        except ImportError:
            return None

    def read(self) -> Counters:
        """Read everything that can be read now."""
        times = self._psutil.cpu_times()
        # Guests' time is contained in user's, so it is not added again.
        existed = sum(value for name, value in times._asdict().items() if name not in ("guest", "guest_nice"))
        idle = times.idle + getattr(times, "iowait", 0.0)
        memory = self._psutil.virtual_memory()
        disk_used, disk_total = used_and_total(self._folder)
        disks = self._unless_hidden("disk_io_counters")
        received, sent = self._network()
        tree = self._tree()
        return Counters(
            clock=time.monotonic(),
            cpu_busy=existed - idle,
            cpu_total=existed,
            memory_used=int(memory.total - memory.available),
            memory_total=int(memory.total),
            disk_used=disk_used,
            disk_total=disk_total,
            disk_read=None if disks is None else int(disks.read_bytes),
            disk_written=None if disks is None else int(disks.write_bytes),
            network_received=received,
            network_sent=sent,
            processes=len(tree) or None,
            processes_rss=sum(rss for rss, _ in tree.values()) if tree else None,
            largest_rss=max((rss for rss, _ in tree.values()), default=None),
            processes_cpu=tuple((pid, cpu) for pid, (_, cpu) in sorted(tree.items())),
        )

    def _unless_hidden(self, function: str, **arguments: object) -> Any:
        """Counters that containers hide: None then, whatever way psutil chooses to say so."""
        try:
            return getattr(self._psutil, function)(**arguments)
        except (OSError, RuntimeError, NotImplementedError, self._psutil.Error):
            return None

    def _network(self) -> tuple[int | None, int | None]:
        by_name = self._unless_hidden("net_io_counters", pernic=True)
        outside = [one for name, one in (by_name or {}).items() if not name.startswith(("lo", "Loopback"))]
        if not outside:
            return None, None
        return sum(int(one.bytes_recv) for one in outside), sum(int(one.bytes_sent) for one in outside)

    def _tree(self) -> dict[int, tuple[int, float]]:
        """Resident bytes and processor time of the process and its descendants, by pid."""
        found: dict[int, tuple[int, float]] = {}
        try:
            root: _Process = self._psutil.Process(self._pid)
            processes = [root, *root.children(recursive=True)]
        except self._psutil.Error:
            return found
        for process in processes:
            try:
                times = process.cpu_times()
                found[process.pid] = int(process.memory_info().rss), float(times.user + times.system)
            except self._psutil.Error:
                continue  # it has ended meanwhile
        return found


class _Process(Protocol):
    pid: int

    def children(self, *, recursive: bool) -> list[_Process]: ...
    def cpu_times(self) -> Any: ...
    def memory_info(self) -> Any: ...
