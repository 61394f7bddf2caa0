"""One file of copied rows: written run by run, read by the runs that somebody wants."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runfolio.compact.manifest import Part
from runfolio.errors import FormatError
from runfolio.rows.parquet import MEASURED, WORD_COLUMNS
from runfolio.rows.ranged import Footer
from runfolio.rows.schema import SCHEMA
from runfolio.store.documents import FORMAT

if TYPE_CHECKING:
    from runfolio.backend import Backend

GROUP: Final = 131_072
"""Runs are put together into a row group up to this many rows."""
_RUNS: Final = b"runfolio.runs"
_TRAILER: Final = 8


class Copied(NamedTuple):
    """What a file has of a run.

    Attributes:
        rows: how many.
        names: the metric objects that were copied, all of them: what lay in ``metrics/`` of the run's folder.
    """

    rows: int
    names: frozenset[str]


class PartWriter:
    """Writes one file. Runs are added in their order; only the last row group is held as rows.

    Args:
        token: what names the file.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._sink = io.BytesIO()
        self._writer = pq.ParquetWriter(
            self._sink,
            SCHEMA,
            compression="zstd",
            use_dictionary=[*WORD_COLUMNS, "text"],
            column_encoding={**dict.fromkeys(["step", "time", "index"], "DELTA_BINARY_PACKED"), "value": "PLAIN"},
            write_statistics=MEASURED,
        )
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._runs: dict[str, Copied] = {}

    @property
    def size(self) -> int:
        """Bytes written so far, without what waits for its row group."""
        return self._sink.tell()

    def add(self, run_id: str, copied: Copied, rows: pa.Table) -> None:
        """Add the rows of a run, sorted by name."""
        if self._rows and self._rows + rows.num_rows > GROUP:
            self._write_group()
        self._runs[run_id] = copied
        self._waiting.append(rows)
        self._rows += rows.num_rows

    def _write_group(self) -> None:
        table = pa.concat_tables(self._waiting).unify_dictionaries().combine_chunks()
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        self._waiting, self._rows = [], 0

    def finish(self) -> tuple[Part, bytes]:
        """Return what the list of files says of it, and its bytes."""
        if self._waiting:
            self._write_group()
        runs = {run_id: [one.rows, sorted(one.names)] for run_id, one in self._runs.items()}
        self._writer.add_key_value_metadata(
            {"runfolio.format": str(FORMAT), _RUNS.decode(): json.dumps(runs, separators=(",", ":"))}
        )
        self._writer.close()
        data = self._sink.getvalue()
        ids = [*self._runs]
        footer = int.from_bytes(data[-_TRAILER:-4], "little") + _TRAILER
        rows = sum(one.rows for one in self._runs.values())
        return Part(self._token, len(data), footer, rows, len(ids), ids[0], ids[-1]), data


class OpenPart:
    """A file whose footer was read (1 request).

    Args:
        backend: where the store lies.
        part: what the list of files says of it.

    Attributes:
        part: the same.
        runs: what it has, in the order of its rows.

    Raises:
        NotFoundError: it is gone.
        FormatError: it is damaged.
    """

    def __init__(self, backend: Backend, part: Part) -> None:
        self.part: Final = part
        self._footer: Final = Footer(self._get(backend), part.size, part.key, tail=part.footer)
        self.runs: Final[Mapping[str, Copied]] = _runs(self._footer, part.key)
        ends = [*accumulate(one.rows for one in self.runs.values())]
        self._spans = {
            run_id: (end - one.rows, end) for (run_id, one), end in zip(self.runs.items(), ends, strict=True)
        }

    def read(self, backend: Backend, run_ids: Collection[str]) -> pa.Table:
        """The rows of some of its runs, in its order. One request a stretch of row groups.

        Raises:
            NotFoundError: the file is gone.
            FormatError: it is damaged.
        """
        metadata = self._footer.metadata
        starts = [0, *accumulate(metadata.row_group(at).num_rows for at in range(metadata.num_row_groups))]
        wanted = sorted(span for run_id, span in self._spans.items() if run_id in run_ids and span[1] > span[0])
        groups: list[int] = []
        at = 0
        for first, after in wanted:
            while starts[at + 1] <= first:
                at += 1
            last = at
            while starts[last] < after:
                groups += [last] if not groups or groups[-1] < last else []
                last += 1
        table = self._footer.read_groups(self._get(backend), groups)
        table = table.filter(pc.is_in(table.column("run_id").cast(pa.string()), pa.array([*run_ids], pa.string())))
        if table.num_rows != sum(after - first for first, after in wanted):
            raise FormatError(f"{self.part.key} does not hold the rows that it says", key=self.part.key)
        return table

    def _get(self, backend: Backend) -> Callable[[int, int], bytes]:
        return lambda start, end: backend.get(self.part.key, start, end)


def _runs(footer: Footer, key: str) -> dict[str, Copied]:
    try:
        told = json.loads((footer.metadata.metadata or {})[_RUNS])
        runs = {str(run_id): Copied(int(rows), frozenset(map(str, names))) for run_id, (rows, names) in told.items()}
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise FormatError(f"{key} does not say which runs it holds", key=key) from error
    if sum(one.rows for one in runs.values()) != footer.rows:
        raise FormatError(f"{key} does not hold the rows that it says", key=key)
    return runs
