"""The table that a view shows, made of the columns of the index without work per run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from runfolio.index.layers import ID, kept_rows, one_array
from runfolio.index.schema import NAMES, VALUE, VIEW

if TYPE_CHECKING:
    from runfolio.index.liveness import Liveness

RUNNING: Final = "Running"
LOST: Final = "Lost"
_MICROSECONDS: Final = 1e6


def visible(table: pa.Table) -> pa.Table:
    """The runs that are shown: those with a start that are not deleted."""
    shown = pc.and_not(table.column("started"), table.column("deleted"))
    return table if pc.all(shown).as_py() else kept_rows(table, one_array(pc.invert(shown)))


def unended(table: pa.Table) -> list[str]:
    """The ids of the runs without the end that counts."""
    ids: list[str] = table.column(ID).filter(pc.is_null(table.column("status"))).to_pylist()
    return ids


def view_table(table: pa.Table, liveness: Mapping[str, Liveness]) -> pa.Table:
    """Return the columns that people see.

    Args:
        table: visible runs in order, in the schema of checkpoints, with ids.
        liveness: of each run that has not ended.
    """
    status, alive = _statuses(table, liveness)
    made = {"status": status, "liveness": alive, "duration_seconds": _durations(table), "params": _params(table)}
    columns = [made[field.name] if field.name in made else table.column(field.name) for field in VIEW]
    return pa.table(columns, schema=VIEW)


def _statuses(table: pa.Table, liveness: Mapping[str, Liveness]) -> tuple[pa.Array, pa.Array]:
    status = one_array(table.column("status").cast(pa.string()))
    nobody = pa.nulls(table.num_rows, pa.string())
    open_runs = pc.is_null(status)
    ids = one_array(table.column(ID)).filter(open_runs).to_pylist()
    if not ids:
        return status.dictionary_encode().cast(NAMES), nobody.dictionary_encode().cast(NAMES)
    signs = [liveness.get(run_id, "unknown") for run_id in ids]
    derived = pa.array([LOST if sign == "lost" else RUNNING for sign in signs], pa.string())
    status = pc.replace_with_mask(status, open_runs, derived)
    alive = pc.replace_with_mask(nobody, open_runs, pa.array(signs, pa.string()))
    return status.dictionary_encode().cast(NAMES), alive.dictionary_encode().cast(NAMES)


def _durations(table: pa.Table) -> pa.Array:
    started, ended = (table.column(name).cast(pa.int64()) for name in ("start_time_utc", "end_time_utc"))
    return pc.divide(pc.subtract(ended, started).cast(pa.float64()), _MICROSECONDS)


def _params(table: pa.Table) -> pa.ChunkedArray:
    """Params without the note of where they came from. Nothing is copied."""
    chunks = []
    for chunk in table.column("params").chunks:
        elements = chunk.values
        fields = [elements.field(field.name) for field in VALUE]
        struct = pa.StructArray.from_arrays(fields, fields=list(VALUE))
        chunks.append(pa.ListArray.from_arrays(chunk.offsets, struct, type=pa.list_(VALUE)))
    return pa.chunked_array(chunks, pa.list_(VALUE))
