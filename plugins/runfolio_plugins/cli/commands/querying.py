"""``runfolio sql``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from runfolio_plugins.cli.emitting import emit
from runfolio_plugins.cli.formats import any_table
from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import (
    Output,
    debug_options,
    open_history,
    output_options,
    project_option,
    store_option,
)
from runfolio_plugins.cli.tables import Table

if TYPE_CHECKING:
    from runfolio_plugins.cli.plain import Plain

_EXAMPLES: Final = """
runfolio sql "select status, count(*) as runs from runs group by status"
runfolio sql "select run_id, max(value) as best from metrics where name = 'Accuracy' group by run_id order by best desc"
runfolio sql "select path, size from artifacts where size > 1000000" --project '*' -o json
runfolio sql "describe runs"
"""


@click.command(cls=Command, examples=_EXAMPLES)
@click.argument("statement")
@click.option("--where", metavar="QUERY", help="Only runs for which this holds, as in `runfolio list`.")
@project_option("Name of the project, '*' for all of them. Default: that of the current folder.")
@store_option
@output_options("table")
@debug_options
def sql(
    *, statement: str, where: str | None, project: str | None, store: str | None, output: Output, query: str | None
) -> None:
    """Run one SELECT over the tables runs, metrics and artifacts.

    The SQL is DuckDB's. It sees these tables only: no files, no network. A table is read when the statement names it.
    Needs runfolio[sql].
    """
    with open_history(store, project) as history:
        found = history.sql(statement, project, where=where)
        rows: list[object] = found.to_pylist()
        emit(rows, output, query, make_table=_table if rows else None, sort=False)


def _table(rows: Plain) -> Table:
    """The columns in the order of the statement, also where they look like records."""
    if not isinstance(rows, list):
        return any_table(rows)
    objects = [row for row in rows if isinstance(row, dict)]
    keys = list(objects[0])
    return Table(keys, [[row[key] for key in keys] for row in objects])
