"""The columns that a table of runs is asked to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from runfolio.query.building import Tagged
from runfolio.query.grammar import parse
from runfolio.query.ordering import sorting_term
from runfolio.query.syntax import Operand

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runfolio.query.fitting import Named
    from runfolio.query.terms import Term


class Column(NamedTuple):
    """One column of a table of runs.

    Attributes:
        title: its heading: the name as written, without backquotes.
        term: its value. A param or metric, which may be a number in one run and a text in another, is named by its
            number reading.
    """

    title: str
    term: Term


def parse_columns(columns: str | Iterable[str]) -> list[Column]:
    """Return the columns that a text such as ``name, params.lr, max(`val/acc`), tag:prod`` names; or several texts.

    A column named twice is returned once.

    >>> [column.title for column in parse_columns("created, `learning rate`, max(loss)")]
    ['created', 'learning rate', 'max(loss)']

    Raises:
        QueryError: a text cannot be read.
    """
    texts = [columns] if isinstance(columns, str) else list(columns)
    parsed = [column for text in texts for column in cast("list[Named | Tagged]", parse(text, "columns"))]
    return list({(title := _title(column)): Column(title, sorting_term(column)) for column in parsed}.values())


def _title(column: Named | Tagged) -> str:
    if isinstance(column, Tagged):
        return f"tag:{column.name}"
    operand = column.operand
    if operand.source == "field":
        return column.spelling.strip("`")
    if operand.source == "param":
        return f"params.{operand.name}"
    # A metric is headed by its bare name, except where that is the name of something else.
    clash = str(Operand("metric", operand.name)).startswith("metrics.")
    name = f"metrics.{operand.name}" if clash and not operand.called else operand.name
    return f"{operand.statistic}({name})" if operand.called else name
