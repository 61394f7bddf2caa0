"""Columns that were asked for with ``--columns``: what each one shows of a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runfolio.records import FIELDS
from runfolio_plugins.cli.plain import Plain, plain
from runfolio_plugins.cli.runs_table import WHOLE, header
from runfolio_plugins.cli.tables import Table

if TYPE_CHECKING:
    from runfolio.query.terms import Term
    from runfolio.records import Record


def pick(records: Sequence[Record], columns: str) -> list[dict[str, Plain]]:
    """Return what columns show of records, in the order they were asked for.

    Args:
        records: the runs.
        columns: as in `RunSet.to_arrow`, divided by commas: ``name, params.lr, tag:prod, max(loss)``.

    Raises:
        QueryError: the columns cannot be read.
    """
    from runfolio.query import parse_columns  # noqa: PLC0415 (loads a parser and Arrow)

    chosen = parse_columns(columns)
    rows = []
    for record in records:
        flat = record.to_dict()
        rows.append({column.title: plain(_value(record, flat, column.title, column.term)) for column in chosen})
    return rows


def _value(record: Record, flat: Mapping[str, Any], name: str, term: Term) -> Any:
    if name in FIELDS:
        return flat[name]
    if term.source == "field":
        return flat[term.name] if term.name in flat else getattr(record, term.name)
    if term.source == "tag":
        return term.name in record.tags
    if term.source == "param":
        return record.params.get(term.name)
    metric = record.metrics.get(term.name)
    if metric is None:
        section, _, rest = term.name.partition(".")
        return flat[section].get(rest) if section in ("properties", "summary") else None
    return {"last": metric.value, "min": metric.min, "max": metric.max, "count": metric.count}[term.statistic]


def picked_table(rows: Sequence[dict[str, Plain]]) -> Table:
    """Return the table of picked columns."""
    names = list(rows[0]) if rows else []
    return Table([header(name) for name in names], [[row[name] for name in names] for row in rows], whole=WHOLE)
