"""64 processes that start and end 10 runs each on one local store, against as many bare creates by 64 processes.

Run it alone: ``python benchmarks/many_processes.py``; ``--processes`` and ``--runs`` make it smaller.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import Figure, show

import runfolio as rf

RUNS = """
import sys
import runfolio as rf
from runfolio.plugins import Plugins
store, runs = sys.argv[1], int(sys.argv[2])
history = rf.open_history(store, project="p", plugins=Plugins(enabled=["builtin_backends"]))
with history.start_run(system_metrics=False):  # loads everything
    pass
print("ready", flush=True); sys.stdin.readline()
for _ in range(runs):
    with history.start_run(system_metrics=False) as run:
        pass
    print(run.id, run.number)
"""

CREATES = """
import os, sys
import runfolio as rf
from runfolio_backends.local import LocalBackend
from runfolio.errors import AlreadyExistsError
import pyarrow.parquet
store, runs, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
backend = LocalBackend(store)
print("ready", flush=True); sys.stdin.readline()
for number in range(runs):
    for part in range(REQUESTS):
        backend.create(f"bare/{name}/{number}-{part}.json", b"x" * 1000)
"""


def together(code: str, store: str, processes: int, runs: int) -> tuple[float, list[str]]:
    """Start the processes, let them loose at one moment, and return the seconds until the last one is done."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, store, str(runs), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    begin = time.perf_counter()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    lines: list[str] = []
    for process in started:
        out, _ = process.communicate()
        lines += out.splitlines()
        assert process.returncode == 0
    return time.perf_counter() - begin, lines


def figures(processes: int = 64, runs: int = 10) -> list[Figure]:
    """Measure both."""
    with tempfile.TemporaryDirectory() as folder:
        # A run that starts and ends without rows creates or puts five objects.
        bare, _ = together(CREATES.replace("REQUESTS", "5"), f"{folder}/bare", processes, runs)
        ours, lines = together(RUNS, f"{folder}/store", processes, runs)
        records = rf.open_history(f"{folder}/store").runs("*").records()
        wanted = processes * (runs + 1)  # each began with one that was not timed
        told = {line.split()[0] for line in lines}
        complete = sum(one.status == "Completed" for one in records) if told <= {one.run_id for one in records} else 0
        numbers = len({one.run_number for one in records})
    assert Path(folder).exists() is False
    return [
        Figure(f"{processes} processes x {runs} runs: time of as many bare creates", ours / bare, 3.0),
        Figure("runs that are not there, or have not ended", wanted - complete, 0, ""),
        Figure("numbers given twice", wanted - numbers, 0, ""),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=64)
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    sys.exit(show(figures(arguments.processes, arguments.runs)))
