"""Rows between journal and Parquet: Arrow batches in the order of the journal, with small codes for names and kinds.

Columns: ``name`` int32 (id given by the journal), ``step`` int64, ``time`` timestamp[us, UTC], ``kind`` int8 (place
in `KINDS`), ``value`` float64; and, only where a row has one, ``index`` int32 and ``text`` string.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from runfolio.values import EXACT_INT

KINDS: Final = ("float", "int", "bool", "str", "empty")
FLOAT, INT, BOOL, STR, EMPTY = range(5)
TIME: Final = pa.timestamp("us", tz="UTC")
_TYPES: Final[dict[str, pa.DataType]] = {
    "name": pa.int32(),
    "step": pa.int64(),
    "time": TIME,
    "kind": pa.int8(),
    "value": pa.float64(),
    "index": pa.int32(),
    "text": pa.string(),
}
_ALWAYS: Final = ("name", "step", "time", "kind", "value")


def micros(nanoseconds: pa.Array) -> pa.Array:
    """Times in nanoseconds since 1970 as the column ``time``."""
    return pc.divide(nanoseconds, 1000).view(TIME)


def constant(value: int, count: int, kind: pa.DataType) -> pa.Array:
    """`count` times the same int."""
    # Python repeats bytes many times faster than pyarrow.repeat makes the same column.
    data = value.to_bytes(kind.bit_width // 8, "little", signed=True) * count
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(data)])


def arange(start: int, count: int) -> pa.Array:
    """The ints from `start` on."""
    if not count:
        return pa.array([], pa.int64())
    # pyarrow.arange came after the oldest version that we support.
    return pc.add(pc.cumulative_sum(constant(1, count, pa.int64())), start - 1)


class Constants:
    """Columns of one value, made once and sliced: copies of a name and a time would fill the memory."""

    def __init__(self) -> None:
        self._nulls: dict[pa.DataType, pa.Array] = {}
        self._zero_on: pa.Array = arange(0, 0)
        self._last: dict[pa.DataType, tuple[int, pa.Array]] = {}

    def get(self, value: int, count: int, kind: pa.DataType) -> pa.Array:
        """`count` times the same value."""
        last, array = self._last.get(kind, (value, None))
        if array is None or last != value or len(array) < count:
            array = constant(value, count, kind)
            self._last[kind] = value, array
        return array.slice(0, count)

    def nulls(self, count: int, kind: pa.DataType) -> pa.Array:
        """`count` nulls."""
        array = self._nulls.get(kind)
        if array is None or len(array) < count:
            array = self._nulls[kind] = pa.nulls(count, kind)
        return array.slice(0, count)

    def progression(self, start: int, stride: int, count: int) -> pa.Array:
        """`count` ints from `start` on, `stride` apart."""
        if len(self._zero_on) < count:
            self._zero_on = arange(0, count)
        found = self._zero_on.slice(0, count)
        if stride != 1:
            found = pc.multiply(found, stride)
        return pc.add(found, start) if start else found


def batch(columns: dict[str, pa.Array]) -> pa.RecordBatch:
    """A batch of raw rows. The columns have the types that the module's head tells."""
    return pa.RecordBatch.from_arrays([*columns.values()], names=[*columns])


def numbers(values: pa.Array) -> dict[str, pa.Array]:
    """The columns ``value`` and, where an int is beyond float64's exactness, ``text`` of integer values."""
    columns = {"value": pc.cast(values, pa.float64(), safe=False)}
    extremes = pc.min_max(values).as_py()
    if len(values) and (extremes["max"] > EXACT_INT or extremes["min"] < -EXACT_INT):
        # Compared in int64: float64 has no neighbour of 2^53 + 1 to tell it from.
        large = pc.greater(values, pa.scalar(EXACT_INT, values.type))
        if extremes["min"] < -EXACT_INT:
            large = pc.or_(large, pc.less(values, pa.scalar(-EXACT_INT, values.type)))
        columns["text"] = pc.if_else(large, pc.cast(values, pa.string()), pa.scalar(None, pa.string()))
    return columns


def values(column: pa.Array, constants: Constants) -> dict[str, pa.Array]:
    """The columns ``kind``, ``value`` and ``text`` of scalars that are all of one Arrow type.

    Args:
        column: the scalars, without nulls.
        constants: makes the column of kinds.

    Raises:
        TypeError: the type is not floating, integer, bool or string.
    """
    kind, count = column.type, len(column)
    if pa.types.is_floating(kind):
        return {"kind": constants.get(FLOAT, count, pa.int8()), "value": column.cast(pa.float64())}
    if pa.types.is_integer(kind):
        return {"kind": constants.get(INT, count, pa.int8()), **numbers(column)}
    if pa.types.is_boolean(kind):
        return {"kind": constants.get(BOOL, count, pa.int8()), "value": column.cast(pa.uint8()).cast(pa.float64())}
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        nothing = pa.nulls(count, pa.float64())
        return {"kind": constants.get(STR, count, pa.int8()), "value": nothing, "text": column.cast(pa.string())}
    raise TypeError(str(kind))


@dataclass(slots=True)
class Rows:
    """Raw rows in journal order, with the names that their ids stand for."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    names: Sequence[str] = ()

    @property
    def count(self) -> int:
        """Number of rows."""
        return sum(one.num_rows for one in self.batches)

    def table(self) -> pa.Table:
        """All batches as one table; ``index`` and ``text`` are there when any row has one."""
        columns = [*_ALWAYS, *(one for one in ("index", "text") if any(one in b.schema.names for b in self.batches))]
        schema = pa.schema([(one, _TYPES[one]) for one in columns])
        filled = [
            pa.RecordBatch.from_arrays(
                [b.column(one) if one in b.schema.names else pa.nulls(b.num_rows, _TYPES[one]) for one in columns],
                schema=schema,
            )
            for b in self.batches
        ]
        return pa.Table.from_batches(filled, schema=schema)


def starts_of_values(table: pa.Table) -> pa.ChunkedArray:
    """A mask of the rows where a value begins: every scalar, every empty list, and element 0 of every list."""
    if "index" not in table.column_names:
        return pa.chunked_array([pa.repeat(pa.scalar(value=True), table.num_rows)])
    index = table.column("index")
    return pc.or_kleene(pc.is_null(index), pc.equal(index, 0))
