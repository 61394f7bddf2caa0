"""Our commands: where each is defined, and its line in the help, so that none is imported to print it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from runfolio_plugins.cli.group import CommandGroup

if TYPE_CHECKING:
    import click

COMMANDS: Final = {
    "archive": ("editing:archive", "Take runs off the list."),
    "assets": ("promoting:assets", "Look after what was promoted: list, info, download, alias, link, retract."),
    "best": ("showing:best", "Show the run with the best value of a metric."),
    "compare": ("comparing:compare", "Show what differs between two or more runs."),
    "completion": ("completing:completion", "Print the script that completes commands in your shell."),
    "config": ("configuring:config", "Show the settings and where each one comes from."),
    "delete": ("deleting:delete", "Delete runs for good."),
    "download": ("downloading:download", "Copy the files of a run into a folder."),
    "edit": ("editing:edit", "Change the name, note, description or tags of a run."),
    "export-git": ("restoring:export_git", "Write a Git repository of the sources of runs."),
    "info": ("showing:info", "Show one run, or print one of its files."),
    "last": ("showing:last", "Show your most recent run."),
    "list": ("listing:list_runs", "List runs, newest first."),
    "logs": ("following:logs", "Print what a run prints, while it lasts."),
    "promote": ("promoting:promote", "Make a version of an asset of a file or folder of a run."),
    "restore": ("restoring:restore", "Make the project what it was when a run started."),
    "sql": ("querying:sql", "Ask the history with SQL: runs, metrics, artifacts."),
    "store": ("storing:store", "Look after a store: check, info, copy, repair, gc, compact."),
    "sync": ("syncing:sync", "Send what is still on this machine to the store."),
    "trust": ("configuring:trust", "Approve a store that a project file names."),
    "unarchive": ("editing:unarchive", "Put archived runs back on the list."),
}
"""Name of each command, its module and attribute, and its short help."""

_COMMANDS: Final = "runfolio_plugins.cli.commands."


def add_commands(cli: click.Group) -> None:
    """Add our commands to a group; to ours without importing them."""
    for name, (target, short_help) in COMMANDS.items():
        if isinstance(cli, CommandGroup):
            cli.add_lazy_command(name, f"{_COMMANDS}{target}", short_help)
        else:
            module, _, attribute = target.partition(":")
            cli.add_command(getattr(importlib.import_module(f"{_COMMANDS}{module}"), attribute), name)
