"""Projects, and tracked runs in them: in this process, or as a real command where processes matter."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runfolio as rf
from runfolio_plugins.launch.foreground import launch_here
from runfolio_plugins.launch.request import LaunchRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

LIMIT = 120
"""Seconds after which a process hangs. Nothing here comes near it."""


@dataclass
class Tracked:
    """What a tracked run in this process came to."""

    code: int
    out: str
    err: str
    run: rf.Run

    def text(self, path: str) -> str:
        """Return an artifact as text."""
        return self.run.artifacts[path].read_bytes().decode()

    def paths(self) -> list[str]:
        """Return the paths of the artifacts, logs left out."""
        return sorted(one.path for one in self.run.artifacts.list() if not one.path.startswith("logs/"))


class Project:
    """A project, by default with the store of its folder."""

    def __init__(self, root: Path, state: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.store = str(root / ".runfolio" / "store")
        self.state = state
        self._capfd = capfd

    @property
    def working(self) -> Path:
        """The folder of the folders of runs."""
        return self.state / "runfolio" / "working"

    def kept(self) -> list[Path]:
        """Return the folders of runs that are there."""
        return sorted(self.working.iterdir()) if self.working.is_dir() else []

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def history(self) -> rf.History:
        """Open the history of the project."""
        return rf.open_history(self.store, project="proj")

    def launch(self, script: str, *arguments: str, **options: Any) -> Tracked:
        """Execute a tracked run in this process. `script` is a file, or the text of one."""
        if "\n" in script:
            self.write("script.py", script)
            script = "script.py"
        self._capfd.readouterr()
        options.setdefault("folder", str(self.root))
        code = launch_here(LaunchRequest(script=script, arguments=arguments, **options))
        shown = self._capfd.readouterr()
        return Tracked(code, shown.out, shown.err, self.last())

    def last(self) -> rf.Run:
        """Return the newest run."""
        return self.history().last(any_user=True)

    def command(self, *words: str) -> list[str]:
        """Return the command line of ``runfolio``."""
        return [sys.executable, "-m", "runfolio_plugins.cli", *words]

    def runfolio(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``runfolio`` as a process of its own, to its end."""
        options.setdefault("cwd", self.root)
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=LIMIT,
            check=False,
            **options,
        )


@pytest.fixture
def project(own_surroundings: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Project:
    """A project in the current folder."""
    root = own_surroundings / "work" / "proj"
    root.mkdir()
    (root / "runfolio.toml").write_text('project = "proj"\n[system_metrics]\nenabled = false\n')
    monkeypatch.chdir(root)
    return Project(root, own_surroundings / "state", capfd)


@pytest.fixture
def marker(own_surroundings: Path) -> Path:
    """A named pipe: whoever opens it for reading waits until somebody writes into it."""
    path = own_surroundings / "marker"
    os.mkfifo(path)
    return path


@pytest.fixture
def processes() -> Generator[Callable[..., subprocess.Popen[str]]]:
    """Start processes that are gone when the test is over."""
    started: list[subprocess.Popen[str]] = []

    def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", **options
        )
        started.append(process)
        return process

    yield start
    for process in started:
        for _ in range(2):  # the second one takes the script with it
            if process.poll() is None:
                process.terminate()
        try:
            process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
