"""Trees of files, snapshots of them, and the `git` program to compare with."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runfolio.snapshot import look_through
from runfolio.snapshot.known import Known
from runfolio.snapshot.taking import Rules, take_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from runfolio.snapshot import Snapshot

_numbers = count()


@dataclass
class Workshop:
    """A project folder, and what is remembered of it."""

    root: Path
    aside: Path
    known: Known = field(default_factory=Known)

    def take(self, **rules: Any) -> Snapshot:
        """Take a snapshot into a folder of its own."""
        folder = self.aside / f"snapshot{next(_numbers)}"
        folder.mkdir(parents=True)
        return take_snapshot(look_through(self.root), Rules(**rules), self.known, folder)

    def write(self, path: str, content: str | bytes = "x\n") -> Path:
        """Write a file."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def git(self, *words: str, **options: Any) -> str:
        """Run `git` in the project."""
        return git(self.root, *words, **options)


def git(folder: Path, *words: str, **options: Any) -> str:
    """Run `git`, and return what it printed."""
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, check=True, **options)
    return os.fsdecode(done.stdout).strip()


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """An empty project."""
    return new_project(tmp_path)


def new_project(folder: Path) -> Workshop:
    """Make an empty project below a folder."""
    root = folder / "proj"
    root.mkdir(parents=True)
    return Workshop(root, folder / "aside")


@pytest.fixture
def make_project() -> Callable[[Path], Workshop]:
    """Make an empty project below a folder."""
    return new_project


@pytest.fixture(name="git")
def git_program() -> Callable[..., str]:
    """Run `git` in a folder, and return what it printed."""
    return git
