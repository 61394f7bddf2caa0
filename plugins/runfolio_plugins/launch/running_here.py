"""Runs whose launcher lives on this machine: found by the lock of their folder, told to end, watched."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from runfolio.config import resolve
from runfolio_plugins.launch.sweep_plan import find_task
from runfolio_plugins.launch.workspace import folder_of, working_candidates

if TYPE_CHECKING:
    from pathlib import Path

    from runfolio_plugins.launch.workspace import RunFolder


def folder_here(run_id: str) -> RunFolder | None:
    """Return the folder of a run whose launcher lives here; None when there is none."""
    for working in working_candidates(resolve()):
        folder = folder_of(working, run_id)
        if folder.in_use():
            return folder
    return None


def launcher_of(run_id: str | None) -> int | None:
    """Return the process that launched a run and still lives; None when there is none."""
    folder = None if run_id is None else folder_here(run_id)
    return None if folder is None else folder.launcher()


def cancel_here(run_id: str) -> bool | None:
    """Tell the launcher of a run to end it. None when it has none here, and belongs to no sweep that would begin it."""
    task = find_task(run_id)
    if task is not None and task.end is None:
        task.cancel()  # first: else the queue would begin it again
    pid = launcher_of(run_id)
    if pid is not None:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pid = None
    return True if pid is not None or (task is not None and task.end is None) else None


def live_log(run_id: str) -> Path | None:
    """Return the file in which the output of a run grows; None when its launcher does not live here."""
    folder = folder_here(run_id)
    return folder.driver_log if folder is not None and folder.driver_log.exists() else None
