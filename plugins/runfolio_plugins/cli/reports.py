"""Reports of the history's upkeep: lines for people, their fields for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import click

from runfolio_plugins.cli.emitting import emit
from runfolio_plugins.cli.escaping import escape

if TYPE_CHECKING:
    from runfolio_plugins.cli.options import Output


class Report(Protocol):
    """What the history's upkeep returns: a dataclass that can be told in lines."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        ...

    def lines(self) -> Sequence[str]:
        """The report as text."""
        ...


def emit_report(
    report: Report, output: Output, query: str | None, *, show: Callable[[], Sequence[str]] | None = None
) -> None:
    """Print a report, and fail the command when something is wrong.

    Args:
        report: the report.
        output: the format that was asked for.
        query: a JMESPath expression on its fields.
        show: returns what a table shows; by default the report's own lines, made harmless.

    Raises:
        click.exceptions.Exit: with code 1, when the report is not ok.
    """
    if output.format == "table" and query is None:
        for line in show() if show else map(escape, report.lines()):
            click.echo(line)
    else:
        emit(fields(report), output, query)
    if not report.ok:
        click.get_current_context().exit(1)


def fields(report: Report) -> dict[str, object]:
    """Return the fields of a report, and `ok`."""
    plain_report: Any = report  # a dataclass, which no protocol can say
    return {**dataclasses.asdict(plain_report), "ok": report.ok}
