"""Leaving out the rows that a later attempt took the place of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runfolio.store.superseding import Cut


def hide(tables: Iterable[pa.Table], cuts: Sequence[Cut]) -> list[pa.Table]:
    """Return tables in the schema of the format without the rows that are hidden."""
    return [_hide(table, cuts) for table in tables]


def _hide(table: pa.Table, cuts: Sequence[Cut]) -> pa.Table:
    for cut in cuts:
        if not table.num_rows:
            break
        hidden = pc.and_(
            pc.equal(table["run_id"].cast(pa.string()), cut.run_id),
            pc.is_in(table["writer"].cast(pa.string()), value_set=pa.array(sorted(cut.writers), pa.string())),
        )
        hidden = pc.and_(hidden, pc.greater_equal(table["step"], cut.step))
        if pc.any(hidden).as_py():
            table = table.filter(pc.invert(hidden))
    return table
