"""``runfolio compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runfolio_plugins.cli.emitting import emit, note
from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import (
    Output,
    debug_options,
    open_history,
    output_options,
    project_option,
    store_option,
)
from runfolio_plugins.cli.plain import Plain, plain
from runfolio_plugins.cli.run_words import chosen_words, find_runs, many_runs
from runfolio_plugins.cli.tables import Table

if TYPE_CHECKING:
    from runfolio.comparison import Comparison

_EXAMPLES = """
runfolio compare k3f9q @last
runfolio compare '#3' '#4' '#5' --all
runfolio compare k3f9q p0x2m -o json --query sections.params
"""
_HASH = 64
_SHORT_HASH = 12


@click.command(cls=Command, examples=_EXAMPLES)
@many_runs
@click.option("--all", "everything", is_flag=True, help="Show what is the same, too.")
@project_option()
@store_option
@output_options("table")
@debug_options
def compare(
    *,
    words: tuple[str, ...],
    named: tuple[str, ...],
    everything: bool,
    project: str | None,
    store: str | None,
    output: Output,
    query: str | None,
) -> None:
    """Show what differs between two or more runs.

    Compared are the record, params, arguments, the last values of metrics, properties, packages, and the files by hash.
    """
    chosen = chosen_words(words, named, least=2)
    with open_history(store, project) as history:
        runs = find_runs(history, chosen, project, least=2)
        comparison = history.compare(runs)
        if not everything:
            comparison = comparison.differences()
        emit(comparison.to_dict(), output, query, make_table=lambda _data: _table(comparison))
        if not comparison.sections:
            note("the runs do not differ")


def _table(comparison: Comparison) -> Table:
    """One line for each value that is compared, one column for each run; run numbers at the very top."""
    rows: list[list[Plain]] = []
    for section, values in comparison.sections.items():
        for value in sorted(values, key=lambda one: one.name != "run_number"):
            cells = [plain(one) for one in value.values]
            rows.append([section, value.name, *(map(_short_hash, cells) if section == "artifacts" else cells)])
    return Table(["Section", "Name", *(run.id for run in comparison.runs)], rows, whole=frozenset({"Section", "Name"}))


def _short_hash(value: Plain) -> Plain:
    return value[:_SHORT_HASH] if isinstance(value, str) and len(value) == _HASH else value
