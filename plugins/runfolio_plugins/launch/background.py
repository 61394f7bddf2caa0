"""A tracked run in the background: a job of a target that outlives the terminal, by default of this machine."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runfolio.errors import ConfigurationError
from runfolio.plugins import Plugins
from runfolio.target import Job
from runfolio_plugins.launch.launcher import BEGINNING
from runfolio_plugins.launch.request import LOCAL, locate, refuse_wild_root

if TYPE_CHECKING:
    from runfolio.config import Settings
    from runfolio.target import Target
    from runfolio_plugins.launch.request import LaunchRequest

_PAUSE: Final = 0.02
"""Seconds between two looks at a run that is about to begin."""


def launch_detached(request: LaunchRequest) -> int:
    """Hand a tracked run to a target. On this machine, returns when the working copy is made: edit the project then.

    Returns:
        0, or 1 when the run could not begin.

    Raises:
        ConfigurationError: there is nothing to run, no such target, or the configuration is wrong.
        TargetError: the target failed.
    """
    located = locate(request)
    if not request.in_place:
        refuse_wild_root(located)
    target = _target(request.target, located.settings)
    here = request.target == LOCAL
    # Elsewhere there is neither this interpreter nor, perhaps, this path. -P: what lies in the project is not ours.
    program = [sys.executable, "-P", "-m", "runfolio_plugins.cli"] if here else ["runfolio"]
    job = Job(
        command=(*program, "run", *request.words()),
        folder=str(Path(request.folder or Path.cwd())),
        name=request.name or located.shown,
    )
    handle = target.submit(job)
    if here:
        return _follow(target, handle)
    print(f"Job: {handle}", flush=True)  # noqa: T201 (what is asked for)
    return 0


def _target(name: str, settings: Settings) -> Target:
    plugins = Plugins(enabled=settings.plugins_enabled, disabled=settings.plugins_disabled)
    known = plugins.registry("runfolio_register_targets")
    if name not in known:
        raise ConfigurationError(
            f"There is no target {name!r}: known are {', '.join(sorted(known)) or 'none'}", key="target"
        )
    target: Target = known[name].load()()
    return target


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
