"""What ``[targets.slurm]`` may say: a closed set, each option with its type."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final, TypedDict, cast

from runfolio.config import readers
from runfolio_plugins.clusters.checked_options import checked, environment, line, setup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.target import Resources

_WORD: Final = re.compile(r"--(?P<name>[a-z][a-z0-9-]*)(?:=(?P<value>[^\0\r\n]*))?")
# fmt: off
SBATCH: Final = frozenset({
    "account", "begin", "comment", "constraint", "contiguous", "cores-per-socket", "cpu-freq", "deadline",
    "dependency", "distribution", "exclude", "exclusive", "gpus-per-node", "gpus-per-task", "gres", "gres-flags",
    "hint", "hold", "licenses", "mail-type", "mail-user", "mem-bind", "mem-per-cpu", "mem-per-gpu", "network", "nice",
    "no-kill", "no-requeue", "nodefile", "nodelist", "nodes", "ntasks", "ntasks-per-node", "oversubscribe",
    "priority", "profile", "reboot", "requeue", "reservation", "signal", "sockets-per-node", "switches",
    "thread-spec", "threads-per-core", "time-min", "tmp", "use-min-nodes", "wckey",
})
# fmt: on
"""Options of sbatch that may be given as they are. Not those that decide what runs, where its output goes, and how."""


class SlurmOptions(TypedDict, total=False):
    """Options of the target ``slurm``. A job may ask for others than the configured `cpus`, `gpus`, `memory`, `time`.

    Attributes:
        partition: the partition.
        account: who pays.
        qos: the quality of service.
        time: how long a job may take, in seconds or as ``"2h"``.
        cpus: processor cores of a job.
        gpus: graphics processors of a job.
        memory: main memory of a job, in bytes or as ``"16 GiB"``.
        sbatch: more options of sbatch, each as ``--name`` or ``--name=value``; `SBATCH` has those that are allowed.
        setup: lines of shell that the job begins with, such as ``module load python``.
        environment: variables of the job. No secrets.
        logs: the folder for the logs of jobs, shared by this machine and the nodes.
    """

    partition: str
    account: str
    qos: str
    time: float | str
    cpus: int
    gpus: int
    memory: int | str
    sbatch: list[str]
    setup: list[str]
    environment: dict[str, str]
    logs: str


def slurm_options(given: Mapping[str, Any]) -> SlurmOptions:
    """Return options after looking at each.

    Raises:
        ConfigurationError: one is unknown or wrong.
    """
    return cast("SlurmOptions", checked("slurm", given, _READERS))


def of_job(options: SlurmOptions, resources: Resources) -> SlurmOptions:
    """Return the options that hold for one job: what it asks for itself wins.

    Raises:
        ConfigurationError: it asks for what this target does not have.
    """
    asked: dict[str, object] = {
        "cpus": None if resources.cpus is None else math.ceil(resources.cpus),
        "gpus": None if resources.gpus is None else math.ceil(resources.gpus),
        "memory": resources.memory,
        "time": resources.seconds,
        **checked("slurm", resources.options, _OF_JOBS),
    }
    return cast("SlurmOptions", {**options, **slurm_options(asked)})


def sbatch_words(options: SlurmOptions) -> list[str]:
    """Return options as arguments of sbatch."""
    named = {"partition": options.get("partition"), "account": options.get("account"), "qos": options.get("qos")}
    words = [f"--{name}={value}" for name, value in named.items() if value is not None]
    if "time" in options:
        words.append(f"--time={math.ceil(float(options['time']) / 60)}")  # minutes
    if "cpus" in options:
        words.append(f"--cpus-per-task={options['cpus']}")
    if "gpus" in options:
        words.append(f"--gpus={options['gpus']}")
    if "memory" in options:
        words.append(f"--mem={math.ceil(int(options['memory']) / 1024)}K")
    return [*words, *options.get("sbatch", [])]


def _sbatch(value: object) -> list[str]:
    words = list(readers.texts(value))
    for word in words:
        found = _WORD.fullmatch(word)
        if found is None:
            raise ValueError(f"{word!r} is not of the form --name or --name=value")
        if found["name"] not in SBATCH:
            raise ValueError(f"{word!r} is no option that may be given as it is")
    return words


_READERS: Final[Mapping[str, readers.Reader]] = {
    "partition": line,
    "account": line,
    "qos": line,
    "time": readers.seconds,
    "cpus": readers.whole,
    "gpus": readers.whole,
    "memory": readers.size,
    "sbatch": _sbatch,
    "setup": setup,
    "environment": environment,
    "logs": line,
}
_OF_JOBS: Final[Mapping[str, readers.Reader]] = {
    name: _READERS[name] for name in ("partition", "account", "qos", "sbatch")
}
"""What a job may say in its own options."""
