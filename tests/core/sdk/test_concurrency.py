"""Many processes on one store, and processes killed at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

import pytest

import runfolio as rf

MANY = """
import sys
import runfolio as rf
from runfolio.plugins import Plugins

store, runs, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
history = rf.open_history(store, project="p", plugins=Plugins(disabled=["system_metrics"]))
for number in range(runs):
    with history.start_run(name=f"{name}-{number}") as run:
        run.log("value", number)
    print(run.id, run.number, flush=True)
"""

WRITER = """
import sys
import runfolio as rf
from runfolio.plugins import Plugins

store, run_id, name = sys.argv[1:]
history = rf.open_history(store, project="p", plugins=Plugins(disabled=["system_metrics"]))
with history.attach(run_id, writer=name) as run:
    for step in range(500):
        run.log("loss", float(step), step=step)
        run.log(name, step, step=step)
"""

VICTIMS = """
import os, sys
import runfolio as rf
import runfolio.recording.starting, runfolio.store.pushing, runfolio_backends.local  # once, not in each victim
from runfolio.plugins import Plugins

def live_and_die(path):
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    history = rf.open_history(sys.argv[1], project="p", plugins=Plugins(disabled=["system_metrics"]))
    run = history.start_run()
    os.write(log, f"id {run.id}\\n".encode())
    os.write(1, b"started\\n")
    for step in range(3000):
        run.log("loss", float(step), step=step)
        os.write(log, f"{step}\\n".encode())
    run.finish()
    os.write(log, b"finished\\n")

pid = None
for path in sys.stdin:
    if pid is not None:
        os.waitpid(pid, 0)
    pid = os.fork()
    if pid == 0:
        try:
            os.write(1, f"{os.getpid()}\\n".encode())
            live_and_die(path.strip())
        finally:
            os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # whoever kills it may come late, and must hit nobody else
    os.write(1, b"ended\\n")
"""


def processes(code: str, arguments: list[list[str]]) -> list[subprocess.CompletedProcess[str]]:
    """Run copies of a script side by side and return how each ended."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for words in arguments
    ]
    done = []
    for process in started:
        out, err = process.communicate(timeout=900)
        done.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    return done


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.local_only("1,600 runs; tests/backends/test_cloud_processes.py has as many processes on servers")
def test_32_processes_start_and_end_50_runs_each(store: str) -> None:
    done = processes(MANY, [[store, "50", f"process{number}"] for number in range(32)])
    assert [one.stderr for one in done if one.returncode] == []
    told = [line.split() for one in done for line in one.stdout.splitlines()]
    ids, numbers = [run_id for run_id, _ in told], [int(number) for _, number in told]
    assert len(set(ids)) == len(ids) == 1600
    assert len(set(numbers)) == len(numbers) == 1600
    history = rf.open_history(store, project="p")
    records = history.runs().records()
    assert {(record.run_id, record.run_number) for record in records} == set(zip(ids, numbers, strict=True))
    assert {record.status for record in records} == {"Completed"}
    assert len({record.name for record in records}) == 1600
    assert all(record.metrics["value"].count == 1 for record in records)
    before = {record.run_id: record.to_dict() for record in records}
    history.repair()
    assert {record.run_id: record.to_dict() for record in history.runs().records()} == before


@pytest.mark.not_in_memory("other processes use the store")
@pytest.mark.clouds_on_request("starts processes")
def test_8_processes_write_to_one_run(store: str, history: rf.History) -> None:
    with history.start_run() as run:
        done = processes(WRITER, [[store, run.id, f"rank{number}"] for number in range(8)])
        assert [one.stderr for one in done if one.returncode] == []
    stored = history.run(run.id)
    losses = stored.metric("loss").to_arrow()
    assert losses.num_rows == 8 * 500
    assert len(set(losses["writer"].to_pylist())) == 8
    for number in range(8):
        assert stored.metric(f"rank{number}").values() == list(range(500))
    assert stored.record.metrics["loss"].count == 4000
    assert stored.record.rows == 8000


class Victims:
    """Processes that write a run each, one after the other. None of them has a thread or a journal of another one."""

    def __init__(self, store: str) -> None:
        self._nursery = subprocess.Popen(
            [sys.executable, "-c", VICTIMS, store], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._orders, self._words = self._nursery.stdin, self._nursery.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._nursery:
            self._nursery.kill()

    def live_and_die(self, path: Path, seconds: float, *, started: bool) -> None:
        """Let one live for so long at most, counted from its birth or from when its run has started."""
        self._orders.write(f"{path}\n")
        pid = int(self._words.readline())
        word = self._words.readline() if started else ""
        timer = threading.Timer(seconds, lambda: os.kill(pid, signal.SIGKILL))
        timer.start()
        while word != "ended\n":
            word = self._words.readline()
        timer.cancel()
        timer.join()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.not_in_memory("other processes use the store")
@pytest.mark.clouds_on_request("starts processes")
def test_kill_9_at_random_moments_loses_nothing_that_log_returned_for(
    store: str, tmp_path: Path, history: rf.History
) -> None:
    """Some victims die before their start, some while logging, some while they end, some not at all."""
    chance = random.Random(9)
    logs = []
    with Victims(store) as victims:
        for number in range(200):
            logs.append(tmp_path / f"victim{number}.log")
            # Once it has started, the moment of the kill falls into logging or ending.
            victims.live_and_die(logs[-1], chance.expovariate(8.0), started=bool(number % 4))
    history.sync()
    assert history.sync().lines() == ["nothing to send"]
    runs = {run.id: run for run in history.runs()}
    killed = 0
    for path in logs:
        lines = path.read_text().splitlines() if path.exists() else []
        if not lines:
            continue  # killed before start_run returned: it may exist or not
        run = runs[lines[0].split()[1]]
        logged = [float(word) for word in lines[1:] if word.isdigit()]
        values = run.metric("loss").values()
        assert values[: len(logged)] == logged
        assert len(values) <= len(logged) + 1
        if lines[-1] == "finished":
            assert run.status == "Completed"
        else:
            killed += 1
            assert run.status in ("Failed", "Completed" if len(logged) == 3000 else "Failed")
    assert killed > 20
    assert {run.status for run in runs.values()} <= {"Completed", "Failed"}
    numbers = [run.number for run in runs.values()]
    assert len(set(numbers)) == len(numbers)
