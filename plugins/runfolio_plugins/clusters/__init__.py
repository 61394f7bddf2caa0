"""The target ``slurm``: tracked runs as jobs of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runfolio.hookspecs import hookimpl

if TYPE_CHECKING:
    from runfolio.hookspecs import RegisterTarget


@hookimpl
def runfolio_register_targets(register: RegisterTarget) -> None:
    """Announce the clusters."""
    register("slurm", "runfolio_plugins.clusters.slurm_target:SlurmTarget")


__all__ = ["runfolio_register_targets"]
