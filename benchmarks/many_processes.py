"""64 processes that start and end 10 runs each on one store, against as many bare creates by 64 processes.

On a local folder, and through the fault proxy of the tests on S3 (moto) and Azure Blob Storage (Azurite): there once
more with connections that break off and answers that are lost, which may change nothing but the time.

Run it alone: ``python benchmarks/many_processes.py``; ``--store`` chooses, ``--processes`` and ``--runs`` make it
smaller.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Figure, show
from reached import reached

import runfolio as rf
from runfolio.plugins import Plugins

if TYPE_CHECKING:
    from fault_proxy import FaultProxy

SERVERS = {"local": None, "s3": "moto", "azure": "azurite"}
BACKENDS = {"local": "local:LocalBackend", "s3": "s3:S3Backend", "azure": "azure:AzureBackend"}
CREATES = 5
"""Objects that a run creates or puts when it starts and ends without rows."""
SHARE = 0.03
"""Of all requests, those that meet a fault."""

# All are children of one process that has loaded the libraries, and begin at one moment.
CROWD = """
import importlib, os, sys
import runfolio as rf
from runfolio.plugins import Plugins

url, backend, processes, times, creates = *sys.argv[1:3], *map(int, sys.argv[3:])
module, _, kind = backend.partition(":")
Backend = getattr(importlib.import_module("runfolio_backends." + module), kind)
plugins = Plugins(enabled=["builtin_backends"])
with rf.open_history("memory://warm-up", project="p", plugins=plugins) as history:
    with history.start_run(system_metrics=False):
        pass

def runs(name):
    history = rf.open_history(url, project="p", plugins=plugins)
    for turn in range(times + 1):  # the first is not timed: it connects
        with history.start_run(system_metrics=False) as run:
            pass
        os.write(1, f"{run.id} {run.number}\\n".encode())
        if turn == 0:
            yield

def bare(name):
    connected = Backend(url)
    connected.create(f"bare/{name}/first.json", b"x" * 1000)
    yield
    for turn in range(times):
        for part in range(creates):
            connected.create(f"bare/{name}/{turn}-{part}.json", b"x" * 1000)

for name in range(processes):
    if os.fork() == 0:
        status = 1
        try:
            steps = bare(name) if creates else runs(name)
            next(steps)
            os.write(1, b"ready\\n")
            os.read(0, 1)
            for _ in steps:
                pass
            status = 0
        finally:
            if status:
                sys.excepthook(*sys.exc_info())
            os._exit(status)
sys.exit(sum(os.wait()[1] != 0 for _ in range(processes)))
"""


def together(store: str, url: str, processes: int, runs: int, creates: int = 0) -> tuple[float, list[str]]:
    """Let processes loose at one moment; the seconds until the last one is done, and what they printed.

    Args:
        store: its kind.
        url: where it is.
        processes: how many.
        runs: how many each starts and ends.
        creates: so many bare creates take the place of each run; 0 for runs.
    """
    command = [sys.executable, "-W", "ignore", "-c", CROWD, url, BACKENDS[store], *map(str, (processes, runs, creates))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as crowd:
        assert crowd.stdin is not None
        assert crowd.stdout is not None
        lines: list[str] = []
        ready = 0
        while ready < processes:
            line = crowd.stdout.readline().decode()
            assert line, "a process failed before it was ready"
            ready += line == "ready\n"
            lines.append(line)
        begin = time.perf_counter()
        crowd.stdin.write(b"x" * processes)
        crowd.stdin.flush()
        lines += crowd.stdout.read().decode().splitlines()
        failed = crowd.wait()
    assert not failed, f"{failed} processes failed"
    return time.perf_counter() - begin, [line.strip() for line in lines if line != "ready\n"]


@contextmanager
def place(store: str, folder: Path) -> Generator[tuple[FaultProxy | None, str]]:
    """Make an empty store; its URL, and what stands before it if it is in a cloud."""
    server = SERVERS[store]
    if server is None:
        yield None, str(folder / "store")
    else:
        with reached(server, folder / "server") as (proxy, url):
            yield proxy, url


def figures(store: str, processes: int = 64, runs: int = 10) -> Generator[Figure]:
    """Measure one kind of store."""
    what = f"{store}: {processes} processes x {runs} runs"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RUNFOLIO_SPOOL"] = f"{folder}/spool"
        with place(store, Path(folder)) as (proxy, url):
            ours, lines = together(store, f"{url}/history", processes, runs)
            # Afterwards: each listing by moto goes through all that is in the bucket.
            bare, _ = together(store, f"{url}/bare", processes, runs, CREATES)
            yield Figure(f"{what}: time of as many bare creates", ours / bare, 3.0)
            print(f"{what}: {ours:.1f} s; as many bare creates: {bare:.1f} s")
            yield from complete(what, f"{url}/history", lines, processes * (runs + 1))
            if proxy is not None:
                from fault_proxy import SLOW_DOWN, CutRequest, CutResponse, LoseRequest, LoseResponse, Reset

                faults = (LoseRequest(), LoseResponse(), Reset(), CutRequest(20), CutResponse(20), SLOW_DOWN)
                proxy.at_random(SHARE, faults, seed=7)
                broken, lines = together(store, f"{url}/broken", processes, runs)
                proxy.heal()
                met = proxy.faults.total()
                print(f"{what}, {met} requests met a fault: {broken:.1f} s, {broken / bare:.2f} x the bare creates")
                yield from complete(f"{what}, {met} faults", f"{url}/broken", lines, processes * (runs + 1))


def complete(what: str, url: str, lines: list[str], wanted: int) -> Generator[Figure]:
    """What is missing or doubled, once all spools are sent. Each process began with one run that was not timed."""
    with rf.open_history(url, plugins=Plugins(enabled=["builtin_backends"])) as history:
        history.sync()  # a store that did not answer in time got them into the spool
        records = history.runs("*", limit=None).records()
    told = {line.split()[0] for line in lines}
    ended = {one.run_id for one in records if one.status == "Completed"}
    yield Figure(f"{what}: runs that are not there, or have not ended", wanted - len(told & ended), 0, "")
    yield Figure(f"{what}: runs that nobody started", len(records) - wanted, 0, "")
    yield Figure(f"{what}: numbers given twice", wanted - len({one.run_number for one in records}), 0, "")


def main() -> int:
    """Measure; 1 when a budget was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=64)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--store", choices=sorted(SERVERS), action="append", help="only this one")
    options = parser.parse_args()
    return max(show(figures(store, options.processes, options.runs)) for store in options.store or SERVERS)


if __name__ == "__main__":
    sys.exit(main())
