"""A project and the folders of a user and a site, all empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runfolio.config import Places, Settings, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Machine:
    """Files of a project, a user and a site, and the settings that come of them."""

    def __init__(self, root: Path) -> None:
        self.project = root / "iris"
        self.places = Places(root / "user", root / "state", root / "site", root / "cache")
        self.environ: dict[str, str] = {}
        self.project.mkdir()

    def write(self, where: str, text: str) -> Path:
        """Write a file: ``project``, ``pyproject``, ``user`` or ``site``."""
        path = {
            "project": self.project / "runfolio.toml",
            "pyproject": self.project / "pyproject.toml",
            "user": self.places.user_file,
            "site": self.places.site_file,
        }[where]
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def resolve(self, explicit: Mapping[str, object] | None = None, start: Path | None = None) -> Settings:
        """Resolve the settings in the project, or in another folder."""
        return resolve(explicit, start or self.project, self.environ, self.places)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A project called iris, and a user without any file."""
    return Machine(tmp_path)


@pytest.fixture
def make_machine(tmp_path: Path) -> Callable[[str], Machine]:
    """Make a further machine."""

    def make(name: str) -> Machine:
        (tmp_path / name).mkdir()
        return Machine(tmp_path / name)

    return make
