"""Runfolio finds the backend by its entry point and keeps history in it."""

from __future__ import annotations

from pathlib import Path

import pytest

import runfolio as rf


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"RUNFOLIO_{name}_DIR", str(tmp_path / name))
    monkeypatch.chdir(tmp_path)


def test_a_run_from_start_to_end(tmp_path: Path) -> None:
    with rf.open_history(f"lmdb://{tmp_path}/store", storage_options={"durable": False}) as history:
        with history.start_run(project="demo", params={"lr": 0.1}, system_metrics=False) as run:
            for step in range(100):
                run.log("loss", 1 / (step + 1), step=step)
            run.log_bytes("model.bin", b"m" * 3_000_000)
        stored = history.run(run.id)
        assert stored.status == "Completed"
        assert stored.metric("loss").to_arrow().num_rows == 100
        assert stored.artifacts["outputs/model.bin"].read_bytes() == b"m" * 3_000_000
        assert len(history.runs(project="demo", where="params.lr < 1")) == 1
        assert history.check().ok
