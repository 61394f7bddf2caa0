"""The end of every command that has a result: apply the query, choose the format, print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runfolio_plugins.cli.escaping import escape_text
from runfolio_plugins.cli.formats import MakeTable, render
from runfolio_plugins.cli.plain import plain

if TYPE_CHECKING:
    from runfolio_plugins.cli.options import Output


def emit(
    data: object, output: Output, query: str | None = None, *, make_table: MakeTable | None = None, sort: bool = True
) -> None:
    """Print the result of a command.

    Args:
        data: anything; it is made plain first.
        output: the format that was asked for.
        query: a JMESPath expression to apply before.
        make_table: how this data looks as a table. What a query picked gets a table after its own shape.
        sort: put keys in ASCII order; False where the user chose an order.

    Raises:
        QueryError: the query cannot be read or does not fit.
    """
    found = plain(data, sort=sort)
    if query is not None:
        from runfolio_plugins.cli.query import search  # noqa: PLC0415 (jmespath only when it is used)

        found = search(query, found, note)
        make_table = None
    text = render(found, output.format, make_table=make_table)
    if text or output.format in ("json", "jsonc") or isinstance(found, str):
        click.echo(text)


def note(text: str) -> None:
    """Say something beside the result, on standard error."""
    click.echo(escape_text(f"Note: {text}"), err=True)
