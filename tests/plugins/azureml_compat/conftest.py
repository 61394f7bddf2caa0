"""Runs scripts of Workbench's time, as tracked runs and with plain Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import runfolio as rf
from runfolio_plugins.azureml_compat import shim_folder

SCRIPTS = Path(__file__).parents[2] / "fixtures" / "workbench"
PROJECT = "workbench"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a script left."""

    code: int
    stdout: str
    stderr: str
    run: rf.Run

    def value(self, name: str) -> object:
        """Return the only value of a metric."""
        (value,) = self.run.metric(name).values()
        return value


Start = Callable[..., Outcome]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with all the scripts."""
    folder = tmp_path / "project"
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "runfolio.toml").write_text(f'project = "{PROJECT}"\n\n[system_metrics]\nenabled = false\n')
    return folder


@pytest.fixture
def history(project: Path) -> rf.History:
    """The history that runs of the project go into."""
    return rf.open_history(project / ".runfolio" / "store", project=PROJECT)


def execute(project: Path, command: list[str], history: rf.History, **variables: str) -> Outcome:
    done = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    history.sync()
    runs = list(history.runs(archived=None))
    assert len(runs) == 1, f"{len(runs)} runs\n{done.stdout}\n{done.stderr}"
    return Outcome(done.returncode, done.stdout, done.stderr, runs[0])


@pytest.fixture
def tracked(project: Path, history: rf.History) -> Start:
    """Runs a script with ``runfolio run``."""

    def start(script: str, *arguments: str) -> Outcome:
        return execute(project, [sys.executable, "-m", "runfolio_plugins.cli", "run", script, *arguments], history)

    return start


@pytest.fixture
def plain(project: Path, history: rf.History) -> Start:
    """Runs a script with ``python`` where the package `azureml` is on the path, as the distribution puts it there."""

    def start(script: str, *arguments: str) -> Outcome:
        (project / "outputs").mkdir(exist_ok=True)
        paths = [str(shim_folder()), *filter(None, [os.environ.get("PYTHONPATH")])]
        return execute(project, [sys.executable, script, *arguments], history, PYTHONPATH=os.pathsep.join(paths))

    return start


@pytest.fixture(params=["tracked", "plain"])
def start(request: pytest.FixtureRequest) -> Start:
    """Runs a script in both ways."""
    chosen: Start = request.getfixturevalue(request.param)
    return chosen
