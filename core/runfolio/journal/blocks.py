"""Frames to Arrow: what was scanned becomes batches of raw rows. No loop over fixed records."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa
import pyarrow.compute as pc

from runfolio.journal import frames
from runfolio.rows import raw
from runfolio.values import EXACT_INT, Scalar, load_json

if TYPE_CHECKING:
    from runfolio.journal.scan import Run

_CODES: Final = {float: raw.FLOAT, int: raw.INT, bool: raw.BOOL, str: raw.STR}
_SMALL: Final = 32
"""Runs shorter than this are collected with what is around them."""


class Blocks:
    """Collects frames into batches, in order.

    Args:
        names: the names by id, shared with the caller and extended by NAME frames.
    """

    def __init__(self, names: list[str]) -> None:
        self.names: Final = names
        self._done: list[pa.RecordBatch] = []
        self._constants = raw.Constants()
        self._single: list[tuple[int, int, int, int, float | None, int | None, str | None]] = []

    def take(self) -> list[pa.RecordBatch]:
        """The batches so far."""
        self._close()
        done, self._done = self._done, []
        return done

    def add_run(self, run: Run) -> None:
        """Add fixed frames."""
        if run.count < _SMALL:  # few: cheaper one by one than seven tiny arrays
            self._add_fixed_singly(run)
            return
        words = run.data.cast("q")
        step, time, value = (_column(words[k::4], pa.int64()) for k in (1, 2, 3))
        # The id of the name is the upper half of the second u32 of the frame.
        name = pc.cast(_column(run.data.cast("H")[3::16], pa.uint16()), pa.int32())
        kinds = run.data[5 :: frames.FIXED_SIZE].tobytes()
        self._add(name=name, step=step, time=raw.micros(time), **_values(kinds, value))

    def add(self, frame: frames.Extended) -> None:
        """Add an extended frame. Unknown types are left to later versions."""
        kind, payload = frame.type, frame.payload
        if kind == frames.NAME:
            learn(self.names, frame)
        elif kind == frames.COLUMNS:
            self._add_columns(payload)
        elif kind in (frames.LIST_FLOAT, frames.LIST_INT, frames.LIST_BOOL):
            self._add_plain_list(frame)
        elif kind == frames.LIST_JSON:
            step, time = frames.STAMP.unpack_from(payload)
            elements = cast("list[Scalar]", load_json(bytes(payload[frames.STAMP.size + frames.COUNT.size :])))
            for index, element in enumerate(elements):
                self._single.append((frame.name, step, time, *_scalar(element, index)))
            if not elements:
                self._single.append((frame.name, step, time, raw.EMPTY, None, None, None))
        elif kind in (frames.TEXT, frames.BIG_INT, frames.WIDE):
            step, time = frames.STAMP.unpack_from(payload)
            self._single.append((frame.name, step, time, *_scalar(_one(kind, payload[frames.STAMP.size :]), None)))

    def _add_fixed_singly(self, run: Run) -> None:
        for start in range(0, run.count * frames.FIXED_SIZE, frames.FIXED_SIZE):
            body = run.data[start + 4 : start + frames.FIXED_SIZE]
            _, kind, name, step, time, value = frames.unpack_float(body)
            element: Scalar = value
            if kind != frames.FLOAT:
                number = frames.unpack_int(body)[-1]
                element = bool(number) if kind == frames.BOOL else number
            self._single.append((name, step, time, *_scalar(element, None)))

    def _add_plain_list(self, frame: frames.Extended) -> None:
        step, time = frames.STAMP.unpack_from(frame.payload)
        data = frame.payload[frames.STAMP.size + frames.COUNT.size :]
        columns: dict[str, pa.Array]
        if frame.type == frames.LIST_FLOAT:
            count, kind, columns = len(data) // 8, raw.FLOAT, {"value": _column(data.cast("d"), pa.float64())}
        elif frame.type == frames.LIST_INT:
            count, kind, columns = len(data) // 8, raw.INT, raw.numbers(_column(data.cast("q"), pa.int64()))
        else:
            count, kind, columns = len(data), raw.BOOL, raw.numbers(_column(data, pa.uint8()))
        self._add(
            name=self._constants.get(frame.name, count, pa.int32()),
            step=self._constants.get(step, count, pa.int64()),
            time=self._constants.get(time // 1000, count, pa.int64()).view(raw.TIME),
            kind=self._constants.get(kind, count, pa.int8()),
            index=self._constants.progression(0, 1, count).cast(pa.int32()),
            **columns,
        )

    def _add_columns(self, payload: memoryview) -> None:
        told, columns = columns_in(payload)
        steps = columns.pop() if told["steps"] else None
        time: int = told["time"]
        for name, start, column in zip(told["names"], told["starts"], columns, strict=True):
            step = self._constants.progression(start, told["stride"], len(column)) if steps is None else steps
            values = column
            if column.null_count:
                there = pc.is_valid(column)
                values, step = pc.filter(column, there), pc.filter(step, there)
            count = len(values)
            if count:
                self._add(
                    name=self._constants.get(name, count, pa.int32()),
                    step=step,
                    time=self._constants.get(time // 1000, count, pa.int64()).view(raw.TIME),
                    **raw.values(values, self._constants),
                )

    def _add(self, **columns: pa.Array) -> None:
        self._close()
        self._done.append(raw.batch(columns))

    def _close(self) -> None:
        """Turn the rows that came one by one into a batch."""
        if not self._single:
            return
        name, step, time, kind, value, index, text = zip(*self._single, strict=True)
        self._single.clear()
        columns = {
            "name": pa.array(name, pa.int32()),
            "step": pa.array(step, pa.int64()),
            "time": raw.micros(pa.array(time, pa.int64())),
            "kind": pa.array(kind, pa.int8()),
            "value": pa.array(value, pa.float64()),
        }
        if any(one is not None for one in index):
            columns["index"] = pa.array(index, pa.int32())
        if any(one is not None for one in text):
            columns["text"] = pa.array(text, pa.string())
        self._done.append(raw.batch(columns))


def learn(names: list[str], frame: frames.Extended) -> None:
    """Note what the id of a NAME frame stands for. An id whose frame was damaged gets a name of its own."""
    while len(names) <= frame.name:
        names.append(f"unnamed-{len(names)}")
    names[frame.name] = bytes(frame.payload).decode("utf-8")


def rows_in(frame: frames.Extended) -> int:
    """How many rows a frame is; the head of its payload is enough."""
    if frame.type in (frames.TEXT, frames.BIG_INT, frames.WIDE):
        return 1
    if frame.type in (frames.LIST_FLOAT, frames.LIST_INT, frames.LIST_BOOL, frames.LIST_JSON, frames.COLUMNS):
        return cast(
            "int", frames.COUNT.unpack_from(frame.payload, 0 if frame.type == frames.COLUMNS else frames.STAMP.size)[0]
        )
    return 0


def columns_in(payload: memoryview) -> tuple[dict[str, Any], list[pa.Array]]:
    """What a COLUMNS frame tells, and its columns; the steps are the last one, if it has them."""
    _, length = frames.COLUMNS_HEAD.unpack_from(payload)
    at: int = frames.COLUMNS_HEAD.size
    told: dict[str, Any] = load_json(bytes(payload[at : at + length]))
    at += length + -length % 8
    found: list[pa.Array] = []
    for kind, size in told["parts"]:
        # No copy: the arrays keep the window of the file that they were read from.
        buffer = pa.py_buffer(payload[at : at + size])
        if buffer.address % 8:  # behind damage
            buffer = pa.py_buffer(bytes(payload[at : at + size]))
        if kind == "ipc":
            with pa.ipc.open_stream(buffer) as stream:
                found.append(stream.read_next_batch().column(0))
        else:
            found.append(pa.Array.from_buffers(pa.type_for_alias(kind), told["length"], [None, buffer]))
        at += size + -size % 8
    return told, found


def _column(view: memoryview[Any], kind: pa.DataType) -> pa.Array:
    data = view.tobytes()  # copies the strided view in C
    return pa.Array.from_buffers(kind, len(data) // (kind.bit_width // 8), [None, pa.py_buffer(data)])


def _values(types: bytes, words: pa.Array) -> dict[str, pa.Array]:
    """Kinds and values of fixed frames whose last 8 bytes are a float or an int, by their type."""
    count = len(types)
    kind = pc.subtract(pa.Array.from_buffers(pa.int8(), count, [None, pa.py_buffer(types)]), pa.scalar(1, pa.int8()))
    if types.count(frames.FLOAT) == count:
        return {"kind": kind, "value": words.view(pa.float64())}
    is_float = pc.equal(kind, raw.FLOAT)
    columns = raw.numbers(pc.if_else(is_float, pa.scalar(0, pa.int64()), words))
    columns["value"] = pc.if_else(is_float, words.view(pa.float64()), columns["value"])
    return {"kind": kind, **columns}


def _one(kind: int, data: memoryview) -> Scalar:
    """The scalar in the payload of a TEXT, BIG_INT or WIDE frame."""
    if kind == frames.TEXT:
        return bytes(data).decode("utf-8")
    if kind == frames.BIG_INT:
        return int(bytes(data))
    if data[0] == frames.FLOAT:
        return cast("float", frames.WIDE_FLOAT.unpack(data)[1])
    number = cast("int", frames.WIDE_INT.unpack(data)[1])
    return bool(number) if data[0] == frames.BOOL else number


def _scalar(element: Scalar, index: int | None) -> tuple[int, float | None, int | None, str | None]:
    """Kind, value, index and text of one scalar."""
    kind = _CODES[element.__class__]
    if isinstance(element, str):
        return kind, None, index, element
    if -EXACT_INT <= element <= EXACT_INT or kind == raw.FLOAT:
        return kind, float(element), index, None
    try:
        nearest = float(element)
    except OverflowError:
        nearest = math.inf if element > 0 else -math.inf
    return kind, nearest, index, str(element)
