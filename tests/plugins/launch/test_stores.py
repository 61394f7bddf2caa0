"""Tracked runs on each kind of store, from the source to what the script leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module

pytestmark = pytest.mark.not_in_memory("other processes use the store")

SCRIPT = """
from pathlib import Path
import runfolio as rf

run = rf.get_logger()
for step in range(20):
    run.log("loss", 1 / (step + 1), step=step)
Path("outputs/model.bin").write_bytes(b"model")
print("trained")
"""


def test_a_tracked_run(project: Project, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNFOLIO_STORE", store_url)
    project.store = store_url
    done = project.launch(SCRIPT)
    assert (done.code, done.run.status, done.run.number) == (0, "Completed", 1), done.err
    assert done.run.metric("loss").values() == [1 / (step + 1) for step in range(20)]
    assert done.paths() == ["outputs/model.bin"]
    assert done.run.artifacts["outputs/model.bin"].read_bytes() == b"model"
    assert "trained" in done.text("logs/driver_log.txt")
    done.run.restore(tmp_path / "again")
    assert (tmp_path / "again" / "script.py").read_bytes() == (project.root / "script.py").read_bytes()
    assert project.kept() == []


def test_a_script_that_fails(project: Project, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNFOLIO_STORE", store_url)
    project.store = store_url
    done = project.launch("import runfolio as rf\nrf.get_logger().log('loss', 1.0)\nraise ValueError('boom')\n")
    assert (done.code, done.run.status) == (1, "Failed")
    assert done.run.metric("loss").values() == [1.0]
    assert "ValueError: boom" in done.text("logs/driver_log.txt")
