"""The targets ``slurm`` and ``ray``: tracked runs as jobs of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runfolio.hookspecs import hookimpl

if TYPE_CHECKING:
    from runfolio.hookspecs import RegisterTarget


@hookimpl
def runfolio_register_targets(register: RegisterTarget) -> None:
    """Announce the clusters."""
    register("slurm", "runfolio_plugins.clusters.slurm_target:SlurmTarget")
    register("ray", "runfolio_plugins.clusters.ray_target:RayTarget")


__all__ = ["runfolio_register_targets"]
