"""The tables that a statement can name, read from the store when it does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from runfolio import layout
from runfolio.errors import NotFoundError
from runfolio.ids import parse_run_id
from runfolio.rows.schema import SCHEMA
from runfolio.store.manifests import decode_manifest, schema

if TYPE_CHECKING:
    from runfolio.backend import ObjectInfo
    from runfolio.run_set import RunSet
    from runfolio.stored_run import Reader

_log: Final = logging.getLogger(__name__)
MANY_ROWS: Final = 20_000_000
"""From so many rows of metrics on, a warning says how to read fewer: they take about 1 GB of memory."""


def runs_table(runs: RunSet, reader: Reader) -> pa.Table:
    """One row a run: its fields, and the last value of each param and metric."""
    del reader
    return _plain(runs.to_arrow())


def metrics_table(runs: RunSet, reader: Reader) -> pa.Table:
    """One row a logged value, or element of a list, as ``docs/format.md`` describes them."""
    count = pc.sum(runs.to_arrow("rows")["rows"]).as_py() or 0
    if count >= MANY_ROWS:
        _log.warning(
            "The table metrics holds %s rows, which are read into memory: name a project or a condition on runs to "
            "read fewer",
            f"{count:,}",
        )
    rows = reader.rows_of_many(runs.ids(), None)
    ids = rows["run_id"].combine_chunks()
    ids = ids.chunk(0) if isinstance(ids, pa.ChunkedArray) else ids
    projects = pa.array([parse_run_id(run_id).project for run_id in ids.dictionary.to_pylist()], pa.string())
    rows = rows.add_column(0, "project", pa.DictionaryArray.from_arrays(ids.indices, projects))
    return _plain(rows.select(SCHEMA.names))


def artifacts_table(runs: RunSet, reader: Reader) -> pa.Table:
    """One row a file of a run: what its manifests say."""
    from runfolio.store.many_runs import MANIFESTS  # noqa: PLC0415 (loaded on use)

    listed = reader.listed(runs.ids(), MANIFESTS)
    calls = [_manifest_reader(reader, run_id, one) for run_id, objects in listed.items() for one in objects]
    rows = [row for part in reader.gather(calls) for row in part]
    columns = pa.schema([(name, pa.string()) for name in ("project", "run_id", "writer")] + [*schema()])
    return _plain(pa.Table.from_pylist(rows, schema=columns))


def _manifest_reader(reader: Reader, run_id: str, one: ObjectInfo) -> Callable[[], list[dict[str, Any]]]:
    writer = one.key.rsplit("/manifest-", 1)[-1].removesuffix(".parquet")
    owner = {"project": parse_run_id(run_id).project, "run_id": run_id, "writer": writer}

    def read() -> list[dict[str, Any]]:
        if one.key != layout.manifest(run_id, writer):
            return []  # a stranger's file
        try:
            rows = decode_manifest(reader.backend.get(one.key), one.key)
        except NotFoundError:
            return []  # deleted meanwhile
        return [{**row, **owner, "key": row["key"] or row["path"]} for row in rows]

    return read


CONTENTS: Final[dict[str, Callable[[RunSet, Reader], pa.Table]]] = {
    "runs": runs_table,
    "metrics": metrics_table,
    "artifacts": artifacts_table,
}
"""How each table is read."""


def _plain(table: pa.Table) -> pa.Table:
    """A table whose types and names DuckDB takes as they are.

    Times lose their zone, which is UTC: calendar functions on times with a zone need an extension of DuckDB.
    """
    columns: dict[str, Any] = {}
    for title, column in zip(titles(table.column_names), table.columns, strict=True):
        zoned = pa.types.is_timestamp(column.type) and column.type.tz is not None
        columns[title] = column.cast(pa.timestamp(column.type.unit)) if zoned else column
    return pa.table(columns)


def titles(names: Iterable[str]) -> list[str]:
    """Names that differ to SQL, which takes no notice of case: the later of two get ``_1``, ``_2`` and so on.

    >>> titles(["loss", "Loss", "loss"])
    ['loss', 'Loss_1', 'loss_2']
    """
    taken: dict[str, None] = {}
    found = []
    for name in names:
        title, number = name, 0
        while title.lower() in taken:
            number += 1
            title = f"{name}_{number}"
        taken[title.lower()] = None
        found.append(title)
    return found
