"""How a run is named on a command line, and the options that take such words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from runfolio.errors import RunNotFoundError

if TYPE_CHECKING:
    from runfolio.history import History
    from runfolio.run import Run

F = TypeVar("F", bound=Callable[..., Any])
_HELP: Final = "The run: its id, the five characters at its end, #7, PROJECT#7, or @last. The same as RUN."


def one_run(function: F) -> F:
    """Take one run, as ``-r RUN`` or as a word."""
    option = click.option("-r", "--run", "named", metavar="RUN", help=_HELP)
    return option(click.argument("word", metavar="RUN", required=False)(function))


def many_runs(function: F) -> F:
    """Take any number of runs, as words and as ``-r RUN``."""
    option = click.option("-r", "--run", "named", metavar="RUN", multiple=True, help=f"{_HELP} May be repeated.")
    return option(click.argument("words", metavar="RUN...", nargs=-1)(function))


def chosen_word(word: str | None, named: str | None) -> str:
    """Return the one word that a command line gives for a run.

    Raises:
        click.UsageError: it gives none, or two different ones.
    """
    if word and named and word != named:
        raise click.UsageError(f"Two runs are given, {word!r} and {named!r}: this command takes one.")
    found = word or named
    if not found:
        raise click.UsageError("Which run? Give its id, its last five characters, #7, PROJECT#7, or @last.")
    return found


def chosen_words(words: Sequence[str], named: Sequence[str], *, least: int = 1) -> list[str]:
    """Return the words that a command line gives for runs, each once.

    Raises:
        click.UsageError: there are fewer than `least`.
    """
    found = list(dict.fromkeys([*words, *named]))
    if len(found) < least:
        needed = "Which runs? Give one or more" if least == 1 else f"Give {least} or more different runs"
        raise click.UsageError(f"{needed}: ids, their last five characters, #7, PROJECT#7, or @last.")
    return found


def find_run(history: History, word: str, project: str | None = None) -> Run:
    """Return the run that a word names.

    Raises:
        RunNotFoundError: there is none. The message names the word, its note the store and how to look.
    """
    try:
        return history.run(word, project=project)
    except RunNotFoundError as error:
        here = "" if project or word.startswith("@") else f" (project {history.project!r})"
        error.add_note(
            f"Looked in {history.url}{here}: runfolio list shows its runs, with --project '*' those of all projects."
        )
        raise


def find_runs(history: History, words: Sequence[str], project: str | None = None, *, least: int = 1) -> list[Run]:
    """Return the runs that words name, each once.

    Raises:
        RunNotFoundError: one is not found.
        click.UsageError: several words name one run, and so there are fewer than `least`.
    """
    runs = {run.id: run for run in (find_run(history, word, project) for word in words)}
    if len(runs) < least:
        raise click.UsageError(
            f"{' and '.join(words)} are the same run, {next(iter(runs))}: give {least} different ones."
        )
    return list(runs.values())
