"""The kit on the targets that come with Runfolio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runfolio.hookspecs import hookimpl
from runfolio.plugins import Plugins
from runfolio.testing.conformance import TargetConformance
from runfolio_plugins.launch.local_target import LocalTarget

if TYPE_CHECKING:
    from pathlib import Path

    from runfolio.hookspecs import RegisterTarget
    from runfolio.target import Target


class TestLocal(TargetConformance):
    def make_target(self, state: Path) -> Target:
        return LocalTarget(state)


def test_others_register_targets_by_the_same_hook() -> None:
    class Elsewhere:
        @hookimpl
        def runfolio_register_targets(self, register: RegisterTarget) -> None:
            register("elsewhere", "runfolio_plugins.launch.local_target:LocalTarget")

    found = Plugins(extra=[Elsewhere()]).registry("runfolio_register_targets")
    assert {"local", "ray", "slurm", "elsewhere"} == set(found)
    assert "Elsewhere" == found["elsewhere"].plugin


def test_the_local_target_comes_through_the_hook() -> None:
    found = Plugins().registry("runfolio_register_targets")["local"]
    assert ("launch", LocalTarget) == (found.plugin, found.load())
