"""The group ``runfolio store``: check, info, copy, repair, gc, compact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runfolio_plugins.cli.commands.copying import copy
from runfolio_plugins.cli.emitting import note
from runfolio_plugins.cli.escaping import escape
from runfolio_plugins.cli.formats import table_text
from runfolio_plugins.cli.group import Command, CommandGroup
from runfolio_plugins.cli.options import Output, debug_options, open_history, output_options, store_place
from runfolio_plugins.cli.reports import emit_report
from runfolio_plugins.cli.tables import Table

if TYPE_CHECKING:
    from runfolio.maintenance import UpkeepReport
    from runfolio.store_check import CheckReport, Guarantee
    from runfolio_plugins.cli.plain import Plain

_STORE = """
runfolio store info
runfolio store check s3://bucket/prefix
runfolio store copy ./history s3://bucket/prefix
runfolio store repair
runfolio store gc
runfolio store compact
"""
_CHECK = """
runfolio store check
runfolio store check s3://bucket/prefix -o json
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
_COMPACT = """
runfolio store compact
runfolio store compact s3://bucket/prefix -o json
"""
_LONG = 1000
_REFUSED = (
    "This store cannot be shared by several writers. If only exclusive creation is missing, single_writer = true in "
    "its profile [stores.NAME] accepts it for one writer at a time."
)


@click.group(cls=CommandGroup, examples=_STORE)
def store() -> None:
    """Look after a store."""


store.add_command(copy)


@store.command("check", cls=Command, examples=_CHECK)
@store_place
@output_options("table")
@debug_options
def check(*, store: str | None, output: Output, query: str | None) -> None:
    """Try what the store guarantees, and say what it means.

    Writes a few small objects below check/ and deletes them again. The exit code is 1 when something is missing that
    several writers need.
    """
    with open_history(store, write=True, must_exist=False, send_leftovers=False) as history:
        report = history.check()
        emit_report(report, output, query, show=lambda: _guarantees(report))


@store.command("info", cls=Command, examples=_INFO)
@store_place
@output_options("table")
@debug_options
def info(*, store: str | None, output: Output, query: str | None) -> None:
    """Count the runs, objects and bytes of the store."""
    with open_history(store) as history:
        report = history.info()
        emit_report(report, output, query, show=lambda: _figures(report))


@store.command("repair", cls=Command, examples=_REPAIR)
@store_place
@output_options("table")
@debug_options
def repair(*, store: str | None, output: Output, query: str | None) -> None:
    """Rebuild the index from the run folders. Safe while others write and read."""
    with open_history(store, write=True) as history:
        report = history.repair()
        emit_report(report, output, query, show=lambda: _figures(report))


@store.command("gc", cls=Command, examples=_GC)
@click.option("--delete", is_flag=True, help="Delete it. Without this, only say what would go.")
@store_place
@output_options("table")
@debug_options
def gc(*, delete: bool, store: str | None, output: Output, query: str | None) -> None:
    """Find what no run needs: leftovers of deleted runs, merged segments, old signs of life. Deletes with --delete."""
    with open_history(store, write=delete) as history:
        report = history.gc(dry_run=not delete)
        if not delete:
            note("nothing was deleted; --delete does it")
        emit_report(report, output, query, show=lambda: _figures(report))


@store.command("compact", cls=Command, examples=_COMPACT)
@store_place
@output_options("table")
@debug_options
def compact(*, store: str | None, output: Output, query: str | None) -> None:
    """Copy the rows of ended runs into few large files, so that many runs are read fast. Safe while others write."""
    with open_history(store, write=True) as history:
        report = history.compact()
        emit_report(report, output, query, show=lambda: _figures(report))


def _guarantees(report: CheckReport) -> list[str]:
    """What was tried, one line each, what to do about what failed, and what that means."""
    rows: list[list[Plain]] = [
        [one.name, _result(one), one.detail, "" if one.ok else one.remedy] for one in report.guarantees
    ]
    headings = ["Guarantee", "Result", "Seen", "Remedy"]
    table = table_text(Table(headings, rows, whole=frozenset({"Guarantee", "Result"}), longest=_LONG))
    if not report.ok:
        verdict = "This store cannot be used." if report.single_writer else _REFUSED
    elif report.single_writer:
        verdict = "This store is for one writer at a time: its profile says single_writer = true."
    else:
        verdict = "This store can be shared."
    return [table, verdict]


def _result(guarantee: Guarantee) -> str:
    return "ok" if guarantee.ok else "FAILED" if guarantee.required else "failed"


def _figures(report: UpkeepReport) -> list[str]:
    """Objects by kind, then what was counted, then what needs attention."""
    shown = []
    if report.kinds:
        kinds: list[list[Plain]] = [[kind, objects, size] for kind, (objects, size) in report.kinds.items()]
        shown += [table_text(Table(["Kind", "Objects", "Bytes"], kinds)), ""]
    figures: list[list[Plain]] = [[name, number] for name, number in report.figures.items()]
    figures.extend([f"requests so far, {operation}", number] for operation, number in report.requests.items())
    shown.append(table_text(Table(["What", "Number"], figures, whole=frozenset({"What"}))))
    if report.costs:
        costs: list[list[Plain]] = [[name, f"{cost:.6f}"] for name, cost in report.costs.items()]
        shown += ["", table_text(Table(["Estimate", "At the prices set"], costs, whole=frozenset({"Estimate"})))]
    return [*shown, *map(escape, report.problems)]
