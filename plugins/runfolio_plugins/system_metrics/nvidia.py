"""Reads NVIDIA GPUs, through the package pynvml where it is installed, else through the program nvidia-smi."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from types import ModuleType
from typing import Any, Final, Protocol

from runfolio_plugins.system_metrics.counters import PREFIX

_QUERY: Final = "index,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw"
_SECONDS: Final = 10.0
"""How long nvidia-smi may take. It hangs when a driver does."""
_MEBI: Final = 1024 * 1024


class GpuReader(Protocol):
    """Something that reads the GPUs of this machine."""

    def read(self) -> dict[str, float | int]:
        """Return metrics by name."""
        ...

    def close(self) -> None:
        """Let go of the driver."""
        ...


def gpu_metrics(
    index: int,
    *,
    utilization: float | None,
    memory_used: int | None,
    memory_total: int | None,
    celsius: float | None,
    watts: float | None,
) -> dict[str, float | int]:
    """Return the metrics of one GPU by name; what is unknown is left out."""
    percent = round(100.0 * memory_used / memory_total, 2) if memory_used is not None and memory_total else None
    found: dict[str, float | int | None] = {
        "utilization_percent": utilization,
        "memory_used_bytes": memory_used,
        "memory_percent": percent,
        "temperature_celsius": celsius,
        "power_watts": watts,
    }
    return {f"{PREFIX}gpu{index}_{name}": value for name, value in found.items() if value is not None}


class NvidiaSmi:
    """Asks the program nvidia-smi.

    Args:
        program: its path.
    """

    def __init__(self, program: str) -> None:
        self._program: str | None = program

    def read(self) -> dict[str, float | int]:
        """Return metrics by name. After a failure the program is not asked again: it would fail every time."""
        if self._program is None:
            return {}
        command = [self._program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.SubprocessError):
            self._program = None
            return {}
        return parse_nvidia_smi(done.stdout)

    def close(self) -> None:
        """Nothing is held."""


def parse_nvidia_smi(text: str) -> dict[str, float | int]:
    """Return the metrics of what nvidia-smi printed for our query. Unknown values (``[N/A]``) are left out."""
    found: dict[str, float | int] = {}
    for line in text.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) == len(_QUERY.split(",")) and words[0].isdecimal():
            utilization, used, total, celsius, watts = (_number(word) for word in words[1:])
            found |= gpu_metrics(
                int(words[0]),
                utilization=utilization,
                memory_used=None if used is None else int(used * _MEBI),
                memory_total=None if total is None else int(total * _MEBI),
                celsius=celsius,
                watts=watts,
            )
    return found


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


class Nvml:
    """Asks the driver through pynvml.

    Args:
        pynvml: the package, initialised.
    """

    def __init__(self, pynvml: ModuleType) -> None:
        self._nvml: Any = pynvml  # loosely typed: it is no dependency

    def read(self) -> dict[str, float | int]:
        """Return metrics by name."""
        found: dict[str, float | int] = {}
        count = self._ask("nvmlDeviceGetCount")
        for index in range(count or 0):
            device = self._ask("nvmlDeviceGetHandleByIndex", index)
            if device is None:
                continue
            memory = self._ask("nvmlDeviceGetMemoryInfo", device)
            rates = self._ask("nvmlDeviceGetUtilizationRates", device)
            milliwatts = self._ask("nvmlDeviceGetPowerUsage", device)
            found |= gpu_metrics(
                index,
                utilization=None if rates is None else float(rates.gpu),
                memory_used=None if memory is None else int(memory.used),
                memory_total=None if memory is None else int(memory.total),
                celsius=self._ask("nvmlDeviceGetTemperature", device, 0),
                watts=None if milliwatts is None else milliwatts / 1000.0,
            )
        return found

    def _ask(self, function: str, *arguments: object) -> Any:
        """None for what a device does not support."""
        try:
            return getattr(self._nvml, function)(*arguments)
        except self._nvml.NVMLError:
            return None

    def close(self) -> None:
        """Let go of the driver."""
        self._ask("nvmlShutdown")


def find_gpus() -> GpuReader | None:
    """Return what reads the GPUs of this machine, or None without any."""
    try:
        pynvml: Any = importlib.import_module("pynvml")
    except ImportError:
        pynvml = None
    if pynvml is not None:
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return None  # the package is here, a driver is not
        return Nvml(pynvml)
    program = shutil.which("nvidia-smi")
    return None if program is None else NvidiaSmi(program)
