"""What a machine says of itself, from the files of its kernel."""

from __future__ import annotations

from pathlib import Path

from runfolio.hardware import hardware_properties


def test_processor_and_cards(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(
        "processor : 0\nmodel name\t: Fast CPU @ 3 GHz\n\nmodel name\t: Fast CPU @ 3 GHz\n"
    )
    for card in ("0000:01:00.0", "0000:02:00.0"):
        folder = tmp_path / "driver" / "nvidia" / "gpus" / card
        folder.mkdir(parents=True)
        (folder / "information").write_text("Model: \t\t NVIDIA A100\nIRQ:   \t\t 35\n")
    found = hardware_properties(tmp_path)
    assert found["CpuModel"] == "Fast CPU @ 3 GHz"
    assert (found["GpuModel"], found["GpuCount"]) == ("NVIDIA A100", 2)


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    assert set(hardware_properties(tmp_path)) <= {"MemoryTotal"}


def test_this_machine_has_memory() -> None:
    assert hardware_properties()["MemoryTotal"] > 2**20
