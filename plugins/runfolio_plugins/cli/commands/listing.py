"""``runfolio list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runfolio_plugins.cli.emitting import emit, note
from runfolio_plugins.cli.formats import any_table
from runfolio_plugins.cli.group import Command
from runfolio_plugins.cli.options import (
    Output,
    debug_options,
    hint_at_waiting,
    open_history,
    output_options,
    project_option,
    store_option,
)

if TYPE_CHECKING:
    from runfolio.records import Record
    from runfolio_plugins.cli.plain import Plain
    from runfolio_plugins.cli.tables import Table

_EXAMPLES = """
runfolio list
runfolio list --where "params.lr < 0.01 and status = 'Completed'" --order-by "-Accuracy" --limit 10
runfolio list --where "max(`val/acc`) > 0.9 and tag:prod" --columns "name, params.lr, max(`val/acc`), status"
runfolio list --project '*' -o json
runfolio list --query '@[?Accuracy != null] | max_by(@, &Accuracy).Accuracy'
runfolio list --query "[?status=='Completed'].run_id" -o tsv
"""


@click.command(cls=Command, examples=_EXAMPLES)
@click.option("--where", metavar="QUERY", help="Only runs for which this holds.")
@click.option(
    "--order-by", metavar="COLUMNS", help="Sort by these columns; -COLUMN is descending. Default: newest first."
)
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most this many runs.")
@click.option(
    "--columns", metavar="COLUMNS", multiple=True, help="Show these columns, divided by commas. May be repeated."
)
@click.option("--experiment", metavar="NAME", help="Only runs of this experiment (the script, unless named otherwise).")
@click.option("--user", metavar="NAME", help="Only runs of this user.")
@click.option("--mine", is_flag=True, help="Only my runs.")
@click.option("--archived", is_flag=True, help="The archived runs instead of the others.")
@click.option("--all", "everything", is_flag=True, help="Archived runs and the others.")
@project_option("Name of the project, '*' for all of them. Default: that of the current folder.")
@store_option
@output_options("table")
@debug_options
@click.pass_context
def list_runs(
    context: click.Context,
    *,
    where: str | None,
    order_by: str | None,
    limit: int | None,
    columns: tuple[str, ...],
    experiment: str | None,
    user: str | None,
    mine: bool,
    archived: bool,
    everything: bool,
    project: str | None,
    store: str | None,
    output: Output,
    query: str | None,
) -> None:
    """List runs, newest first.

    The table has a column for each metric (its last value), then duration, run id, script, start and status; floats are
    cut to six significant digits. JSON has the whole records. Metrics of the machine (system/...) are columns only when
    asked for.
    """
    from runfolio.query import parse_where  # noqa: PLC0415 (loads a parser)

    if mine and user:
        raise click.UsageError("--mine and --user exclude each other.", context)
    if archived and everything:
        raise click.UsageError("--archived and --all exclude each other.", context)
    with open_history(store, project) as history:
        hint_at_waiting(history)
        brief = query is None and output.format == "table"
        configured = history.settings
        columns = columns or ((configured.output_columns or ()) if brief else ())
        limit = configured.output_limit if limit is None and brief else limit
        runs = history.runs(
            project,
            experiment=experiment,
            where=where,
            order_by=order_by,
            limit=limit,
            archived=None if everything else archived,
            user=history.user_id if mine else user,
        )
        records = runs.records()
        rows: list[object] = _picked(records, columns) if columns else [record.to_dict() for record in records]
        emit(rows, output, query, make_table=_table if columns and rows else None, sort=not columns)
        if not rows:
            for hint in parse_where(where).hints() if where else ():
                note(hint)
            what = "archived run" if archived else "run"
            of = "of any project" if project == "*" else f"of the project {project or history.project!r}"
            chosen = " that fits" if where or experiment or user or mine else ""
            note(f"no {what} {of}{chosen} in {history.url}")


def _picked(records: list[Record], columns: tuple[str, ...]) -> list[object]:
    from runfolio_plugins.cli.columns import pick  # noqa: PLC0415 (a parser, only when columns are chosen)

    return list(pick(records, ", ".join(columns)))


def _table(rows: Plain) -> Table:
    from runfolio_plugins.cli.columns import picked_table  # noqa: PLC0415 (likewise)

    return picked_table([row for row in rows if isinstance(row, dict)]) if isinstance(rows, list) else any_table(rows)
