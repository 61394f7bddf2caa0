"""A tracked run in the background of this machine: a job that outlives the terminal."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runfolio.target import Job
from runfolio_plugins.launch.known_targets import open_target
from runfolio_plugins.launch.launcher import BEGINNING
from runfolio_plugins.launch.request import LOCAL, locate, refuse_wild_root

if TYPE_CHECKING:
    from runfolio.target import Target
    from runfolio_plugins.launch.request import LaunchRequest

_PAUSE: Final = 0.02
"""Seconds between two looks at a run that is about to begin."""


def launch_detached(request: LaunchRequest) -> int:
    """Start a tracked run in the background. Returns when the working copy is made: the project may be edited then.

    Returns:
        0, or 1 when the run could not begin.

    Raises:
        ConfigurationError: there is nothing to run, or the configuration is wrong.
        TargetError: the job cannot be started.
    """
    located = locate(request)
    if not request.in_place:
        refuse_wild_root(located)
    target = open_target(LOCAL, located.settings)
    job = Job(
        # -P: what lies in the project is not ours.
        command=(sys.executable, "-P", "-m", "runfolio_plugins.cli", "run", *request.words()),
        folder=str(Path(request.folder or Path.cwd())),
        name=request.name or located.shown,
    )
    return _follow(target, target.submit(job))


def _follow(target: Target, handle: str) -> int:
    """Show what the launcher says until the script begins."""
    shown, rest = 0, b""
    while True:
        final = target.status(handle).final  # asked first: what is printed before the end is then in the log
        printed = target.logs(handle, shown)
        shown += len(printed)
        *lines, rest = (rest + printed).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "backslashreplace")
            if text == BEGINNING:
                return 0
            if text:
                print(text, file=sys.stdout if text.startswith("RunId:") else sys.stderr, flush=True)
        if final:
            return 1
        if not printed:
            time.sleep(_PAUSE)
