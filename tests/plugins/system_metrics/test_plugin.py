"""The plugin through the public API, in processes as users have them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import runfolio as rf
from runfolio_plugins.system_metrics import readers
from runfolio_plugins.system_metrics.proc_source import ProcSource
from runfolio_plugins.system_metrics.readers import find_readers

ALWAYS = {"system/cpu_percent", "system/memory_used_bytes", "system/memory_percent", "system/process_rss_bytes"}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="platform: reads /proc, which is Linux")


@pytest.fixture
def history(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[rf.History]:
    monkeypatch.setenv("RUNFOLIO_SYSTEM_METRICS_INTERVAL", "0.1")
    with rf.open_history(store_url, project="demo") as history:
        yield history


def sampling() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "runfolio-system-metrics"]


def work_until_sampled(run: rf.ActiveRun, samples: int) -> None:
    """Keep a processor busy until the store has so many samples."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        sum(range(200_000))
        if run.flush(60) and len(run.metric("system/cpu_percent").values()) >= samples:
            return
    raise AssertionError("no samples")


def test_a_run_is_sampled_at_the_interval_of_the_settings(history: rf.History) -> None:
    with history.start_run(system_metrics=True) as run:
        assert len(sampling()) == 1
        work_until_sampled(run, 3)
    assert sampling() == []
    table = run.metrics()
    names = set(table["name"].to_pylist())
    assert names >= ALWAYS
    assert all(name.startswith("system/") for name in names)
    steps = run.metric("system/cpu_percent").steps()
    assert steps == sorted(steps)
    assert steps[0] >= 0
    assert all(0 <= value <= 100 for value in run.metric("system/cpu_percent").values())
    assert max(run.metric("system/process_cpu_percent").values()) > 10
    assert run.metric("system/process_rss_bytes").values()[-1] > 10_000_000


@pytest.mark.parametrize("how", ["argument", "environment", "project"])
def test_it_can_be_turned_off(how: str, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "environment":
        monkeypatch.setenv("RUNFOLIO_SYSTEM_METRICS", "false")
    if how == "project":
        Path("runfolio.toml").write_text("[system_metrics]\nenabled = false\n")
    with (
        rf.open_history(store_url, project="demo") as history,
        history.start_run(system_metrics=False if how == "argument" else None) as run,
    ):
        run.log("a", 1)
        assert sampling() == []
    assert set(run.metrics()["name"].to_pylist()) == {"a"}


def test_an_argument_beats_the_settings(history: rf.History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNFOLIO_SYSTEM_METRICS", "false")
    with rf.open_history(history.url, project="demo") as off, off.start_run(system_metrics=True):
        assert len(sampling()) == 1


def test_only_the_main_writer_samples(history: rf.History) -> None:
    with history.start_run() as run:
        with history.attach(run.id, writer="rank1") as other:
            other.log("a", 1)
            assert len(sampling()) == 1
        assert len(sampling()) == 1
        work_until_sampled(run, 1)
    assert {key.split(".")[0] for key in run.metrics()["writer"].to_pylist() if key} == {"main", "rank1"}
    table = run.metrics(["system/memory_percent"])
    assert {key.split(".")[0] for key in table["writer"].to_pylist()} <= {"main"}


def test_two_runs_of_one_process_are_sampled_apart(history: rf.History) -> None:
    with history.start_run() as first:
        with history.start_run() as second:
            assert len(sampling()) == 2
            work_until_sampled(second, 1)
        assert len(sampling()) == 1
        work_until_sampled(first, 2)
    for run in (first, second):
        assert set(run.metrics()["name"].to_pylist()) >= ALWAYS


@pytest.mark.not_in_memory("other processes use the store")
@pytest.mark.clouds_on_request("starts processes")
def test_a_forked_child_leaves_the_sampler_alone(history: rf.History) -> None:
    script = """
import os, sys, time
import runfolio as rf
with rf.open_history(sys.argv[1], project="demo") as history, history.start_run(system_metrics=True) as run:
    pid = os.fork()
    if pid == 0:
        run.log("child", 1)
        run.finish()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    while not (run.flush(60) and run.metric("system/memory_percent").values()):
        time.sleep(0.05)
"""
    subprocess.run([sys.executable, "-c", script, history.url], check=True, timeout=60)
    (run,) = history.runs()
    assert run.status == "Completed"
    assert run.metric("child").values() == [1]
    assert run.metric("system/memory_percent").values()
    assert {key.split(".")[0] for key in run.metrics(["system/memory_percent"])["writer"].to_pylist()} == {"main"}


def test_without_psutil_the_kernel_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    found = find_readers()
    assert found is not None
    assert isinstance(found[0], ProcSource)


def test_where_nothing_can_be_read_it_is_said_once(
    history: rf.History, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr(ProcSource, "is_available", staticmethod(lambda: False))
    monkeypatch.setattr(readers, "_said", set())
    with caplog.at_level(logging.INFO):
        with history.start_run():
            pass
        with history.start_run() as run:
            run.log("a", 1)
    assert [record.message for record in caplog.records if "psutil" in record.message] == [
        "No system metrics: this machine has no /proc, and psutil is not installed (pip install psutil)"
    ]
    assert set(run.metrics()["name"].to_pylist()) == {"a"}


def test_a_tool_that_closes_stdin_and_changes_folder_is_sampled(history: rf.History, tmp_path: Path) -> None:
    """The folder that the run began in may be gone when it is asked how full its disk is."""
    folder = tmp_path / "gone"
    folder.mkdir()
    os.chdir(folder)
    with history.start_run() as run:
        os.chdir(tmp_path)
        folder.rmdir()
        work_until_sampled(run, 2)
    assert set(run.metrics()["name"].to_pylist()) >= ALWAYS
