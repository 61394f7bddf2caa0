"""Tables of the index laid over one another: a later layer's rows take the place of an earlier one's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

ID: Final = "run_id"
_ID_DIGITS: Final = 13
_STRETCHES: Final = 64
"""Up to so many slices of a table are put together as they are; more would make every later step slow."""


def run_ids(table: pa.Table) -> pa.Array:
    """The ids of the runs of a checkpoint's table."""
    milliseconds = pc.utf8_lpad(table.column("created_ms").cast(pa.string()), _ID_DIGITS, "0")
    joined = pc.binary_join_element_wise(table.column("project").cast(pa.string()), milliseconds, "_")
    ids = pc.binary_join_element_wise(joined, table.column("short"), "-")
    return one_array(ids)


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def with_ids(table: pa.Table) -> pa.Table:
    """The table with its run ids as the last column `run_id`."""
    return table if ID in table.schema.names else table.append_column(ID, run_ids(table))


def overlay(layers: Sequence[pa.Table]) -> pa.Table:
    """Lay tables that have ids over one another, the last on top, and sort them: newest first, by (created ms, id).

    Each layer has at most one row a run. Layers that take nothing away from each other are not copied.
    """
    # Newer runs mostly lie in later layers: joined in this order they are usually sorted already.
    kept = [layer for layer in layers[::-1] if layer.num_rows]
    if not kept:
        return layers[0]
    hidden = _hidden(kept)
    joined = pa.concat_tables(kept) if len(kept) > 1 else kept[0]
    keys = joined.select(["created_ms", ID])
    if hidden is None:
        return joined if _is_ordered(keys) else _taken(joined, _order(keys))
    stretches = _stretches(hidden)
    if len(stretches) <= _STRETCHES and _is_ordered(_sliced(keys, stretches)):
        return _sliced(joined, stretches)
    visible = pc.indices_nonzero(pc.invert(hidden))
    return _taken(joined, visible.take(_order(keys.take(visible))))


def _hidden(layers: Sequence[pa.Table]) -> pa.Array | None:
    """Which rows of all layers, the top one first, lie under another; None when none does."""
    masks = [pa.repeat(pa.scalar(value=False), layers[0].num_rows)]
    above = one_array(layers[0].column(ID))
    for layer in layers[1:]:
        ids = one_array(layer.column(ID))
        masks.append(pc.is_in(ids, value_set=above))
        above = pa.concat_arrays([above, ids])
    hidden = pa.concat_arrays(masks)
    return hidden if pc.any(hidden).as_py() else None


def kept_rows(table: pa.Table, hidden: pa.Array) -> pa.Table:
    """The rows of a table that are not hidden. Where these are few stretches, nothing is copied."""
    stretches = _stretches(hidden)
    if len(stretches) <= _STRETCHES:
        return _sliced(table, stretches)
    return _taken(table, pc.indices_nonzero(pc.invert(hidden)))


def _stretches(hidden: pa.Array) -> list[tuple[int, int]]:
    """Begin and length of the stretches that are not hidden; it gives up where these are too many."""
    stretches: list[tuple[int, int]] = []
    begin = 0
    for place in [*pc.indices_nonzero(hidden).to_pylist(), len(hidden)]:
        if place > begin:
            stretches.append((begin, place - begin))
            if len(stretches) > _STRETCHES:
                break
        begin = place + 1
    return stretches


def _sliced(table: pa.Table, stretches: Sequence[tuple[int, int]]) -> pa.Table:
    return pa.concat_tables([table.slice(*one) for one in stretches]) if stretches else table.slice(0, 0)


def _taken(table: pa.Table, places: pa.Array) -> pa.Table:
    return table.unify_dictionaries().combine_chunks().take(places)


def _order(keys: pa.Table) -> pa.Array:
    return pc.sort_indices(keys, sort_keys=[("created_ms", "descending"), (ID, "descending")])


def _is_ordered(table: pa.Table) -> bool:
    if table.num_rows < 2:  # noqa: PLR2004 (one row is in order)
        return True
    moments, ids = one_array(table.column("created_ms")), one_array(table.column(ID))
    earlier, later = moments[:-1], moments[1:]
    if pc.any(pc.less(earlier, later)).as_py():
        return False
    ties = pc.equal(earlier, later)
    if not pc.any(ties).as_py():
        return True
    return not pc.any(pc.and_(ties, pc.less(ids[:-1], ids[1:]))).as_py()


def positions(table: pa.Table, ids: Iterable[str]) -> dict[str, int]:
    """Where in a table that has ids these runs are; those it lacks are left out."""
    wanted = list(ids)
    found = pc.index_in(pa.array(wanted, pa.string()), value_set=one_array(table.column(ID))).to_pylist()
    return {run_id: place for run_id, place in zip(wanted, found, strict=True) if place is not None}


def rows_at(table: pa.Table, places: Sequence[int]) -> pa.Table:
    """Some rows of a table, in the order of `places`."""
    # Slices avoid a copy of whole columns when the table has several chunks.
    if len(places) == 1:
        return table.slice(places[0], 1)
    return table.take(pa.array(places, pa.int64()))
