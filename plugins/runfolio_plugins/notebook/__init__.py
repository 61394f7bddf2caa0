"""Runs in notebooks: ``%runfolio on|off|show|live`` after ``%load_ext runfolio``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from runfolio.hookspecs import hookimpl

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from runfolio.active_run import ActiveRun


@hookimpl
def runfolio_load_ipython(shell: object) -> None:
    """Add the magics."""
    # Not at the top: plugins are loaded with every history, also where IPython is not installed.
    from runfolio_plugins.notebook.magics import RunfolioMagics  # noqa: PLC0415 (see above)

    found = cast("InteractiveShell", shell)
    found.register_magics(RunfolioMagics(found))


@hookimpl
def runfolio_run_ending(run: ActiveRun) -> None:
    """Show the last values of a run on the panel that follows it: its journal is gone after this."""
    live = sys.modules.get("runfolio_plugins.notebook.live")
    if live is not None:
        live.show_last(run)
