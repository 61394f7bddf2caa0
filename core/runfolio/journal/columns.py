"""Whole columns to frames: what `log_columns` takes. The values are never touched one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc

from runfolio.errors import InvalidValueError
from runfolio.journal import frames
from runfolio.journal.encoding import checked_step
from runfolio.rows.raw import arange
from runfolio.values import MAX_TEXT_BYTES, dump_json, unloggable

if TYPE_CHECKING:
    from runfolio.journal.appender import Record

ArrayLike: TypeAlias = Any
"""A 1-D array (NumPy, Arrow, torch, anything with the buffer or Arrow protocol), a Series, a range or a list."""

_CHUNK_ROWS: Final = 1_000_000
_CHUNK_BYTES: Final = 64 * 1024 * 1024
_LOOK: Final = 32_768
_BUFFER_TYPES: Final = {
    "b": pa.int8(), "B": pa.uint8(), "h": pa.int16(), "H": pa.uint16(), "i": pa.int32(), "I": pa.uint32(),
    "q": pa.int64(), "Q": pa.uint64(), "l": pa.int64(), "L": pa.uint64(), "f": pa.float32(), "d": pa.float64(),
}  # fmt: skip


class Bulk:
    """Columns of one call, checked.

    Args:
        columns: a mapping of names to 1-D arrays, or an Arrow table or batch.
        step: the steps of all of them, or the first one; None counts on.

    Raises:
        InvalidValueError: a column or the steps cannot be logged, or lengths differ.
    """

    def __init__(self, columns: ArrayLike, step: ArrayLike | None) -> None:
        self.names: Final = [name for name, _ in _items(columns)]
        self._columns: Final = [_column(values, f"The column {name!r}") for name, values in _items(columns)]
        lengths = [len(one) for one in self._columns]
        self.length: Final = lengths[0] if lengths else 0
        self._steps: Final = None if step is None else _steps(step, self.length)
        if len(self.names) != len(set(self.names)):
            raise InvalidValueError("Two columns have the same name")
        if any(length != self.length for length in lengths):
            told = ", ".join(f"{name!r}: {length}" for name, length in zip(self.names, lengths, strict=True))
            raise InvalidValueError(f"The columns of one call have one length, not {told[:300]}")
        if self._steps is not None and len(self._steps) != self.length and lengths:
            raise InvalidValueError(f"There are {len(self._steps)} steps for {self.length} values: give one for each")

    def frames(self, names: Sequence[int], starts: Sequence[int], time: int, salt: int) -> Iterator[Record]:
        """The frames to append, up to a million rows in each. Parts of them are the caller's own memory.

        Args:
            names: the id of each column's name.
            starts: the first step of each column, where none are given.
            time: now, in nanoseconds.
            salt: the salt of the file.
        """
        columns = [*self._columns, *([] if self._steps is None else [self._steps])]
        width = sum(one.nbytes for one in columns) / max(self.length, 1)
        chunk = max(min(_CHUNK_ROWS, int(_CHUNK_BYTES / max(width, 1))), 1)
        for start in range(0, self.length, chunk):
            pieces = [_contiguous(one.slice(start, chunk)) for one in columns]
            progression = None if self._steps is None else _progression(pieces[-1])
            parts = [_part(one) for one in (pieces if progression is None else pieces[:-1])]
            told = {
                "names": [*names], "time": time, "steps": self._steps is not None and progression is None,
                "starts": [one + start for one in starts] if progression is None else [progression[0]] * len(names),
                "stride": 1 if progression is None else progression[1],
                "length": len(pieces[0]), "parts": [(kind, len(data)) for kind, data in parts],
            }  # fmt: skip
            head = dump_json(told)
            rows = sum(len(one) - one.null_count for one in pieces[: len(names)])
            payload: list[bytes | memoryview] = [frames.COLUMNS_HEAD.pack(rows, len(head)), head, bytes(-len(head) % 8)]
            for _, data in parts:
                payload += [data, bytes(-len(data) % 8)]
            payload = [one for one in payload if len(one)]
            crc = salt
            for one in payload:
                crc = crc32(one, crc)
            yield (frames.header(frames.COLUMNS, 0, crc, sum(map(len, payload)), salt), *payload)

    def last_steps(self, starts: Sequence[int]) -> dict[str, int]:
        """The last step of each column."""
        if self._steps is not None:
            return dict.fromkeys(self.names, cast("int", self._steps[-1].as_py()))
        return {name: start + self.length - 1 for name, start in zip(self.names, starts, strict=True)}


def _items(columns: ArrayLike) -> list[tuple[str, ArrayLike]]:
    if isinstance(columns, Mapping):
        return [*columns.items()]
    if hasattr(columns, "__arrow_c_stream__") or hasattr(columns, "__arrow_c_array__"):
        try:
            table = columns if isinstance(columns, (pa.Table, pa.RecordBatch)) else pa.table(columns)
        except (TypeError, ValueError, pa.ArrowException) as error:
            raise InvalidValueError(f"{type(columns).__name__} is no table with columns: {error}") from error
        return [*zip(table.column_names, table.columns, strict=True)]
    raise InvalidValueError(
        f"log_columns takes a mapping of names to arrays, or an Arrow table, not a {type(columns).__name__}"
    )


def _column(values: ArrayLike, what: str) -> pa.ChunkedArray:
    """A column as Arrow, of a type that can be logged."""
    found = _arrow(values, what)
    kind = found.type
    if pa.types.is_dictionary(kind):
        found = found.cast(kind.value_type)
        kind = found.type
    if pa.types.is_null(kind):
        return found.cast(pa.float64())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        longest = pc.max(pc.binary_length(found)).as_py() or 0
        if longest > MAX_TEXT_BYTES:
            raise InvalidValueError(f"{what} has a text of {longest:,} bytes: use run.log_text(name, text)")
        return found
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return found
    raise InvalidValueError(f"{what} holds {kind}: log floats, ints, bools or strings; for others use run.log_table")


def _steps(step: ArrayLike, length: int) -> pa.ChunkedArray:
    if not hasattr(step, "__len__"):
        first = checked_step(step)
        checked_step(first + max(length - 1, 0))
        step = range(first, first + length)
    found = _arrow(step, "The steps")
    if not pa.types.is_integer(found.type) and len(found):
        raise InvalidValueError(f"Steps are ints, not {found.type}. For other axes, log them as a column of their own")
    if found.null_count:
        raise InvalidValueError("Steps must not have nulls")
    try:
        return found.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise InvalidValueError("A step does not fit into 64 bits") from error


def _arrow(values: ArrayLike, what: str) -> pa.ChunkedArray:
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
        raise InvalidValueError(
            f"{what} is a {type(values).__name__}: give a 1-D array or a list, one element for each row"
        )
    shape = getattr(values, "shape", None)
    if shape is not None and len(shape) != 1:
        raise InvalidValueError(f"{what} has {len(shape)} dimensions. {unloggable(values)}")
    if isinstance(values, range):
        return pa.chunked_array([pc.add(pc.multiply(arange(0, len(values)), values.step), values.start)])
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    to_numpy = getattr(values, "to_numpy", None)
    if callable(to_numpy) and not hasattr(type(values), "__arrow_c_array__"):
        values = to_numpy()  # a Series: Arrow would take its NaN for missing
    try:
        if not isinstance(values, (list, tuple)) and not hasattr(values, "__array__"):
            return pa.chunked_array([_from_buffer(values)])
        found = pa.array(values, from_pandas=False)
    except (TypeError, ValueError, OverflowError, BufferError, pa.ArrowException) as error:
        raise InvalidValueError(f"{what} cannot be logged as a column: {error}") from error
    return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])


def _from_buffer(values: ArrayLike) -> pa.Array:
    """An object with Arrow's protocol, or that exports its memory, such as ``array.array``."""
    if hasattr(values, "__arrow_c_array__"):
        return pa.array(values)
    try:
        view = memoryview(values)
    except TypeError:
        return pa.array([*values])
    kind = _BUFFER_TYPES.get(view.format.lstrip("@=<") if view.format else "B")
    if kind is None or view.ndim != 1 or kind.bit_width != 8 * view.itemsize:
        return pa.array(view.tolist())
    data = view if view.c_contiguous else memoryview(view.tobytes())
    return pa.Array.from_buffers(kind, len(view), [None, pa.py_buffer(data)])


def _progression(steps: pa.Array) -> tuple[int, int] | None:
    """First one and stride of steps that are evenly spaced, as most are: they need not be written one by one."""
    if len(steps) < 2:  # noqa: PLR2004  (no stride)
        return None
    first, second = steps[0].as_py(), steps[1].as_py()
    stride = second - first
    if first + stride * (len(steps) - 1) != steps[len(steps) - 1].as_py():
        return None
    for start in range(0, len(steps) - 1, _LOOK):  # in pieces that stay in the processor's cache
        piece = steps.slice(start, _LOOK + 1)
        if not pc.all(pc.equal(pc.subtract(piece[1:], piece[:-1]), stride)).as_py():
            return None
    return first, stride


def _part(column: pa.Array) -> tuple[str, bytes | memoryview]:
    """A column as bytes, and what they are: an Arrow type whose plain values they are, or "ipc"."""
    if column.null_count or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        sink = pa.BufferOutputStream()
        batch = pa.RecordBatch.from_arrays([column], names=["c"])
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        return "ipc", memoryview(sink.getvalue())
    width = column.type.bit_width // 8
    data = memoryview(column.buffers()[1]).cast("B")
    return str(column.type), data[column.offset * width : (column.offset + len(column)) * width]


def _contiguous(column: pa.ChunkedArray) -> pa.Array:
    return (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays(column.chunks)
        if column.num_chunks
        else pa.array([], column.type)
    )
