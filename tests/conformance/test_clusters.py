"""The kit on real clusters of one node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runfolio.testing.conformance import TargetConformance
from runfolio_plugins.clusters.ray_target import RayTarget
from runfolio_plugins.clusters.slurm_target import SlurmTarget

if TYPE_CHECKING:
    from pathlib import Path

    from runfolio.target import Target


@pytest.mark.usefixtures("slurm")
class TestSlurm(TargetConformance):
    patience = 120.0  # a whole cluster shares the machine with the tests

    def make_target(self, state: Path) -> Target:
        return SlurmTarget(logs=str(state / "logs of 100%"))


@pytest.mark.usefixtures("ray")
class TestRay(TargetConformance):
    patience = 120.0  # a whole cluster shares the machine with the tests

    def make_target(self, state: Path) -> Target:
        return RayTarget()
