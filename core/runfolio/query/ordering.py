"""The order of runs: what `order_by` means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc

from runfolio.errors import QueryError
from runfolio.query.building import OrderItem, Tagged
from runfolio.query.compilation import natural_reading
from runfolio.query.grammar import parse
from runfolio.query.materialising import column_name
from runfolio.query.terms import Term

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runfolio.query.fitting import Named
    from runfolio.query.materialising import Values


class Order(NamedTuple):
    """One key to sort by.

    Attributes:
        term: the value. A param or metric, which may be a number in one run and a text in another, is named by its
            number reading; `terms` has both.
        descending: largest first.
    """

    term: Term
    descending: bool

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms that sorting by this key needs."""
        if self.term.source not in ("param", "metric") or self.term.statistic != "last":
            return (self.term,)
        return (self.term, Term(self.term.source, self.term.name, self.term.statistic, "text"))


def parse_order_by(order_by: str | Iterable[str]) -> list[Order]:
    """Return the keys that a text such as ``-`val/acc`, created`` names, or several such texts.

    A minus before a name, or ``desc`` after it, puts the largest first.

    >>> [(order.term.name, order.descending) for order in parse_order_by("-`val/acc`, created")]
    [('val/acc', True), ('created_utc', False)]

    Raises:
        QueryError: a text cannot be read.
    """
    texts = [order_by] if isinstance(order_by, str) else list(order_by)
    items = [item for text in texts for item in cast("list[OrderItem]", parse(text, "order"))]
    return [Order(sorting_term(item.column), item.descending) for item in items]


def sorting_term(column: Named | Tagged) -> Term:
    """The term that stands for a column when runs are sorted by it."""
    if isinstance(column, Tagged):
        return Term("tag", column.name, "last", "present")
    operand = column.operand
    return operand.term("number" if operand.kind == "any" else natural_reading(operand))


def order_terms(orders: Iterable[Order]) -> tuple[Term, ...]:
    """Return all that has to be known of each run to sort by these keys, each once."""
    return tuple(dict.fromkeys(term for order in orders for term in order.terms))


def sort_indices(orders: Sequence[Order], columns: pa.Table) -> pa.Array[Any]:
    """Return the positions of the rows in the order of the keys; rows that are equal keep theirs.

    Numbers come before NaN, NaN before texts, and rows without the value last, in both directions.

    Args:
        orders: at least one.
        columns: a table with the columns that `materialise` makes of `order_terms`.

    Raises:
        QueryError: there is no key.
    """
    if not orders:
        raise QueryError("There is nothing to sort by: name at least one column, such as -created")
    keys: dict[str, Values] = {}
    directions: list[tuple[str, Literal["ascending", "descending"]]] = []
    for position, order in enumerate(orders):
        values = [_sortable(columns[column_name(term)]) for term in order.terms]
        keys[f"{position}.rank"] = _ranks(values)
        directions.append((f"{position}.rank", "ascending"))
        for number, value in enumerate(values):
            keys[f"{position}.{number}"] = value
            directions.append((f"{position}.{number}", "descending" if order.descending else "ascending"))
    return pc.sort_indices(pa.table(keys), sort_keys=directions)


def _sortable(values: Values) -> Values:
    return values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values


def _ranks(values: Sequence[Values]) -> Values:
    """Which group a row falls into: values of the first reading, NaN, values of the second reading, nothing."""
    rank: Any = pa.scalar(2 * len(values), pa.int8())
    for number, value in reversed(list(enumerate(values))):
        rank = pc.if_else(pc.is_valid(value), pa.scalar(2 * number, pa.int8()), rank)
        if pa.types.is_floating(value.type):
            is_nan = pc.coalesce(pc.is_nan(value), pa.scalar(value=False))
            rank = pc.if_else(is_nan, pa.scalar(2 * number + 1, pa.int8()), rank)
    found: Values = rank
    return found
