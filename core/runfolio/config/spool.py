"""The folder in which journals wait until they are in the store."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from runfolio.config.places import Places
from runfolio.config.project import FOLDER
from runfolio.errors import ConfigurationError

if TYPE_CHECKING:
    from runfolio.config.settings import Settings


def spool_folder(settings: Settings, places: Places | None = None) -> Path:
    """Return the folder for journals, made if needed.

    It is the configured one; else ``spool`` in the user's state folder, so that journals of runs in deleted working
    copies are found again; else, where that cannot be written (a container with a read-only home), ``.runfolio/spool``
    of the project.

    Raises:
        ConfigurationError: the configured folder, or neither of the others, can be written.
    """
    if settings.spool is not None:
        configured = Path(settings.spool)
        problem = _unwritable(configured)
        if problem:
            raise ConfigurationError(
                f"The spool folder {configured} ({settings.origin('spool')}) cannot be written: {problem}", key="spool"
            )
        return configured
    tried: list[str] = []
    for folder in spool_candidates(settings, places):
        problem = _unwritable(folder)
        if problem is None:
            return folder
        tried.append(f"{folder}: {problem}")
    raise ConfigurationError(
        f"No folder for journals can be written ({'; '.join(tried)}). Set RUNFOLIO_SPOOL to one that can", key="spool"
    )


def spool_candidates(settings: Settings, places: Places | None = None) -> list[Path]:
    """Return every folder in which journals of this project may wait: where to look when they are pushed later."""
    if settings.spool is not None:
        return [Path(settings.spool)]
    state = (places or Places.of(os.environ)).user_state
    return [state / "spool", settings.root / FOLDER / "spool"]


def _unwritable(folder: Path) -> str | None:
    """Try it: permissions alone say nothing on a read-only mount or over a full quota."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)
