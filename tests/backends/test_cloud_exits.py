"""Scripts that end while their values are on the way to a store in a cloud: all is in the store or in the spool."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import runfolio as rf

pytest.importorskip("botocore")

from fault_proxy import Fault, FaultProxy, Hang, LoseResponse

if TYPE_CHECKING:
    from azurite_blobs import AzuriteBlobs
    from http_messages import Head
    from moto_s3 import MotoS3

pytestmark = pytest.mark.cloud

VALUES = 3000
SIZE = 7 * 1024 * 1024 + 1

SCRIPT = """
import sys
from pathlib import Path

import aiohttp

import runfolio as rf

# Each connection asks for the address of the server anew, as one does that begins a while after the last.
aiohttp.TCPConnector.__init__.__kwdefaults__["use_dns_cache"] = False

how, file, seen = sys.argv[1:]
run = rf.get_logger() if how == "current" else rf.open_history().start_run(system_metrics=False)
for step in range(3000):
    run.log("loss", float(step), step=step)
run.log_artifact(file)
print(run.id, flush=True)
if seen:
    while not Path(seen).exists():
        run.flush(timeout=0.1)
"""


@dataclass(frozen=True)
class Cloud:
    """A store whose server is reached by its name, through a proxy."""

    proxy: FaultProxy
    environment: dict[str, str]
    file: Path

    def execute(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Python with the store in its environment."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(
            [sys.executable, *words], env=environment, capture_output=True, text=True, check=False, cwd=self.file.parent
        )

    def run(self, how: str, seen: Path | None = None) -> str:
        """Run the script to its end and return the id of its run."""
        done = self.execute("-c", SCRIPT, how, str(self.file), str(seen or ""))
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout.strip()

    def sync(self) -> None:
        """Send what is left, as somebody does later."""
        done = self.execute("-m", "runfolio_plugins.cli", "sync")
        assert done.returncode == 0, done.stdout + done.stderr

    def require(self, run_id: str, status: str) -> None:
        """See to it that the run has ended with everything that was logged."""
        with rf.open_history(self.environment["RUNFOLIO_STORE"]) as history:
            run = history.run(run_id)
            assert run.status == status
            assert run.metric("loss").to_arrow().column("value").to_pylist() == [float(at) for at in range(VALUES)]
            assert run.artifacts[f"outputs/{self.file.name}"].read_bytes() == self.file.read_bytes()


@pytest.fixture(params=["s3", "azure"])
def cloud(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Cloud]:
    file = tmp_path / "model.bin"
    file.write_bytes(os.urandom(SIZE))
    server: MotoS3 | AzuriteBlobs = request.getfixturevalue("moto" if request.param == "s3" else "azurite")
    with FaultProxy(server.server.ports[0]) as proxy:
        named = proxy.url.replace("127.0.0.1", "localhost")
        if request.param == "s3":
            moto: MotoS3 = request.getfixturevalue("moto")
            store = moto.store(endpoint=named)
        else:
            azurite: AzuriteBlobs = request.getfixturevalue("azurite")
            store = azurite.store(azurite.connection_string(server=named))
        environment = {**store.environment, "RUNFOLIO_STORE": store.url, "RUNFOLIO_SPOOL": str(tmp_path / "spool")}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield Cloud(proxy, environment, file)


def test_the_current_run_ends_with_its_script(cloud: Cloud) -> None:
    run_id = cloud.run("current")
    cloud.require(run_id, "Completed")  # without a sync


def test_a_run_that_nobody_ended_is_complete_after_a_sync(cloud: Cloud) -> None:
    run_id = cloud.run("open")
    cloud.sync()
    cloud.require(run_id, "Failed")


@pytest.mark.parametrize(
    ("how", "fault", "status"), [("current", LoseResponse(), "Completed"), ("open", Hang(), "Failed")]
)
def test_a_script_ends_while_a_flush_is_on_the_way(
    cloud: Cloud, tmp_path: Path, how: str, fault: Fault, status: str
) -> None:
    seen = tmp_path / "seen"

    def flushing(head: Head) -> bool:
        if "/live/" not in head.target:
            return False
        seen.touch()
        return True

    cloud.proxy.next(fault, where=flushing)
    run_id = cloud.run(how, seen)
    cloud.proxy.heal()
    cloud.sync()
    cloud.require(run_id, status)
