"""A Ray cluster of one node on loopback, with token authentication."""

from __future__ import annotations

import os
import secrets
import tempfile
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from server_process import LOOPBACK, program, running

_REMEDY: Final = "pip install --group clusters"
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class RayCluster:
    """A cluster that takes jobs.

    Attributes:
        address: the URL of its dashboard.
        token: what opens it.
    """

    address: str
    token: str = field(repr=False)

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables by which Ray's own tools find it."""
        return {"RAY_API_SERVER_ADDRESS": self.address, "RAY_AUTH_TOKEN": self.token}

    def describe(self, path: str) -> str:
        """Return what the cluster says at a path.

        Raises:
            OSError: nobody answers, or the answer is no.
        """
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{self.address}{path}", headers=headers)
        with _DIRECT.open(request, timeout=30) as response:
            return str(response.read().decode())

    @property
    def answers(self) -> bool:
        """Whether it takes jobs."""
        try:
            self.describe("/api/jobs/")
        except OSError:
            return False
        return True


@contextmanager
def ray_cluster(folder: Path) -> Generator[RayCluster, None, None]:
    """Run a cluster for as long as the context lasts. Its jobs see nothing of the environment of the tests.

    Raises:
        MissingServerError: Ray is not installed.
    """
    ray = program("ray", _REMEDY)
    token = secrets.token_hex(32)
    settings = {
        "HOME": str(folder),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else it listens on an address that others can reach
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    secret = {name: value for name, value in settings.items() if name == "RAY_AUTH_TOKEN"}
    plain = [f"{name}={value}" for name, value in settings.items() if name not in secret]
    kept = [f"--unset={name}" for name in os.environ if name not in settings]
    # Sockets have short paths, and a folder of pytest may be a long one.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as sessions:

        def command(ports: tuple[int, ...]) -> list[str]:
            port, dashboard, agent, metrics, client = ports
            return [
                *("env", *kept, *plain, ray, "start", "--head", "--block", "--disable-usage-stats"),
                *(f"--dashboard-host={LOOPBACK}", f"--dashboard-port={dashboard}", f"--port={port}"),
                *(f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}"),
                *(f"--ray-client-server-port={client}", "--min-worker-port=0", "--max-worker-port=0"),
                *("--num-cpus=8", "--num-gpus=0"),
                *("--object-store-memory=80000000", f"--temp-dir={sessions}"),
            ]

        def ready(ports: tuple[int, ...]) -> bool:
            return RayCluster(f"http://{LOOPBACK}:{ports[1]}", token).answers

        with running(command, folder, ports=5, environment=secret, ready=ready) as server:
            yield RayCluster(f"http://{LOOPBACK}:{server.ports[1]}", token)
