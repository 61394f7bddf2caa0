"""Other engines read the store's Parquet in place, by one glob, while it is written and after kills."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.dataset as ds
import pytest

import runfolio as rf

pytestmark = pytest.mark.local_only("other programs open the files of the store by their paths")

BUSY = """
import sys
import runfolio as rf
history = rf.open_history(sys.argv[1], project="plain")
for _ in range(20):
    with history.start_run(system_metrics=False) as run:
        for step in range(14):
            run.log("busy", float(step), step=step)
"""
PROJECTS = ["2024", "a #1 b", "plain"]
KILLED = """
import os, signal, sys
import runfolio as rf
run = rf.open_history(sys.argv[1], project="plain").start_run()
for step in range(100):
    run.log("killed", float(step), step=step)
assert run.flush(60)
os.kill(os.getpid(), signal.SIGKILL)
"""


def pattern(store: str) -> str:
    return f"{store}/runs/*/*/metrics/*.parquet"


@pytest.fixture
def filled(history: rf.History) -> dict[str, int]:
    """Runs of three projects, each with a Parquet artifact that must not be taken for metrics. Rows by run id."""
    rows = {}
    for project in PROJECTS:
        with history.start_run(project=project) as run:
            for step in range(10):
                run.log("loss", step / 10, step=step)
            run.log("kinds", "text")
            run.log("list", [1, 2, 3])
            run.log_table("x", {"a": [1, 2, 3]})
        rows[run.id] = 14
    return rows


def check(store: str, expected: dict[str, int]) -> None:
    """Each engine sees each row of each finished run once, with project and run as columns."""
    projects = {run_id: run_id.rsplit("_", 1)[0] for run_id in expected}
    query = f"select run_id, any_value(project), count(*) from read_parquet('{pattern(store)}') group by run_id"
    with duckdb.connect() as connection:
        by_duckdb = {run_id: (project, count) for run_id, project, count in connection.execute(query).fetchall()}
    wanted = {run_id: (projects[run_id], count) for run_id, count in expected.items()}
    assert by_duckdb == wanted
    files = sorted(glob.glob(pattern(store)))  # noqa: PTH207 (the pattern as other programs would use it)
    frame = pd.concat([pd.read_parquet(file) for file in files])
    assert frame.groupby("run_id", observed=True).size().to_dict() == expected
    table = ds.dataset(files).to_table(columns=["project", "run_id", "value"])
    assert table.num_rows == sum(expected.values())
    assert set(table["project"].to_pylist()) == set(projects.values())


def test_finished_runs_are_read_by_one_glob(store: str, filled: dict[str, int]) -> None:
    check(store, filled)


def test_rows_of_running_runs_are_not_there_twice(store: str, history: rf.History, filled: dict[str, int]) -> None:
    run = history.start_run(project="plain")
    for part in range(3):
        for step in range(10):
            run.log("loss", float(step), step=part * 10 + step)
        assert run.flush(60)
        check(store, filled)
        assert len(history.run(run.id).metric("loss").values()) == (part + 1) * 10
    run.finish()
    check(store, {**filled, run.id: 30})


def test_while_another_process_writes_no_run_is_seen_in_part(store: str, filled: dict[str, int]) -> None:
    """Whatever the moment, a run is there with all its rows or not at all, and no file is half written."""
    with (
        subprocess.Popen([sys.executable, "-c", BUSY, store], stderr=subprocess.PIPE) as writing,
        duckdb.connect() as db,
    ):
        seen, done = 0, False
        while not done:
            done = writing.poll() is not None
            query = f"select run_id, count(*) from read_parquet('{pattern(store)}') group by run_id"
            by_duckdb = dict(db.execute(query).fetchall())
            files = sorted(glob.glob(pattern(store)))  # noqa: PTH207 (the pattern as other programs would use it)
            frame = pd.concat([pd.read_parquet(file) for file in files])
            by_pandas = frame.groupby("run_id", observed=True).size().to_dict()
            by_arrow = ds.dataset(files).to_table(columns=["run_id"])["run_id"].value_counts().to_pylist()
            assert {14} == {*by_duckdb.values(), *by_pandas.values(), *(one["counts"] for one in by_arrow)}
            assert seen <= len(by_duckdb) <= len(by_pandas) == len(by_arrow)
            seen = len(by_pandas)
        assert writing.stderr is not None
        assert b"" == writing.stderr.read()
    assert len(filled) + 20 == seen


def test_after_a_kill_and_a_sync_each_row_is_there_once(
    store: str, history: rf.History, filled: dict[str, int]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, store], check=False, env={**os.environ}, capture_output=True, timeout=120
    )
    assert done.returncode == -9
    check(store, filled)
    assert len(history.sync().completed) == 1
    run = history.last("plain")
    check(store, {**filled, run.id: 100})
    assert not list(Path(store).glob("runs/*/*/live/*"))


def test_a_store_works_at_another_place(store: str, tmp_path: Path, filled: dict[str, int]) -> None:
    moved = tmp_path / "elsewhere" / "copy"
    moved.parent.mkdir()
    Path(store).rename(moved)
    check(str(moved), filled)
    assert {run.id for run in rf.open_history(str(moved)).runs("*")} == set(filled)
