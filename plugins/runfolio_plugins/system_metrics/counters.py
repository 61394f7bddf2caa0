"""What is read from the machine, and what is made of two readings. Knows nothing of where readings come from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "system/"


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading of the machine. What could not be read is None. Counters grow; sizes are in bytes, times in seconds.

    Attributes:
        clock: when it was read, on a clock that never goes backwards.
        cpu_busy: time that all processors together have worked.
        cpu_total: time that all processors together have existed.
        processes: the number of processes of the run: the one that holds it and all below.
        processes_rss: memory they occupy together.
        largest_rss: memory that the largest of them occupies.
        processes_cpu: by process, the time it has worked.
    """

    clock: float
    cpu_busy: float | None = None
    cpu_total: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    disk_used: int | None = None
    disk_total: int | None = None
    disk_read: int | None = None
    disk_written: int | None = None
    network_received: int | None = None
    network_sent: int | None = None
    processes: int | None = None
    processes_rss: int | None = None
    largest_rss: int | None = None
    processes_cpu: tuple[tuple[int, float], ...] = ()


def metrics(before: Counters, now: Counters) -> dict[str, float | int]:
    """Return the metrics of the time between two readings by name; what is unknown is left out."""
    seconds = now.clock - before.clock
    found: dict[str, float | int | None] = {
        "cpu_percent": _cpu_percent(before, now),
        "memory_used_bytes": now.memory_used,
        "memory_percent": _percent(now.memory_used, now.memory_total),
        "disk_used_bytes": now.disk_used,
        "disk_percent": _percent(now.disk_used, now.disk_total),
        "disk_read_bytes_per_second": _rate(before.disk_read, now.disk_read, seconds),
        "disk_written_bytes_per_second": _rate(before.disk_written, now.disk_written, seconds),
        "network_received_bytes_per_second": _rate(before.network_received, now.network_received, seconds),
        "network_sent_bytes_per_second": _rate(before.network_sent, now.network_sent, seconds),
        "process_count": now.processes,
        "process_rss_bytes": now.processes_rss,
        "process_largest_rss_bytes": now.largest_rss,
        "process_cpu_percent": _processes_percent(before, now, seconds),
    }
    return {f"{PREFIX}{name}": value for name, value in found.items() if value is not None}


def _cpu_percent(before: Counters, now: Counters) -> float | None:
    if before.cpu_busy is None or before.cpu_total is None or now.cpu_busy is None or now.cpu_total is None:
        return None
    existed = now.cpu_total - before.cpu_total
    if existed <= 0:
        return None
    return round(min(100.0, max(0.0, 100.0 * (now.cpu_busy - before.cpu_busy) / existed)), 2)


def _processes_percent(before: Counters, now: Counters, seconds: float) -> float | None:
    """100 for one processor fully used. A process that was not there before counts with all it has worked."""
    if seconds <= 0 or not now.processes_cpu:
        return None
    earlier = dict(before.processes_cpu)
    worked = math.fsum(max(0.0, cpu - earlier.get(pid, 0.0)) for pid, cpu in now.processes_cpu)
    return round(100.0 * worked / seconds, 2)


def _percent(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else round(100.0 * part / whole, 2)


def _rate(before: int | None, now: int | None, seconds: float) -> float | None:
    """A counter that went backwards belongs to a device that was taken away: there is no rate then."""
    if before is None or now is None or now < before or seconds <= 0:
        return None
    return round((now - before) / seconds, 1)
