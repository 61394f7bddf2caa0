"""``runfolio logs``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from runfolio.errors import ArtifactNotFoundError
from runfolio_plugins.cli.emitting import note
from runfolio_plugins.cli.files import LogPrinter, find_file, print_file
from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import debug_options, open_history, project_option, store_option
from runfolio_plugins.cli.run_words import chosen_word, find_run, one_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runfolio.run import Run

_EXAMPLES = """
runfolio logs @last
runfolio logs -f k3f9q
"""
_LOG: Final = "driver_log"
_CHUNK: Final = 256 * 1024
_HERE: Final = 0.1
_ELSEWHERE: Final = 5.0
"""Seconds between two looks: at a file of this machine, and at the store."""


@click.command(cls=Command, examples=_EXAMPLES)
@one_run
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended. Ctrl-C ends only that.")
@project_option()
@store_option
@debug_options
def logs(*, word: str | None, named: str | None, follow: bool, project: str | None, store: str | None) -> None:
    """Print what the script of a run has printed so far.

    Of a run on this machine that is all of it; of one on another machine, what has been sent to the store: a minute
    after its start, then more and more seldom, and all of it at the end.
    """
    chosen = chosen_word(word, named)
    with open_history(store, project) as history:
        run = find_run(history, chosen, project)

        def live_log() -> Path | None:
            found: Path | None = history.plugins.hook.runfolio_live_log(run=run)
            return found

        try:
            path = live_log()
            if path is not None:
                _print_growing(path, lambda: follow and live_log() == path)
            elif not follow or run.record.ended:
                print_file(find_file(run, _LOG))
            else:
                _follow_stored(run)
        except KeyboardInterrupt:
            note(f"{run.id} goes on: runfolio cancel ends it")
            raise


def _print_growing(path: Path, goes_on: Callable[[], bool]) -> None:
    """Print a file, and what is added to it as long as somebody may add something."""
    printer = LogPrinter()
    with path.open("rb") as file:
        while True:
            more = goes_on()  # asked first: what is printed before the end is then in the file
            while chunk := file.read(_CHUNK):
                printer.write(chunk)
            printer.flush()
            if not more:
                break
            time.sleep(_HERE)
    printer.close()


def _follow_stored(run: Run) -> None:
    """Print the log of a run of another machine as it reaches the store."""
    printer, shown = LogPrinter(), 0
    while True:
        ended = run.refresh().status != "Running"
        try:
            with find_file(run, _LOG).open() as file:
                file.seek(shown)
                while chunk := file.read(_CHUNK):
                    shown += len(chunk)
                    printer.write(chunk)
        except ArtifactNotFoundError:
            pass  # nothing has been sent yet
        printer.flush()
        if ended:
            break
        time.sleep(_ELSEWHERE)
    printer.close()
