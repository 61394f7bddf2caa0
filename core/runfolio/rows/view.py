"""Rows as users see them: one table over writers and runs, and Python values that come back as they went in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc

from runfolio.errors import InvalidValueError
from runfolio.rows.raw import arange
from runfolio.rows.schema import SCHEMA

if TYPE_CHECKING:
    from runfolio.values import Scalar

COLUMNS: Final = ("name", "step", "time", "value", "kind", "text", "index", "writer")
VIEW: Final = pa.schema([SCHEMA.field(name) for name in COLUMNS])


class Value(NamedTuple):
    """One logged value, as Python has it."""

    name: str
    step: int
    time: datetime
    value: Scalar | list[Scalar]
    writer: str


def view(
    tables: Iterable[pa.Table], *, names: Sequence[str] | None = None, steps: slice | None = None, run_id: bool = False
) -> pa.Table:
    """Return the rows of several writers (or runs) as one table: by name, then by table, then as they were logged.

    Args:
        tables: tables in the schema of the format, in the order in which writers are to follow each other.
        names: only these metrics.
        steps: only steps in ``[start, stop)``; either end may be left out.
        run_id: put the column ``run_id`` first.

    Raises:
        InvalidValueError: the slice has a stride, or ends that are no ints.
    """
    columns = [*(["run_id"] if run_id else []), *COLUMNS]
    schema = pa.schema([SCHEMA.field(name) for name in columns])
    parts = [one.select(columns) for one in tables]
    if names is not None:
        wanted = pa.array([*names], pa.string())
        parts = [one.filter(pc.is_in(one.column("name").cast(pa.string()), value_set=wanted)) for one in parts]
    parts = [one for one in (_within(one, steps) for one in parts) if one.num_rows]
    if not parts:
        return schema.empty_table()
    table = pa.concat_tables(parts).cast(schema).unify_dictionaries().combine_chunks()
    return table if len(parts) == 1 else table.take(_by_name(table))


def downsample(table: pa.Table, max_points: int) -> pa.Table:
    """Return a table of `view` with at most about `max_points` points of each curve, such that its shape stays.

    Each curve (the scalars of one name and writer) is cut into stretches of equal numbers of points, of which the least
    and the greatest stay, so no spike is lost; its first and last point stay too. Curves that are short enough, and
    list values, stay as they are.

    Raises:
        InvalidValueError: `max_points` is below 4.
    """
    least = 4
    if max_points < least:
        raise InvalidValueError(f"max_points is {max_points}: give {least} or more")
    owners = [name for name in ("run_id", "name", "writer") if name in table.column_names]
    kept: list[pa.Array] = []
    for rows in _curves(table, owners):
        scalars = pc.is_null(table.column("index").take(rows)).combine_chunks()
        points = rows.filter(scalars)
        if len(points) <= max_points:
            kept.append(rows)
            continue
        kept.append(rows.filter(pc.invert(scalars)))
        kept.append(_extremes(table.column("value").take(points), points, max_points))
    if sum(map(len, kept)) == table.num_rows:
        return table
    everything = pa.concat_arrays(kept)
    return table.take(everything.take(pc.sort_indices(everything)))


def values(table: pa.Table) -> Iterator[Value]:
    """Yield what was logged, each value of the kind that it had. Lists are put together again.

    Args:
        table: a table of `view`, or in the schema of the format.
    """
    pending: tuple[dict[str, Any], list[Scalar]] | None = None
    for row in _plain_rows(table):
        index = row["index"]
        if pending is not None and index in (None, 0):
            yield _value(pending[0], pending[1])
            pending = None
        if row["kind"] == "empty":
            yield _value(row, [])
        elif index is None:
            yield _value(row, scalar(row["kind"], row["value"], row["text"]))
        elif pending is None:
            pending = row, [scalar(row["kind"], row["value"], row["text"])]
        else:
            pending[1].append(scalar(row["kind"], row["value"], row["text"]))
    if pending is not None:
        yield _value(*pending)


def scalar(kind: str, value: float | None, text: str | None) -> Scalar:
    """The Python value of one row."""
    if kind == "str":
        return cast("str", text)
    number = cast("float", value)
    if kind == "bool":
        return bool(number)
    if kind == "int":
        return int(number if text is None else text)
    return number


def _plain_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows as dicts, some at a time."""
    wanted = table.select(["name", "step", "time", "kind", "value", "text", "index", "writer"])
    for batch in wanted.to_batches(max_chunksize=65_536):
        yield from batch.to_pylist()


def _value(row: dict[str, Any], value: Scalar | list[Scalar]) -> Value:
    return Value(row["name"], row["step"], row["time"], value, row["writer"])


def _within(table: pa.Table, steps: slice | None) -> pa.Table:
    if steps is None:
        return table
    if steps.step not in (None, 1) or not all(one is None or isinstance(one, int) for one in (steps.start, steps.stop)):
        raise InvalidValueError(f"steps={steps} is not a range of steps: use slice(start, stop) with ints")
    step = table.column("step")
    if steps.start is not None:
        table = table.filter(pc.greater_equal(step, steps.start))
    if steps.stop is not None:
        table = table.filter(pc.less(table.column("step"), steps.stop))
    return table


def _by_name(table: pa.Table) -> pa.Array:
    """The order of the rows by name; rows of one name stay as they are."""
    return pc.sort_indices(_name_ranks(table))


def _name_ranks(table: pa.Table) -> pa.Array:
    """The place of each row's name among all names."""
    words: list[str] = _one_chunk(table.column("name")).dictionary.to_pylist()
    return _places(table, "name", sorted(words))


def _places(table: pa.Table, column: str, order: Sequence[str]) -> pa.Array:
    """The place of each row's word in a list of words; null for others."""
    words = _one_chunk(table.column(column))
    ranks = {word: place for place, word in enumerate(order)}
    return pa.array([ranks.get(word) for word in words.dictionary.to_pylist()], pa.int32()).take(words.indices)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks().chunk(0)


def _curves(table: pa.Table, owners: Sequence[str]) -> Iterator[pa.Array]:
    """The row numbers of each curve."""
    keys = {name: table.column(name).combine_chunks() for name in owners}
    flat = {
        name: (one.combine_chunks() if isinstance(one, pa.ChunkedArray) else one).indices for name, one in keys.items()
    }
    count = table.num_rows
    numbered = pa.table({**flat, "row": arange(0, count)})
    ordered = numbered.sort_by([*((name, "ascending") for name in owners), ("row", "ascending")])
    sizes = ordered.group_by([*owners], use_threads=False).aggregate([("row", "count"), ("row", "min")])
    start = 0
    rows = ordered.column("row").combine_chunks()
    for length in sizes.column("row_count").to_pylist():
        yield rows.slice(start, length)
        start += length


def _extremes(column: pa.ChunkedArray, rows: pa.Array, max_points: int) -> pa.Array:
    """The rows of a curve that stay."""
    count = len(rows)
    buckets = max((max_points - 2) // 2, 1)
    place = arange(0, count)
    numbers = pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)
    work = pa.table({"bucket": pc.divide(pc.multiply(place, buckets), count), "value": numbers, "place": place})
    grouped = work.group_by("bucket", use_threads=False).aggregate(
        [("value", "min"), ("value", "max"), ("place", "min")]
    )
    kept = [pa.array([0, count - 1], pa.int64()), grouped.column("place_min").combine_chunks()]
    for which in ("value_min", "value_max"):
        extreme = grouped.column(which).combine_chunks().take(work.column("bucket").combine_chunks())
        equal = pc.fill_null(pc.equal(work.column("value"), extreme), fill_value=False)
        first = work.filter(equal).group_by("bucket", use_threads=False).aggregate([("place", "min")])
        kept.append(first.column("place_min").combine_chunks())
    # A stretch without any number (all NaN, or text) is held by its first row; where there are numbers, they are
    # enough.
    kept[1] = kept[1].filter(pc.is_null(grouped.column("value_min").combine_chunks()))
    flat = [one.combine_chunks() if isinstance(one, pa.ChunkedArray) else one for one in kept]
    return rows.take(pc.unique(pa.concat_arrays(flat)))


def as_they_began(tables: Iterable[pa.Table]) -> list[pa.Table]:
    """Tables of one writer each in the order in which the writers began: a later attempt follows an earlier one."""
    filled = [table for table in tables if table.num_rows]
    if len(filled) < 2:  # noqa: PLR2004 (one is in order)
        return filled
    return sorted(filled, key=lambda table: pc.min(table["time"]).as_py())


def view_many(
    tables: Sequence[pa.Table],
    run_ids: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    columns: Sequence[str] = ("run_id", *COLUMNS),
) -> pa.Table:
    """Return rows of many runs as one table: by run as they are given, by name, by table, as they were logged.

    Args:
        tables: tables in the schema of the format, in the order in which writers of a run are to follow each other.
            Rows of other runs are left out.
        run_ids: the runs in order, each once.
        names: only these metrics.
        columns: those of the result.
    """
    schema = pa.schema([SCHEMA.field(name) for name in columns])
    parts = [one for one in tables if one.num_rows]
    if not parts:
        return schema.empty_table()
    table = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    if names is not None:
        wanted = pa.array([*names], pa.string())
        table = table.filter(pc.is_in(table.column("name").cast(pa.string()), value_set=wanted)).combine_chunks()
    places = _places(table, "run_id", run_ids)
    if places.null_count:
        table, places = table.filter(pc.is_valid(places)).combine_chunks(), places.drop_null()
    if table.num_rows:
        table = _in_order(table, places)
    return table.select(columns).cast(schema)


def _in_order(table: pa.Table, places: pa.Array) -> pa.Table:
    """Rows by place, then by name; otherwise as they are. Files come in this order, so often nothing has to move."""
    order = pa.table({"run": places, "name": _name_ranks(table)})
    # One number for both: ranks are below 2^31.
    key = pc.add(pc.multiply(places.cast(pa.int64()), 2**31), order["name"].cast(pa.int64())).combine_chunks()
    key = key.chunk(0) if isinstance(key, pa.ChunkedArray) else key
    if pc.all(pc.greater_equal(key[1:], key[:-1])).as_py() in (True, None):
        return table
    return table.take(pc.sort_indices(key))
