"""The columns that a query needs, built by whoever knows where the runs are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from runfolio.query.compilation import TIME_TYPE
from runfolio.query.fields import field_kind
from runfolio.query.terms import Term

Values: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"
"""One value a run."""
Extract: TypeAlias = Callable[[Term], Values]
"""Returns the values of a term, for all runs in one order. See `materialise` for the types."""


def column_name(term: Term) -> str:
    """Return the name of a term's column in the tables of this package. Different terms have different names."""
    return f"{term.source}:{term.reading}:{term.statistic}:{term.name}"


def materialise(terms: Iterable[Term], extract: Extract, rows: int | None = None) -> pa.Table:
    """Return a table with one column for each term, named by `column_name`.

    Args:
        terms: what a query needs (`Where.terms`, `order_terms`). The same term twice gives one column.
        extract: called once for each term. For the reading ``number`` it returns numbers or bools (for a time field
            seconds since 1970, or timestamps), for ``text`` strings, for ``present`` bools, or anything whose nulls say
            what is missing. A value of the other kind must read as null.
        rows: how many runs there are. Every column must have as many.

    Returns:
        columns of float64, string and bool, and of ``timestamp[us, UTC]`` for time fields.
    """
    columns: dict[str, Values] = {}
    for term in terms:
        name = column_name(term)
        if name not in columns:
            columns[name] = _normal(term, extract(term))
            assert rows is None or len(columns[name]) == rows, f"{name} has {len(columns[name])} values for {rows} runs"
    return pa.table(columns)


def is_time(term: Term) -> bool:
    """Whether a term is a field that holds a time."""
    return term.source == "field" and term.reading != "present" and field_kind(term.name) == "time"


def _normal(term: Term, array: Values) -> Values:
    """Return an extracted array in the one type that expressions on this term are made for."""
    if term.reading == "present":
        return pc.coalesce(array, pa.scalar(value=False)) if pa.types.is_boolean(array.type) else pc.is_valid(array)
    if is_time(term):
        return _times(array)
    if term.reading == "text":
        return array.cast(pa.string())
    # Ints beyond 2^53 become the nearest float on purpose.
    return array.cast(pa.float64(), safe=False)


def _times(array: Values) -> Values:
    kind: Any = array.type
    if pa.types.is_timestamp(kind):
        return array.cast(pa.timestamp(kind.unit, "UTC")).cast(TIME_TYPE, safe=False)
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return pc.round(pc.multiply(array.cast(pa.float64()), 1e6)).cast(pa.int64()).cast(TIME_TYPE)
    texts = array.cast(pa.string())
    try:
        return texts.cast(TIME_TYPE)
    except pa.ArrowInvalid:
        return pa.array([_moment(text) for text in texts.to_pylist()], TIME_TYPE)


def _moment(text: str | None) -> datetime | None:
    """Read a time that Arrow refuses: one without offset; and null for what is no time at all."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
