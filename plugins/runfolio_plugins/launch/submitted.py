"""What a job of a target does: ``runfolio go-on RUN`` executes a run that was begun elsewhere, here, from its source.

The source comes out of the store, with the project's configuration file in it. Credentials are those of this machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runfolio.config import Origin, StoreProfile
from runfolio.config.project import FOLDER, PROJECT_FILE, PYPROJECT
from runfolio.errors import RunStateError
from runfolio.history import History
from runfolio.ids import parse_run_id
from runfolio.restoring import open_source_of
from runfolio_plugins.launch.launcher import launch, terminal_screen
from runfolio_plugins.launch.request import LaunchRequest, locate
from runfolio_plugins.launch.story import Story
from runfolio_plugins.launch.workspace import folder_of, working_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.config import Settings
    from runfolio.run import Run
    from runfolio_plugins.launch.request import Located

_STORE: Final = "where it was submitted"
"""The store as a profile: its options come with it, and it needs no approval, as the user named it."""
_RESTARTED: Final = "SLURM_RESTART_COUNT"
"""Set by Slurm in a job that it has started again, after its node was lost or was needed for another one."""


def go_on(run_id: str, profile: Mapping[str, Any], request: Mapping[str, Any]) -> int:
    """Execute a submitted run here. Returns the exit code of its script.

    Args:
        run_id: the run.
        profile: its store: `url`, `options` and `single_writer`.
        request: arguments of `LaunchRequest` that the record does not have.

    Raises:
        RunStateError: the run has ended: it was canceled before this job began, or another job has done it.
        RunNotFoundError: the store does not have it.
        NotFoundError: its source is not in the store.
    """
    store = StoreProfile(_STORE, **profile, origin=Origin("argument"))
    with tempfile.TemporaryDirectory(prefix="runfolio-") as scratch:
        root = Path(scratch, "project")
        (root / FOLDER).mkdir(parents=True)  # it is a project, whatever the folders above it are
        bare = _at(store, locate(LaunchRequest(script="", folder=str(root), source=run_id)).settings)
        with History(bare) as history:
            run = history.run(run_id)
            why = _why(run)
            _write_configuration(run, root)
            recorded = run.record
        found = LaunchRequest(
            script=recorded.script_name or "",
            arguments=tuple(recorded.arguments),
            module=bool(recorded.properties.get("Module")),
            folder=str(root),
            project=parse_run_id(run_id).project,
            target=recorded.target or "",
            source=run_id,
            resume=run_id,
            reason=why,
            **request,
        )
        located = locate(found)
        settings = _at(store, located.settings)
        if found.system_metrics is not None:
            settings = replace(settings, system_metrics=found.system_metrics)
        _clear(settings, run_id)
        return _launch(replace(located, settings=settings))


def _at(store: StoreProfile, settings: Settings) -> Settings:
    return replace(
        settings,
        store=_STORE,
        stores={**settings.stores, _STORE: store},
        origins={**settings.origins, "store": Origin("argument")},
    )


def _why(run: Run) -> str:
    """Why the run goes on here, as the reason of the attempt."""
    if os.environ.get(_RESTARTED, "0") != "0":
        return f"started again by Slurm, time {os.environ[_RESTARTED]}"
    if run.status in ("Completed", "Canceled"):
        raise RunStateError(f"Run {run.id} is {run.status}: nothing is left to do", key=run.id)
    return f"the job on the target {run.record.target} has begun"


def _write_configuration(run: Run, root: Path) -> None:
    with open_source_of(run) as source:
        for entry in source.entries:
            if entry.path in (PROJECT_FILE, PYPROJECT):
                (root / entry.path).write_bytes(source.read(entry))


def _clear(settings: Settings, run_id: str) -> None:
    """Remove the folder that an earlier attempt left on this machine, once what it still had to send is sent."""
    folder = folder_of(working_folder(settings), run_id)
    if folder.path.exists() and not folder.in_use():
        with History(settings) as history:
            history.sync()
        folder.remove()


def _launch(located: Located) -> int:
    story = Story(sys.stderr)
    for note in located.settings.notes:
        story.warn(note)
    story.listen()
    try:
        return launch(located, terminal_screen(lambda _: None), story)
    finally:
        story.close()
