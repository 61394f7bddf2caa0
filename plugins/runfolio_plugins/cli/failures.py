"""How the program says that something went wrong: one line that tells what to do next, and an exit code.

0 done; 1 it failed; 2 the command line is wrong; 3 a plugin refused it; 130 interrupted by Ctrl-C; 141 whoever read the
output has gone.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Final

import click

from runfolio.errors import RunfolioError
from runfolio.plugins import Refusal
from runfolio_plugins.cli.escaping import escape_text

FAILED: Final = 1
USAGE: Final = 2
REFUSED: Final = 3
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


def exit_code_of(error: BaseException) -> int:
    """Return the exit code that an exception stands for."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if _interrupted(error):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    if isinstance(error, click.ClickException):
        return error.exit_code
    return FAILED if _refusal(error) is None else REFUSED


def _refusal(error: BaseException) -> Refusal | None:
    """What a plugin refused, None where it was not a plugin that raised this as its veto."""
    return next((note for note in getattr(error, "__notes__", ()) if isinstance(note, Refusal)), None)


def _interrupted(error: BaseException) -> bool:
    """Whether the user pressed Ctrl-C: prompts of click turn that into an `Abort`, and so does saying no."""
    if isinstance(error, click.Abort):
        return isinstance(error.__cause__ or error.__context__, KeyboardInterrupt)
    return isinstance(error, KeyboardInterrupt)


def report(error: BaseException, *, debug: bool, owner: str | None) -> None:
    """Print what the user needs to know of an exception.

    Args:
        error: what ended the program.
        debug: print the traceback too.
        owner: the plugin whose command failed, None for our own.
    """
    if isinstance(error, BrokenPipeError):
        _drop_output()
        return
    if isinstance(error, click.exceptions.Exit):
        return
    if debug and not isinstance(error, (click.UsageError, click.Abort)):
        click.echo(escape_text("".join(traceback.format_exception(error))), err=True, nl=False)
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        click.echo("Interrupted." if _interrupted(error) else "Nothing was done.", err=True)
    elif isinstance(error, click.ClickException):
        error.show()
    else:
        click.echo(escape_text(f"Error: {message(error, debug=debug, owner=owner)}"), err=True)


def message(error: BaseException, *, debug: bool, owner: str | None) -> str:
    """Return what is said of an error: its message and notes, and for one that was not foreseen how to see more."""
    text = str(error)
    notes: list[str] = getattr(error, "__notes__", [])
    refusal = _refusal(error)
    if refusal is not None:
        return "\n".join(
            [f"{refusal}: {text or type(error).__name__}", *(note for note in notes if note is not refusal)]
        )
    if isinstance(error, RunfolioError) or (isinstance(error, OSError) and text):
        return "\n".join([text or type(error).__name__, *notes])
    who = "Runfolio itself failed" if owner is None else f"The plugin {owner!r} failed"
    more = "" if debug else "\nThe option --debug shows the traceback."
    return "\n".join([f"{who}: {type(error).__name__}: {text}", *notes]) + more


def _drop_output() -> None:
    """Point standard output at nothing, so that the interpreter does not complain when it flushes at exit."""
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
    except (OSError, ValueError):  # no file descriptor, as in tests
        return
