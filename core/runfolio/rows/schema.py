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
_FEW_WORDS: Final = 127
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
    counted = _count_names(rows)
    found = [*counted]
    order = sorted(range(len(found)), key=lambda place: rows.names[found[place]])  # by code points: as UTF-8 bytes
    # Two ids never have one name; an id is found by its place here.
    ranks = [-1] * (max(found, default=-1) + 1)
    for rank, place in enumerate(order):
        ranks[found[place]] = rank
    if len(found) > 1 or ranks != [0]:
        table = table.set_column(0, "name", pc.take(pa.array(ranks, pa.int32()), table.column("name")))
    if len(found) > 1 and not _is_sorted(table):
        table = table.take(pc.sort_indices(table.column("name")))  # stable: positions stay in order
    ends: list[int] = []
    for place in order:
        ends.append(counted[found[place]] + (ends[-1] if ends else 0))
    return Sorted(table, [rows.names[found[place]] for place in order], ends)


def _count_names(rows: raw.Rows) -> dict[int, int]:
    """How many rows each name id has."""
    found: dict[int, int] = {}
    for batch in rows.batches:
        names = batch.column("name")
        edges = pc.min_max(names).as_py()
        if edges["min"] == edges["max"]:  # one name, as in bulk columns: no need to hash each row
            counts = [(edges["min"], len(names))] if len(names) else []
        else:
            counted = pc.value_counts(names)
            counts = [*zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)]
        for name, count in counts:
            found[name] = found.get(name, 0) + count
    return found


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


class Finisher:
    """Turns sorted raw rows into the columns of the format, piece by piece.

    Args:
        names: all names, of which column ``name`` holds places.
        owner: whose rows they are.
    """

    def __init__(self, names: Sequence[str], owner: Owner) -> None:
        # Small indices where they suffice: they are a third of the time it takes to write the file.
        self._index: Final = pa.int8() if len(names) <= _FEW_WORDS else pa.int32()
        self._names: Final = names
        self._owner: Final = {
            "project": pa.array([owner.project]), "run_id": pa.array([owner.run_id]), "writer": pa.array([owner.writer])
        }  # fmt: skip
        self._constants: Final = raw.Constants()
        words = {"name": self._index, "kind": pa.int8(), **dict.fromkeys(self._owner, pa.int8())}
        self.schema: Final = pa.schema(
            [one.with_type(pa.dictionary(words[one.name], pa.string())) if one.name in words else one for one in SCHEMA]
        )

    def finish(self, piece: pa.Table) -> pa.Table:
        """The columns of rows of neighbouring names."""
        count = piece.num_rows
        ranks = piece.column("name")
        low, high = (ranks[0].as_py(), ranks[count - 1].as_py()) if count else (0, -1)
        zeros = self._constants.get(0, count, pa.int8())
        # Only the names of this piece: each row group carries its own dictionary.
        if low == high:
            local = self._constants.get(0, count, self._index)
        else:
            local = pc.subtract(_flat(ranks), pa.scalar(low, pa.int32())).cast(self._index)
        columns: dict[str, pa.Array | pa.ChunkedArray] = {
            **{name: pa.DictionaryArray.from_arrays(zeros, word) for name, word in self._owner.items()},
            "name": pa.DictionaryArray.from_arrays(local, pa.array(self._names[low : high + 1], pa.string())),
            "kind": pa.DictionaryArray.from_arrays(_flat(piece.column("kind")), _KINDS),
        }
        for one in ("step", "time", "value", "index", "text"):
            there = one in piece.column_names
            columns[one] = piece.column(one) if there else self._constants.nulls(count, SCHEMA.field(one).type)
        return pa.table([columns[one] for one in self.schema.names], schema=self.schema)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
