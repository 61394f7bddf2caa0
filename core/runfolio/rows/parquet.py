"""Rows to a Parquet file and back.

Every row group holds whole names where it can, and its statistics tell which: one curve is the footer and one further
read.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runfolio.errors import FormatError
from runfolio.rows.owned import owned
from runfolio.rows.schema import SCHEMA, Finisher, Owner, Sorted, sort

if TYPE_CHECKING:
    from runfolio.rows.raw import Rows

_GROUP: Final = 131_072
"""Names are put together into a row group up to this many rows."""
_LARGEST_GROUP: Final = 1_000_000
_SHARE: Final = 32
"""A row group takes at least this part of a long file, so that footers stay below `runfolio.rows.ranged.TAIL`."""
_SAMPLE: Final = 8192
_FEW: Final = 0.25
"""Below this share of distinct values, a dictionary is smaller than the values themselves."""
MEASURED: Final = ["run_id", "name", "step", "time", "value"]
"""Columns whose least and greatest values readers can use to skip row groups."""
WORD_COLUMNS: Final = ["project", "run_id", "writer", "name", "kind"]


def encode(rows: Rows, owner: Owner, metadata: Mapping[str, str]) -> bytes:
    """Return rows as one Parquet file, sorted by name, then by position.

    Args:
        rows: the rows in journal order.
        owner: whose rows they are.
        metadata: key-value metadata of the file (``runfolio.format`` and so on).
    """
    ordered = sort(rows)
    repeating = _repeats(ordered.table.column("value"))
    delta = ["step", "time", "index"]
    finisher = Finisher(ordered.names, owner)
    schema = finisher.schema.with_metadata({key.encode(): value.encode() for key, value in metadata.items()})
    has_text = "text" in ordered.table.column_names
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        use_dictionary=[*WORD_COLUMNS, "text", *(["value"] if repeating else [])],
        column_encoding={
            **dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
            # Not BYTE_STREAM_SPLIT, which is half a byte a value smaller: Spark's vectorized reader refuses it.
            **({} if repeating else {"value": "PLAIN"}),
        },
        write_statistics=MEASURED,
        write_batch_size=1024 if has_text else 65_536,  # pages are ended after a batch: texts can be long
    ) as writer:
        for first, after in _groups(ordered):
            piece = finisher.finish(ordered.table.slice(first, after - first))
            writer.write_table(piece.replace_schema_metadata(schema.metadata), row_group_size=max(after - first, 1))
    return sink.getvalue()


def decode(data: bytes | pa.Buffer, *, key: str = "") -> pa.Table:
    """Return the rows of a Parquet file in the schema of this version. Columns of later versions are left out.

    Args:
        data: the whole file.
        key: where it came from, for the message.

    Raises:
        FormatError: it is damaged, or no file of rows.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(owned(data)), read_dictionary=WORD_COLUMNS) as file:
            return conform(file.read(), key)
    except KeyError as error:
        raise FormatError(f"{key or 'This file'} is no file of rows: it lacks the column {error}", key=key) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"The rows in {key or 'this file'} cannot be read: {error}", key=key) from error


def conform(table: pa.Table, key: str = "") -> pa.Table:
    """A table that was read, in the schema of this version.

    Raises:
        FormatError: it lacks a column.
    """
    try:
        return table.select(SCHEMA.names).cast(SCHEMA)
    except (KeyError, pa.ArrowInvalid) as error:
        raise FormatError(f"{key or 'This file'} is no file of rows: {error}", key=key) from error


def _groups(ordered: Sorted) -> Iterator[tuple[int, int]]:
    """Where row groups begin and end: at a name's end, except for names that are too long for one."""
    share = (ordered.ends[-1] if ordered.ends else 0) // _SHARE
    usual, largest = max(_GROUP, share), max(_LARGEST_GROUP, share)
    first = last = 0
    for end in ordered.ends:
        if end - first > usual and last > first:
            yield first, last
            first = last
        while end - first > largest:
            yield first, first + largest
            first += largest
        last = end
    if last > first or not ordered.ends:
        yield first, last


def _repeats(values: pa.ChunkedArray) -> bool:
    """Whether a sample of the values holds few distinct ones, as accuracies, counts and flags do."""
    count = len(values)
    if not count:
        return True
    width = _SAMPLE // 16
    parts = [values.slice(k * count // 16, width) for k in range(16)] if count > _SAMPLE else [values]
    sample = pa.chunked_array([chunk for part in parts for chunk in part.chunks], pa.float64())
    return bool(pc.count_distinct(sample).as_py() < _FEW * len(sample))
