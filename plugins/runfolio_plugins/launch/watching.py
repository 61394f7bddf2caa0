"""The table of ``runfolio jobs``, and the history that the commands about running things look at."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from runfolio.config import resolve
from runfolio.errors import RunfolioError
from runfolio.history import EVERY_PROJECT, History
from runfolio_plugins.launch.jobs_table import as_dicts, as_table, rows_of
from runfolio_plugins.launch.sweeping import continue_sweeps

if TYPE_CHECKING:
    from runfolio_plugins.launch.jobs_table import JobRow

_PAUSE: Final = 2.0
"""Seconds between two looks at the store."""


def open_here(store: str | None, project: str | None, *, write: bool = False) -> History:
    """Open a history, after what killed processes of this machine left: sweeps go on, and what they logged is sent.

    Raises:
        ConfigurationError: the configuration is wrong.
    """
    explicit = {"store": store, "project": None if project == EVERY_PROJECT else project}
    settings = resolve({name: value for name, value in explicit.items() if value is not None})
    continue_sweeps()
    try:
        with History(settings) as history:
            history.sync()
    except (RunfolioError, OSError) as error:
        click.echo(f"Warning: what earlier processes left here cannot be sent to the store: {error}", err=True)
    return History(settings, read_only=not write)


def show_jobs(store: str | None, project: str | None, *, output: str, once: bool) -> None:
    """Show what runs and what waits: on a terminal until nothing does, elsewhere once.

    Raises:
        StoreNotFoundError: there is no store.
    """
    with open_here(store, project) as history:
        rows = rows_of(history, project)
        if output == "json":
            click.echo(json.dumps(as_dicts(rows), indent=2))
        elif not rows:
            click.echo("nothing runs or waits", err=True)
        elif once or not sys.stdout.isatty():
            _print(rows)
        else:
            _keep_showing(history, project, rows)


def _print(rows: list[JobRow]) -> None:
    from rich.console import Console  # noqa: PLC0415 (loaded on use)

    # Into a pipe everything is written, whatever the width of the terminal.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(as_table(rows))


def _keep_showing(history: History, project: str | None, rows: list[JobRow]) -> None:
    from rich.live import Live  # noqa: PLC0415 (loaded on use)

    try:
        with Live(as_table(rows), auto_refresh=False) as live:
            while rows:
                time.sleep(_PAUSE)
                rows = rows_of(history, project)
                live.update(as_table(rows), refresh=True)
    except KeyboardInterrupt:
        click.echo("runfolio: the runs go on", err=True)
