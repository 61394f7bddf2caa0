"""``runfolio edit``, ``archive`` and ``unarchive``: what may change about a run afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from runfolio_plugins.cli.escaping import escape
from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import debug_options, open_history, project_option, store_option
from runfolio_plugins.cli.run_words import chosen_word, chosen_words, find_run, find_runs, many_runs, one_run

if TYPE_CHECKING:
    from runfolio.run import Run

_EDIT = """
runfolio edit @last --name baseline --add-tag prod
runfolio edit k3f9q --note "seed 3, larger batch" --remove-tag candidate
"""
_ARCHIVE = """
runfolio archive k3f9q '#12'
runfolio list --query "[?status=='Failed'].run_id" -o tsv | xargs runfolio archive
"""
_UNARCHIVE = """
runfolio list --archived
runfolio unarchive k3f9q
"""


@click.command(cls=Command, examples=_EDIT)
@one_run
@click.option("--name", metavar="TEXT", help="Its name; '' takes it away.")
@click.option("--note", metavar="TEXT", help="A note; '' takes it away.")
@click.option("--description", metavar="TEXT", help="A description; '' takes it away.")
@click.option("--add-tag", "added", metavar="TAG", multiple=True, help="Add a tag. May be repeated.")
@click.option("--remove-tag", "removed", metavar="TAG", multiple=True, help="Remove a tag. May be repeated.")
@project_option()
@store_option
@debug_options
def edit(
    *,
    word: str | None,
    named: str | None,
    name: str | None,
    note: str | None,
    description: str | None,
    added: tuple[str, ...],
    removed: tuple[str, ...],
    project: str | None,
    store: str | None,
) -> None:
    """Change the name, note, description or tags of a run."""
    chosen = chosen_word(word, named)
    if name is None and note is None and description is None and not added and not removed:
        raise click.UsageError("Nothing to change: give --name, --note, --description, --add-tag or --remove-tag.")
    both = sorted({*added} & {*removed})
    if both:
        raise click.UsageError(f"The tag {both[0]!r} is to be added and removed: choose one.")
    with open_history(store, project, write=True) as history:
        run = find_run(history, chosen, project)
        run.edit(name=name, note=note, description=description)
        run.tag(add=added, remove=removed)
        texts = {"name": name, "note": note, "description": description}
        changes = [f"{field} = {text!r}" for field, text in texts.items() if text is not None]
        changes += [f"+{tag}" for tag in added] + [f"-{tag}" for tag in removed]
        click.echo(escape(f"Edited {run.id}: {', '.join(changes)}"))


@click.command(cls=Command, examples=_ARCHIVE)
@many_runs
@project_option()
@store_option
@debug_options
def archive(*, words: tuple[str, ...], named: tuple[str, ...], project: str | None, store: str | None) -> None:
    """Take runs off the list. Nothing is deleted, and unarchive puts them back."""
    _each(chosen_words(words, named), project, store, lambda run: run.archive(), "Archived")


@click.command(cls=Command, examples=_UNARCHIVE)
@many_runs
@project_option()
@store_option
@debug_options
def unarchive(*, words: tuple[str, ...], named: tuple[str, ...], project: str | None, store: str | None) -> None:
    """Put archived runs back on the list."""
    _each(chosen_words(words, named), project, store, lambda run: run.unarchive(), "Unarchived")


def _each(words: list[str], project: str | None, store: str | None, change: Callable[[Run], None], done: str) -> None:
    with open_history(store, project, write=True) as history:
        for run in find_runs(history, words, project):
            change(run)
            click.echo(escape(f"{done} {run.id}"))
