"""A tracked run in the foreground: the terminal shows it, signals reach it."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from runfolio.errors import ConfigurationError
from runfolio_plugins.launch.launcher import launch, terminal_screen
from runfolio_plugins.launch.request import LOCAL, locate, refuse_wild_root
from runfolio_plugins.launch.story import Story

if TYPE_CHECKING:
    from collections.abc import Callable

    from runfolio_plugins.launch.request import LaunchRequest


def launch_here(request: LaunchRequest, begun: Callable[[str], object] = lambda _: None) -> int:
    """Execute a tracked run, shown on this process's stdout and stderr. Returns the exit code of the script.

    Args:
        request: what to run.
        begun: called with the id of the run when it has one.

    Raises:
        ConfigurationError: there is nothing to run, it is to run elsewhere, or the configuration is wrong.
    """
    if request.target != LOCAL:
        raise ConfigurationError(
            f"A run on the target {request.target!r} is not shown here: use --detach, and follow it in its log",
            key="target",
        )
    located = locate(request)
    if not request.in_place:
        refuse_wild_root(located)
    # The command line prints warnings already; without it, somebody must.
    story = Story(sys.stderr, show_warnings=not logging.getLogger("runfolio").handlers)
    for note in located.settings.notes:
        story.warn(note)
    story.listen()
    try:
        return launch(located, terminal_screen(begun), story)
    finally:
        story.close()
