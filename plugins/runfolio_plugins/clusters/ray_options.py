"""What ``[targets.ray]`` may say: a closed set, each option with its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict, cast

from runfolio.config import readers
from runfolio.errors import ConfigurationError
from runfolio_plugins.clusters.checked_options import checked, environment, line, setup
from runfolio_plugins.clusters.ray_api import checked_address

if TYPE_CHECKING:
    from runfolio.target import Resources


class RayOptions(TypedDict, total=False):
    """Options of the target ``ray``. A job may ask for others than the configured `cpus`, `gpus`, `memory`.

    Attributes:
        address: the URL of the dashboard, ``http://HOST:8265``; by default what RAY_API_SERVER_ADDRESS says.
        ca: a file of certificates that an ``https`` address is verified against; by default those of this system.
        cpus: processor cores that Ray sets aside for a job.
        gpus: graphics processors, likewise.
        memory: main memory, in bytes or as ``"16 GiB"``, likewise.
        resources: what else a job needs, as Ray's custom resources: a table of numbers.
        setup: lines of shell that the job begins with.
        environment: variables of the job. No secrets.
    """

    address: str
    ca: str
    cpus: float
    gpus: float
    memory: int | str
    resources: dict[str, float]
    setup: list[str]
    environment: dict[str, str]


def ray_options(given: Mapping[str, Any]) -> RayOptions:
    """Return options after looking at each.

    Raises:
        ConfigurationError: one is unknown or wrong.
    """
    return cast("RayOptions", checked("ray", given, _READERS))


def of_job(options: RayOptions, needed: Resources) -> RayOptions:
    """Return the options that hold for one job: what it asks for itself wins.

    Raises:
        ConfigurationError: it asks for what this target does not have.
    """
    if needed.seconds is not None:
        raise ConfigurationError("Ray has no time limit for jobs: leave it out", key="seconds")
    asked: dict[str, object] = {
        "cpus": needed.cpus,
        "gpus": needed.gpus,
        "memory": needed.memory,
        **checked("ray", needed.options, {"resources": _resources}),
    }
    return cast("RayOptions", {**options, **ray_options(asked)})


def needs(options: RayOptions) -> dict[str, object]:
    """Return what a job needs as fields of its submission."""
    fields = {
        "entrypoint_num_cpus": options.get("cpus"),
        "entrypoint_num_gpus": options.get("gpus"),
        "entrypoint_memory": options.get("memory"),
        "entrypoint_resources": options.get("resources"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _number(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise ValueError("expected a number above zero")
    return value


def _resources(value: object) -> dict[str, float]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError("expected a table of numbers")
    return {name: _number(amount) for name, amount in value.items()}


_READERS: Final[Mapping[str, readers.Reader]] = {
    "address": lambda value: checked_address(line(value)),
    "ca": line,
    "cpus": _number,
    "gpus": _number,
    "memory": readers.size,
    "resources": _resources,
    "setup": setup,
    "environment": environment,
}
