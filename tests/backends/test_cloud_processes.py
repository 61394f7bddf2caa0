"""Many processes on one store in a cloud, over a network that breaks connections and loses answers: nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

import runfolio as rf
from runfolio.plugins import Plugins

pytest.importorskip("botocore")

from fault_proxy import SLOW_DOWN, CutRequest, CutResponse, FaultProxy, LoseRequest, LoseResponse, Reset

if TYPE_CHECKING:
    from azurite_blobs import AzuriteBlobs
    from moto_s3 import MotoS3
    from store_access import TestStore

PROCESSES = 64
RUNS = 10
VALUES = 5

# All are children of one process that has loaded the libraries, 16 at a time: loading takes longer than their runs.
WRITERS = """
import os, sys
import runfolio as rf
import runfolio_backends.azure, runfolio_backends.s3
from runfolio.plugins import Plugins

url, processes, runs, values = sys.argv[1], *map(int, sys.argv[2:])
with rf.open_history("memory://warm-up", plugins=Plugins(enabled=["builtin_backends"])) as history:
    with history.start_run(system_metrics=False) as run:
        run.log("loss", 1.0)

def write(name):
    with rf.open_history(url, project="p", plugins=Plugins(enabled=["builtin_backends"])) as history:
        for number in range(runs):
            run = history.start_run(name=f"{name}-{number}", system_metrics=False)
            for step in range(values):
                run.log("loss", float(name * 1000 + number * 10 + step), step=step)
            run.finish()
            os.write(1, f"{run.id}\\n".encode())

alive, failed = set(), 0
for name in range(processes):
    if len(alive) == 16:
        child, status = os.wait()
        alive.discard(child)
        failed += status != 0
    child = os.fork()
    if child == 0:
        status = 1
        try:
            write(name)
            status = 0
        finally:
            os._exit(status)
    alive.add(child)
while alive:
    child, status = os.wait()
    alive.discard(child)
    failed += status != 0
sys.exit(failed)
"""

FAULTS = (LoseRequest(), LoseResponse(), Reset(), CutRequest(20), CutResponse(20), SLOW_DOWN)


def place(request: pytest.FixtureRequest, cloud: str, server: str | None = None) -> TestStore:
    """Return a store on a server that is reached through a proxy."""
    if cloud == "s3":
        moto: MotoS3 = request.getfixturevalue("moto")
        return moto.store(endpoint=server)
    azurite: AzuriteBlobs = request.getfixturevalue("azurite")
    return azurite.store(azurite.connection_string(server=server))


# What is known of the host is forgotten just before the end, as it is after a while.
PLAIN = """
import gc
import aiohttp
import runfolio as rf

run = rf.get_logger()
run.log("loss", 0.5)
assert run.flush(60)
for one in gc.get_objects():
    if isinstance(one, aiohttp.TCPConnector):
        one.clear_dns_cache()
run.log_bytes("outputs/large.bin", bytes(7_000_000))
"""


@pytest.mark.cloud
@pytest.mark.parametrize("cloud", ["s3", "azure"])
def test_the_last_requests_of_a_script(
    request: pytest.FixtureRequest, cloud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host is looked up, and a file is read in parts, when no pool of threads takes work any more."""
    port = request.getfixturevalue("moto" if cloud == "s3" else "azurite").server.ports[0]
    store = place(request, cloud, f"http://localhost:{port}")
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RUNFOLIO_STORE", store.url)
    monkeypatch.setenv("RUNFOLIO_PROJECT", "p")
    done = subprocess.run([sys.executable, "-c", PLAIN], capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1), done.stderr
    with rf.open_history(store.url, project="p") as history:
        run = history.last()
        assert (run.status, run.metric("loss").values()) == ("Completed", [0.5])
        assert run.artifacts["outputs/large.bin"].size == 7_000_000


@pytest.mark.cloud
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("cloud", ["s3", "azure"])
def test_many_processes(request: pytest.FixtureRequest, cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = request.getfixturevalue("moto" if cloud == "s3" else "azurite").server.ports[0]
    with FaultProxy(port) as proxy:
        store = place(request, cloud, proxy.url)
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        proxy.at_random(0.03, FAULTS, seed=7)
        sizes = [str(one) for one in (PROCESSES, RUNS, VALUES)]
        done = subprocess.run(
            [sys.executable, "-c", WRITERS, store.url, *sizes], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-4000:]
        told = done.stdout.split()
        assert proxy.faults.total() > PROCESSES
        with rf.open_history(store.url, project="p", plugins=Plugins(enabled=["builtin_backends"])) as history:
            history.sync()
            proxy.heal()
            runs = history.runs(limit=None)
            records = runs.records()
            assert Counter(one.run_id for one in records) == Counter(told)
            assert len(set(told)) == PROCESSES * RUNS
            assert len({one.run_number for one in records}) == PROCESSES * RUNS
            assert {one.status for one in records} == {"Completed"}
            names = sorted(f"{name}-{number}" for name in range(PROCESSES) for number in range(RUNS))
            assert sorted(one.name or "" for one in records) == names
            rows = history.metrics(runs, names=["loss"])
            expected = [
                float(name * 1000 + number * 10 + step)
                for name in range(PROCESSES)
                for number in range(RUNS)
                for step in range(VALUES)
            ]
            assert sorted(rows.column("value").to_pylist()) == expected
