"""A Slurm cluster of one node on loopback: munged, slurmctld and slurmd, started as root in a folder of their own."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server_process import LOOPBACK, MissingServerError, program, running

_REMEDY: Final = "apt-get install slurmctld slurmd slurm-client munge"
_CONFIGURATION: Final = """
ClusterName=tests
SlurmctldHost={host}({loopback})
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
SlurmUser=root
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
NodeName={host} NodeAddr={loopback} CPUs=8 RealMemory=8000 State=UNKNOWN
PartitionName=tests Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@dataclass(frozen=True, slots=True)
class SlurmCluster:
    """A cluster that takes jobs.

    Attributes:
        environment: variables by which the programs of Slurm find it.
    """

    environment: Mapping[str, str]

    def call(self, *words: str) -> str:
        """Return what a program of Slurm prints."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout

    def answers(self, *words: str) -> bool:
        """Whether a program of Slurm succeeds."""
        environment = {**os.environ, **self.environment}
        return not subprocess.run(words, env=environment, check=False, capture_output=True).returncode


@contextmanager
def slurm_cluster(folder: Path) -> Generator[SlurmCluster, None, None]:
    """Run a cluster for as long as the context lasts. Its user, and that of its jobs, is root.

    Raises:
        MissingServerError: a program is not installed, or this user is not root.
    """
    daemons = {name: _program(name) for name in ("munged", "slurmctld", "slurmd", "sbatch")}
    if os.geteuid() != 0:
        raise MissingServerError("the daemons of Slurm need root")
    configuration = folder / "slurm.conf"
    environment = {"SLURM_CONF": str(configuration)}
    for name in ("state", "spool", "munge", "controller", "node"):
        (folder / name).mkdir(mode=0o755)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    with ExitStack() as stack:
        stack.enter_context(
            running(
                lambda _: [
                    daemons["munged"], "--foreground", "--force", f"--key-file={key}", f"--origin={LOOPBACK}",
                    *(f"--{name}={folder}/munge/{name}" for name in ("socket", "log-file", "pid-file", "seed-file")),
                ],
                folder / "munge",
                ports=0,
                ready=lambda _: _answers(str(folder / "munge" / "socket")),
            )
        )  # fmt: skip
        cluster = SlurmCluster(environment)

        def controller(ports: tuple[int, ...]) -> list[str]:
            host = socket.gethostname().split(".")[0]
            text = _CONFIGURATION.format(
                host=host, loopback=LOOPBACK, folder=folder, controller=ports[0], node=ports[1]
            )
            configuration.write_text(text)
            return [daemons["slurmctld"], "-D"]

        stack.enter_context(
            running(
                controller,
                folder / "controller",
                ports=2,
                environment=environment,
                ready=lambda _: cluster.answers("scontrol", "ping"),
            )
        )
        stack.enter_context(
            running(
                lambda _: [daemons["slurmd"], "-D"],
                folder / "node",
                ports=0,
                environment=environment,
                ready=lambda _: "idle" in cluster.call("sinfo", "--noheader", "--format=%T"),
            )
        )
        yield cluster


def _program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    return found or program(name, _REMEDY)


def _answers(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(path)
    except OSError:
        return False
    return True
