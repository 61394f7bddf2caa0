"""The columns of a Parquet file of rows, and raw rows turned into them (``docs/format.md``, "Rows")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from runfolio.rows import raw

WORDS: Final = pa.dictionary(pa.int32(), pa.string())
SCHEMA: Final = pa.schema(
    [
        pa.field("project", WORDS, nullable=False),
        pa.field("run_id", WORDS, nullable=False),
        pa.field("writer", WORDS, nullable=False),
        pa.field("name", WORDS, nullable=False),
        pa.field("step", pa.int64(), nullable=False),
        pa.field("index", pa.int32()),
        pa.field("time", raw.TIME, nullable=False),
        pa.field("kind", WORDS, nullable=False),
        pa.field("value", pa.float64()),
        pa.field("text", pa.string()),
    ]
)
_KINDS: Final = pa.array(raw.KINDS, pa.string())


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose rows they are: the columns that are the same in every row of a file."""

    project: str
    run_id: str
    writer: str


@dataclass(frozen=True, slots=True)
class Sorted:
    """Raw rows by name, then by position.

    Attributes:
        table: the raw rows; column ``name`` is the place in `names`.
        names: the names in order of their UTF-8 bytes.
        ends: for each name, how many rows it and all before it have.
    """

    table: pa.Table
    names: Sequence[str]
    ends: Sequence[int]


def sort(rows: raw.Rows) -> Sorted:
    """Sort raw rows by name, then by position."""
    table = rows.table()
    counted = pc.value_counts(table.column("name"))
    found: list[int] = counted.field(0).to_pylist()
    order = sorted(range(len(found)), key=lambda place: rows.names[found[place]])  # by code points: as UTF-8 bytes
    # Two ids never have one name; an id is found by its place here.
    ranks = [-1] * (max(found, default=-1) + 1)
    for rank, place in enumerate(order):
        ranks[found[place]] = rank
    if len(found) == 1:
        rank = raw.constant(0, table.num_rows, pa.int32())
    else:
        rank = pc.take(pa.array(ranks, pa.int32()), table.column("name"))
    table = table.set_column(0, "name", rank)
    if not _is_sorted(table):
        table = table.take(pc.sort_indices(table.column("name")))  # stable: positions stay in order
    counts: list[int] = counted.field(1).to_pylist()
    ends: list[int] = []
    for place in order:
        ends.append(counts[place] + (ends[-1] if ends else 0))
    return Sorted(table, [rows.names[found[place]] for place in order], ends)


def _is_sorted(table: pa.Table) -> bool:
    """Whether the rows are by name already, as one bulk column is."""
    chunks = [one for one in table.column("name").chunks if len(one)]
    last = -1
    for chunk in chunks:
        low = chunk[0].as_py()
        if low < last or (len(chunk) > 1 and not pc.all(pc.greater_equal(chunk[1:], chunk[:-1])).as_py()):
            return False
        last = chunk[len(chunk) - 1].as_py()
    return True


def finish(piece: pa.Table, names: Sequence[str], owner: Owner) -> pa.Table:
    """Raw rows, sorted, as the columns of the format.

    Args:
        piece: rows of neighbouring names.
        names: all names, of which column ``name`` holds places.
        owner: whose rows they are.
    """
    count = piece.num_rows
    ranks = piece.column("name").combine_chunks()
    low, high = (ranks[0].as_py(), ranks[count - 1].as_py()) if count else (0, -1)
    # Only the names of this piece: each row group carries its own dictionary.
    local = pc.subtract(ranks, pa.scalar(low, pa.int32()))
    zeros = raw.constant(0, count, pa.int32())
    have = piece.column_names
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        "project": pa.DictionaryArray.from_arrays(zeros, pa.array([owner.project])),
        "run_id": pa.DictionaryArray.from_arrays(zeros, pa.array([owner.run_id])),
        "writer": pa.DictionaryArray.from_arrays(zeros, pa.array([owner.writer])),
        "name": pa.DictionaryArray.from_arrays(_flat(local), pa.array(names[low : high + 1], pa.string())),
        "step": piece.column("step"),
        "index": piece.column("index") if "index" in have else pa.nulls(count, pa.int32()),
        "time": piece.column("time"),
        "kind": pa.DictionaryArray.from_arrays(_flat(piece.column("kind")).cast(pa.int32()), _KINDS),
        "value": piece.column("value"),
        "text": piece.column("text") if "text" in have else pa.nulls(count, pa.string()),
    }
    return pa.table([columns[one.name] for one in SCHEMA], schema=SCHEMA)


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pa.concat_arrays(found.chunks) if isinstance(found, pa.ChunkedArray) else found
