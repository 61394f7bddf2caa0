"""Reading the rows of many runs: copies where they name exactly what lies in the folders, the folders for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from runfolio import layout
from runfolio.compact.manifest import Manifest, newest_manifest
from runfolio.compact.part import OpenPart
from runfolio.errors import FormatError, NotFoundError
from runfolio.rows.hiding import hide
from runfolio.store.many_runs import ROWS_AND_ATTEMPTS, list_folders, read_many
from runfolio.store.segments import cover, row_files
from runfolio.store.superseding import read_cuts

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from runfolio.backend import Backend, ObjectInfo
    from runfolio.compact.manifest import Part
    from runfolio.store.environment import Environment
    from runfolio.store.segments import RowFile

FEW: Final = 8
"""So many files are read as soon from where they lie."""
_WORTH: Final = 2
"""A compacted file takes a footer and a stretch: it is worth it for more files than that."""


class RowsReader:
    """Reads rows of runs. It remembers the footers of compacted files, which never change.

    Args:
        backend: where the store lies.
        environment: parallelism.
    """

    def __init__(self, backend: Backend, environment: Environment) -> None:
        self._backend = backend
        self._environment = environment
        self._manifest = Manifest()
        self._open: dict[str, OpenPart] = {}

    def read(self, run_ids: Sequence[str], read: Callable[[Backend, RowFile], pa.Table]) -> list[pa.Table]:
        """Return tables in the schema of the format that hold each row of these runs once, but not hidden ones.

        Rows of a run are in one compacted file, or in files of its folder, one a writer or segment. Requests: the
        listings of `list_folders`, and one or two a file; fewer where copies serve.

        Args:
            run_ids: the runs.
            read: reads one file of a run's folder. What it leaves out of it is left out only there.

        Raises:
            FormatError: a file of a run is damaged.
            StorageError: the storage failed.
        """
        listed = list_folders(self._backend, run_ids, ROWS_AND_ATTEMPTS, self._environment)
        exact = {run_id: names for run_id, objects in listed.items() if (names := exact_names(objects))}
        copies = self._copies(exact)
        calls = [partial(self._read_copies, part, ids) for part, ids in copies]
        tables: list[pa.Table] = []
        served: set[str] = set()
        for (_, ids), table in zip(copies, self._environment.gather(calls), strict=True):
            if table is not None:
                tables.append(table)
                served.update(ids)
        rest = {run_id: objects for run_id, objects in listed.items() if run_id not in served}
        for parts in read_many(self._backend, rest, read, self._environment).values():
            tables += parts
        return hide(tables, read_cuts(self._backend, listed, self._environment))

    def _copies(self, exact: Mapping[str, frozenset[str]]) -> list[tuple[OpenPart, list[str]]]:
        """Compacted files, each with the runs that it has exactly as their folders have them."""
        if sum(map(len, exact.values())) <= FEW:
            return []
        try:
            self._manifest = newest_manifest(self._backend, self._manifest)
        except FormatError:
            return []  # a cache: of a newer Runfolio, or damaged
        wanted = [part for part in self._manifest.parts if self._is_worth(part, exact)]
        opened = self._environment.gather([partial(self._opened, part) for part in wanted])
        self._open = {one.part.token: one for one in opened if one is not None}
        found = []
        for one in self._open.values():
            ids = [run_id for run_id, names in exact.items() if run_id in one.runs and one.runs[run_id].names == names]
            if sum(len(exact[run_id]) for run_id in ids) > _WORTH:
                found.append((one, ids))
        return found

    @staticmethod
    def _is_worth(part: Part, exact: Mapping[str, frozenset[str]]) -> bool:
        return sum(len(names) for run_id, names in exact.items() if part.may_hold(run_id)) > _WORTH

    def _opened(self, part: Part) -> OpenPart | None:
        known = self._open.get(part.token)
        if known is not None:
            return known
        try:
            return OpenPart(self._backend, part)
        except (FormatError, NotFoundError):
            return None

    def _read_copies(self, part: OpenPart, run_ids: list[str]) -> pa.Table | None:
        try:
            return part.read(self._backend, frozenset(run_ids))
        except (FormatError, NotFoundError):
            return None  # replaced meanwhile, or damaged: the folders have the same rows


def exact_names(objects: Iterable[ObjectInfo]) -> frozenset[str]:
    """The names of the merged files of a run, if they hold all rows that its folder has; else none.

    They do not while a writer has not ended.
    """
    files = row_files(objects)
    merged = [one for one in files if one.key.rsplit("/", 2)[1] == "metrics"]
    if len(merged) < len(files) and not {one.key for one in cover(files)} <= {one.key for one in merged}:
        return frozenset()
    return frozenset(segment_name(one.part) for one in merged)


def segment_name(part: layout.Segment) -> str:
    """How a compacted file names a merged file of a run: its name without folder and ending."""
    return layout.segment("", part).removesuffix(".parquet")
