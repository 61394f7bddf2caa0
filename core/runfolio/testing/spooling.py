"""A journal in memory, for tests of the store protocol.

It outlives the actors that write to it, as a file outlives a process.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple, final

if TYPE_CHECKING:
    from collections.abc import Mapping


class SpooledRow(NamedTuple):
    """One row."""

    name: str
    step: int
    value: float


@final
class MemorySpool:
    """One writer's journal. Satisfies `runfolio.store.spooled.SpooledRunLike`.

    Args:
        run_id: the run.
        project: its project.
        writer: the writer key.
    """

    def __init__(self, run_id: str, project: str, writer: str) -> None:
        self.run_id = run_id
        self.project = project
        self.writer = writer
        self.rows: list[SpooledRow] = []
        self.noted: list[tuple[str, dict[str, Any]]] = []
        self.discarded = False

    def log(self, name: str, value: float, step: int | None = None) -> None:
        """Append one row."""
        self.rows.append(SpooledRow(name, len(self.rows) if step is None else step, value))

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Return everything noted so far."""
        return [(kind, dict(body)) for kind, body in self.noted]

    def note(self, kind: str, body: Mapping[str, Any], /) -> None:
        """Append one event."""
        self.noted.append((kind, dict(body)))

    def cut(self) -> int:
        """Return how many rows there are."""
        return len(self.rows)

    def encode(self, first: int, after: int, metadata: Mapping[str, str]) -> bytes:
        """Return rows as Parquet."""
        import pyarrow as pa  # noqa: PLC0415 (loaded on use)
        import pyarrow.parquet as pq  # noqa: PLC0415 (loaded on use)

        from runfolio.rows.schema import SCHEMA  # noqa: PLC0415 (loads pyarrow)

        rows = self.rows[first:after]
        owner = {"project": self.project, "run_id": self.run_id, "writer": metadata["runfolio.writer"], "kind": "float"}
        columns: dict[str, object] = {
            **{name: [word] * len(rows) for name, word in owner.items()},
            **{name: [None] * len(rows) for name in ("index", "text")},
            "name": [row.name for row in rows],
            "step": [row.step for row in rows],
            "time": [row.step for row in rows],
            "value": [row.value for row in rows],
        }
        arrays = [pa.array(columns[one.name]).cast(one.type) for one in SCHEMA]
        table = pa.table(arrays, schema=SCHEMA.with_metadata(dict(metadata)))
        out = io.BytesIO()
        pq.write_table(table, out)
        return out.getvalue()

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Return count and last value of each name."""
        found: dict[str, dict[str, Any]] = {}
        for row in self.rows:
            count = found.get(row.name, {}).get("count", 0)
            found[row.name] = {"kind": "float", "count": count + 1, "last": row.value, "last_step": row.step}
        return found

    def discard(self) -> None:
        """Remember that the journal was no longer needed."""
        self.discarded = True
