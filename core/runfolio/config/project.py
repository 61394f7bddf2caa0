"""Which project a folder belongs to."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from runfolio.errors import ConfigurationError, InvalidNameError
from runfolio.names import MAX_PROJECT_BYTES, encode_project, validate_project

if TYPE_CHECKING:
    from pathlib import Path

PROJECT_FILE: Final = "runfolio.toml"
PYPROJECT: Final = "pyproject.toml"
FOLDER: Final = ".runfolio"
"""The folder of a project that holds the default store and whatever else Runfolio keeps there."""
_MARKERS: Final = (FOLDER, ".git")


@dataclass(frozen=True)
class Project:
    """A folder of source with its configuration.

    Attributes:
        root: the folder.
        file: the configuration file, or None.
        table: what it says, unchecked.
        notes: what should be told to the user about finding it.
    """

    root: Path
    file: Path | None = None
    table: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def folder_name(self) -> str:
        """The name of the project when the configuration does not give one: that of its folder, made valid."""
        return sanitized(self.root.name)

    @property
    def default_store(self) -> Path:
        """The folder of the project's own store."""
        return self.root / FOLDER / "store"


def find_project(start: Path) -> Project:
    """Return the project that a folder belongs to.

    It is the nearest folder, going up from ``start``, that holds ``runfolio.toml``, a ``pyproject.toml`` with
    ``[tool.runfolio]``, ``.runfolio`` or ``.git``; without any of these, ``start`` itself.

    Raises:
        ConfigurationError: a configuration file cannot be read.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        found = _project_at(folder)
        if found is not None:
            return found
    return Project(start)


def _project_at(folder: Path) -> Project | None:
    own, pyproject = folder / PROJECT_FILE, folder / PYPROJECT
    table = _tool_table(pyproject) if pyproject.is_file() else None
    if own.is_file():
        notes = (f"{pyproject}: [tool.runfolio] is ignored because {PROJECT_FILE} stands beside it",) if table else ()
        return Project(folder, own, read_toml(own), notes)
    if table is not None:
        return Project(folder, pyproject, table)
    return Project(folder) if any((folder / marker).exists() for marker in _MARKERS) else None


def _tool_table(path: Path) -> Mapping[str, object] | None:
    """Return ``[tool.runfolio]``. A file that does not speak of Runfolio is not ours to complain about."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if b"runfolio" not in data:
        return None
    tool = read_toml(path).get("tool")
    table = cast("Mapping[str, object]", tool).get("runfolio") if isinstance(tool, Mapping) else None
    if table is not None and not isinstance(table, Mapping):
        raise ConfigurationError(f"{path}: tool.runfolio must be a table: write [tool.runfolio]", key="tool.runfolio")
    return cast("Mapping[str, object] | None", table)


def read_toml(path: Path) -> dict[str, object]:
    """Return what a TOML file says.

    Raises:
        ConfigurationError: it cannot be read or is not TOML. The message names the file and the line.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}", key=str(path)) from error
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path} is not valid TOML: line {line} is not UTF-8", key=str(path)) from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}", key=str(path)) from error


def sanitized(name: str) -> str:
    """Return a valid project name that is as close to this text as can be; ``project`` when nothing of it is left."""
    kept = "".join(letter for letter in re.sub(r"[/\\\x00-\x1f\x7f]+", "-", name) if letter.isprintable()).strip()
    while kept and len(encode_project(kept)) > MAX_PROJECT_BYTES:
        kept = kept[:-1].rstrip()
    try:
        return validate_project(kept)
    except InvalidNameError:
        return "project"
