"""The group ``runfolio store``: check, info, repair, gc."""

from __future__ import annotations

import click

from runfolio_plugins.cli.emitting import note
from runfolio_plugins.cli.group import Command, CommandGroup
from runfolio_plugins.cli.options import Output, debug_options, open_history, output_options, store_option
from runfolio_plugins.cli.reports import emit_report

_STORE = """
runfolio store info
runfolio store check --store s3://bucket/prefix
runfolio store repair
runfolio store gc
"""
_CHECK = """
runfolio store check
runfolio store check --store s3://bucket/prefix -o json
"""
_INFO = """
runfolio store info
runfolio store info -o json
"""
_REPAIR = """
runfolio store repair
"""
_GC = """
runfolio store gc
runfolio store gc --delete
"""


@click.group(cls=CommandGroup, examples=_STORE)
def store() -> None:
    """Look after a store."""


@store.command("check", cls=Command, examples=_CHECK)
@store_option
@output_options("table")
@debug_options
def check(*, store: str | None, output: Output, query: str | None) -> None:
    """Try what the store guarantees, and say what it means.

    Writes a few small objects below check/ and deletes them again. The exit code is 1 when something is missing that
    several writers need.
    """
    with open_history(store, write=True, must_exist=False) as history:
        emit_report(history.check(), output, query)


@store.command("info", cls=Command, examples=_INFO)
@store_option
@output_options("table")
@debug_options
def info(*, store: str | None, output: Output, query: str | None) -> None:
    """Count the runs, objects and bytes of the store."""
    with open_history(store) as history:
        emit_report(history.info(), output, query)


@store.command("repair", cls=Command, examples=_REPAIR)
@store_option
@output_options("table")
@debug_options
def repair(*, store: str | None, output: Output, query: str | None) -> None:
    """Rebuild the index from the run folders. Safe while others write and read."""
    with open_history(store, write=True) as history:
        emit_report(history.repair(), output, query)


@store.command("gc", cls=Command, examples=_GC)
@click.option("--delete", is_flag=True, help="Delete it. Without this, only say what would go.")
@store_option
@output_options("table")
@debug_options
def gc(*, delete: bool, store: str | None, output: Output, query: str | None) -> None:
    """Find what no run needs: leftovers of deleted runs, merged segments, old signs of life. Deletes with --delete."""
    with open_history(store, write=delete) as history:
        report = history.gc(dry_run=not delete)
        if not delete:
            note("nothing was deleted; --delete does it")
        emit_report(report, output, query)
