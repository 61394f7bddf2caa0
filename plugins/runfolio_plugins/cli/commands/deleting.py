"""``runfolio delete``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from runfolio_plugins.cli.escaping import escape
from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import debug_options, open_history, project_option, store_option
from runfolio_plugins.cli.run_words import chosen_words, find_runs, many_runs

if TYPE_CHECKING:
    from runfolio.run import Run

_EXAMPLES = """
runfolio delete k3f9q
runfolio delete '#12' '#13' --yes
"""
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


@click.command(cls=Command, examples=_EXAMPLES)
@many_runs
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@project_option()
@store_option
@debug_options
def delete(
    *, words: tuple[str, ...], named: tuple[str, ...], yes: bool, project: str | None, store: str | None
) -> None:
    """Delete runs for good, with their metrics and files. Says what goes, and asks.

    Their ids and numbers are never used again. Files that an asset names stay. To only take runs off the list, use
    archive.
    """
    chosen = chosen_words(words, named)
    with open_history(store, project, write=True) as history:
        runs = find_runs(history, chosen, project)
        for run in runs:
            click.echo(escape(_what_goes(run)), err=True)
        if not yes:
            if not somebody_is_there():
                raise click.UsageError("Nobody is there to be asked: --yes deletes without asking.")
            what = "this run" if len(runs) == 1 else f"these {len(runs)} runs"
            click.confirm(f"Delete {what} for good?", abort=True, err=True)
        for run in runs:
            run.delete()
            click.echo(escape(f"Deleted {run.id}"))


def somebody_is_there() -> bool:
    """Whether there is a terminal to ask at."""
    return sys.stdin.isatty()


def _what_goes(run: Run) -> str:
    record = run.record
    files = run.artifacts.list()
    parts = [f"{run.id} ({record.status}{f', {record.name}' if record.name else ''})"]
    parts.append(f"{len(record.metrics)} metrics" if len(record.metrics) != 1 else "1 metric")
    size = size_text(sum(one.size for one in files if one.available))
    parts.append(f"{len(files)} files, {size}" if len(files) != 1 else f"1 file, {size}")
    return ": ".join([parts[0], ", ".join(parts[1:])])


def size_text(size: float) -> str:
    """Return a number of bytes for people."""
    for unit in _UNITS:
        if size < _STEP or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == _UNITS[0] else f"{size:.1f} {unit}"
        size /= _STEP
    return ""
