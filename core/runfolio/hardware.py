"""What a run can say about the machine beneath it: processor, memory, graphics cards. Cheap, and never an error."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

_PROC: Final = Path("/proc")


def hardware_properties(proc: Path = _PROC) -> dict[str, Any]:
    """Return properties of the machine, as far as they can be learned without starting a program.

    Args:
        proc: where the kernel's files are (Linux).

    Returns:
        ``CpuModel``, ``MemoryTotal`` (bytes), ``GpuModel`` (names, divided by commas) and ``GpuCount`` of NVIDIA cards.
    """
    found: dict[str, Any] = {}
    cpus = {value for line in _lines(proc / "cpuinfo") for value in _value(line, "model name")}
    if cpus:
        found["CpuModel"] = ", ".join(sorted(cpus))
    memory = _memory()
    if memory is not None:
        found["MemoryTotal"] = memory
    cards = sorted(proc.glob("driver/nvidia/gpus/*/information"))
    models = [value for card in cards for line in _lines(card) for value in _value(line, "model")]
    if models:
        found["GpuModel"] = ", ".join(dict.fromkeys(models))
        found["GpuCount"] = len(models)
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _value(line: str, name: str) -> Iterator[str]:
    """The value of a line ``name : value``, if it is one of this name."""
    key, colon, value = line.partition(":")
    if colon and key.strip().lower() == name and value.strip():
        yield value.strip()


def _memory() -> int | None:
    ask: Callable[[str], int] | None = getattr(os, "sysconf", None)  # not on Windows
    try:
        return None if ask is None else ask("SC_PHYS_PAGES") * ask("SC_PAGE_SIZE")
    except (ValueError, OSError):  # a system without one of the two
        return None
