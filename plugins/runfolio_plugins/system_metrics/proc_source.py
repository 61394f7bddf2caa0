"""Reads the machine from ``/proc`` of Linux, where psutil is not installed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from runfolio_plugins.system_metrics.counters import Counters
from runfolio_plugins.system_metrics.disk_usage import used_and_total

_SECTOR: Final = 512
"""Bytes of a sector in ``diskstats``, whatever the device's own sectors are."""
_READ: Final = 5
_WRITTEN: Final = 9
"""Where a line of ``diskstats`` has the sectors read and written."""
_NOT_DISKS: Final = ("loop", "ram", "zram", "dm-", "md")
"""Devices that are no hardware, or stand on disks that are counted already."""


class ProcSource:
    """Reads the counters of this machine, and of a process with its descendants.

    Args:
        pid: the process.
        folder: where the file system is whose fill level is read.
        proc: where ``/proc`` is.
        block: where the kernel lists whole disks; their partitions are not counted again.
    """

    def __init__(self, pid: int, folder: Path, proc: Path = Path("/proc"), block: Path = Path("/sys/block")) -> None:
        self._pid = pid
        self._folder = folder
        self._proc = proc
        self._block = block
        self._ticks = float(os.sysconf("SC_CLK_TCK")) if hasattr(os, "sysconf") else 100.0
        self._page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

    @staticmethod
    def is_available(proc: Path = Path("/proc")) -> bool:
        """Whether this machine has such files."""
        return (proc / "stat").is_file() and (proc / "meminfo").is_file()

    def read(self) -> Counters:
        """Read everything that can be read now."""
        busy, existed = self._cpu()
        memory_used, memory_total = self._memory()
        disk_used, disk_total = used_and_total(self._folder)
        disk_read, disk_written = self._disks()
        received, sent = self._network()
        tree = self._tree()
        return Counters(
            clock=time.monotonic(),
            cpu_busy=busy,
            cpu_total=existed,
            memory_used=memory_used,
            memory_total=memory_total,
            disk_used=disk_used,
            disk_total=disk_total,
            disk_read=disk_read,
            disk_written=disk_written,
            network_received=received,
            network_sent=sent,
            processes=len(tree) or None,
            processes_rss=sum(rss for rss, _ in tree.values()) if tree else None,
            largest_rss=max((rss for rss, _ in tree.values()), default=None),
            processes_cpu=tuple((pid, cpu) for pid, (_, cpu) in sorted(tree.items())),
        )

    def _lines(self, name: str) -> list[str]:
        """The lines of a file, or none when it cannot be read: containers hide some of them."""
        try:
            return (self._proc / name).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []

    def _cpu(self) -> tuple[float | None, float | None]:
        for line in self._lines("stat"):
            if line.startswith("cpu "):
                # user nice system idle iowait irq softirq steal. The guests' time after them is in user and nice.
                times = [int(word) / self._ticks for word in line.split()[1:9]]
                idle = sum(times[3:5])
                return sum(times) - idle, sum(times)
        return None, None

    def _memory(self) -> tuple[int | None, int | None]:
        sizes = {name: rest.split() for name, _, rest in (line.partition(":") for line in self._lines("meminfo"))}
        total, available = sizes.get("MemTotal"), sizes.get("MemAvailable")
        if not total:
            return None, None
        return (int(total[0]) - int(available[0])) * 1024 if available else None, int(total[0]) * 1024

    def _disks(self) -> tuple[int | None, int | None]:
        try:
            whole = {path.name for path in self._block.iterdir() if not path.name.startswith(_NOT_DISKS)}
        except OSError:
            return None, None
        lines = (line.split() for line in self._lines("diskstats"))
        rows = [words for words in lines if len(words) > _WRITTEN and words[2] in whole]
        if not rows:
            return None, None
        return sum(int(row[_READ]) for row in rows) * _SECTOR, sum(int(row[_WRITTEN]) for row in rows) * _SECTOR

    def _network(self) -> tuple[int | None, int | None]:
        rows = [
            rest.split()
            for name, colon, rest in (line.partition(":") for line in self._lines("net/dev"))
            if colon and name.strip() != "lo"
        ]
        if not rows:
            return None, None
        return sum(int(row[0]) for row in rows), sum(int(row[8]) for row in rows)

    def _tree(self) -> dict[int, tuple[int, float]]:
        """Resident bytes and processor time of the process and its descendants, by pid."""
        parents: dict[int, int] = {}
        found: dict[int, tuple[int, float]] = {}
        try:
            names = [path.name for path in self._proc.iterdir()]
        except OSError:
            return {}
        for name in names:
            if name.isdecimal() and (line := "".join(self._lines(f"{name}/stat"))):
                # The second field is the command in parentheses, and may hold spaces and parentheses itself.
                fields = line[line.rindex(")") + 2 :].split()
                pid = int(name)
                parents[pid] = int(fields[1])
                cpu = (int(fields[11]) + int(fields[12])) / self._ticks
                found[pid] = int(fields[21]) * self._page, cpu
        return {pid: found[pid] for pid in descendants(self._pid, parents)}


def descendants(root: int, parents: dict[int, int]) -> set[int]:
    """Return a process and all below it, given each process's parent."""
    if root not in parents:
        return set()
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(children.get(pid, ()))
    return found
