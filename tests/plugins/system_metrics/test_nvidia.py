from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

from runfolio_plugins.system_metrics.nvidia import NvidiaSmi, Nvml, find_gpus, parse_nvidia_smi

if TYPE_CHECKING:
    import pytest

PRINTED = "0, 35, 1024, 24576, 61, 117.42\n1, [N/A], 0, 24576, 30, [Not Supported]\n"
EXPECTED = {
    "system/gpu0_utilization_percent": 35.0,
    "system/gpu0_memory_used_bytes": 1024 * 2**20,
    "system/gpu0_memory_percent": 4.17,
    "system/gpu0_temperature_celsius": 61.0,
    "system/gpu0_power_watts": 117.42,
    "system/gpu1_memory_used_bytes": 0,
    "system/gpu1_memory_percent": 0.0,
    "system/gpu1_temperature_celsius": 30.0,
}


def program(folder: Path, body: str) -> Path:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_what_nvidia_smi_prints_is_read() -> None:
    assert parse_nvidia_smi(PRINTED) == EXPECTED
    assert parse_nvidia_smi("No devices were found\n\n1, 2\n") == {}


def test_nvidia_smi_is_found_and_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, f"cat <<'END'\n{PRINTED}END")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    gpus = find_gpus()
    assert isinstance(gpus, NvidiaSmi)
    assert gpus.read() == EXPECTED
    gpus.close()


def test_a_program_that_fails_is_not_asked_again(tmp_path: Path) -> None:
    gpus = NvidiaSmi(str(program(tmp_path, f"echo asked >> {tmp_path}/calls; exit 9")))
    assert gpus.read() == gpus.read() == {}
    assert (tmp_path / "calls").read_text() == "asked\n"


def test_without_gpus_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert find_gpus() is None


class NVMLError(Exception):
    """What the package raises."""


def fake_pynvml(*, driver: bool = True) -> ModuleType:
    """A package for one GPU, which does not tell its power."""

    def init() -> None:
        if not driver:
            raise NVMLError

    def power(_device: object) -> int:
        raise NVMLError

    module = ModuleType("pynvml")
    functions = {
        "NVMLError": NVMLError,
        "nvmlInit": init,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: f"device {index}",
        "nvmlDeviceGetMemoryInfo": lambda _device: SimpleNamespace(used=50, total=200),
        "nvmlDeviceGetUtilizationRates": lambda _device: SimpleNamespace(gpu=12),
        "nvmlDeviceGetTemperature": lambda _device, _sensor: 44,
        "nvmlDeviceGetPowerUsage": power,
    }
    for name, value in functions.items():
        setattr(module, name, value)
    return module


def test_pynvml_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_pynvml())
    gpus = find_gpus()
    assert isinstance(gpus, Nvml)
    assert gpus.read() == {
        "system/gpu0_utilization_percent": 12.0,
        "system/gpu0_memory_used_bytes": 50,
        "system/gpu0_memory_percent": 25.0,
        "system/gpu0_temperature_celsius": 44,
    }
    gpus.close()


def test_pynvml_without_a_driver_means_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_pynvml(driver=False))
    assert find_gpus() is None
