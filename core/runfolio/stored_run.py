"""Reading runs out of a store, for `Run` and `RunSet`: the index for lists, the run's own folder for one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from runfolio.errors import FormatError, RunNotFoundError
from runfolio.records import Ending, Record, record_of

if TYPE_CHECKING:
    import pyarrow as pa

    from runfolio.backend import Backend, ObjectInfo
    from runfolio.compact.reading import RowsReader
    from runfolio.connection import Connection
    from runfolio.index.view import View
    from runfolio.store.many_runs import Rooms
    from runfolio.store.run_folder import RunFolder
    from runfolio.store.segments import RowFile

_T = TypeVar("_T")


class Reader:
    """What can be read of a store, with as few requests as the protocol needs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: RowsReader | None = None

    @property
    def backend(self) -> Backend:
        """The store, with bounded retries."""
        return self._connection.backend

    def gather(self, calls: Sequence[Callable[[], _T]]) -> list[_T]:
        """Run independent requests side by side."""
        return self._connection.environment.gather(calls)

    def view(self) -> View:
        """Return the newest view of all runs.

        Raises:
            StoreNotFoundError: there is no store.
            IndexDamagedError: the index cannot be read.
        """
        self._connection.open()
        return self._connection.index.refresh()

    def folder(self, run_id: str, *, beats: bool = False, manifests: bool = False) -> RunFolder:
        """Read what lies in the folder of one run, without its rows and files.

        Args:
            run_id: the run.
            beats: also its heartbeats.
            manifests: also its lists of files.

        Raises:
            RunNotFoundError: there is no such run, or it was deleted.
        """
        from runfolio.store.run_folder import open_run  # noqa: PLC0415 (loaded on use)

        connection = self._connection
        connection.open()
        folder = open_run(
            connection.backend, run_id, beats=beats, manifests=manifests, environment=connection.environment
        )
        if folder.deleted or folder.start is None:
            state = "was deleted from" if folder.deleted else "has no start in"
            raise RunNotFoundError(f"Run {run_id} {state} the store {connection.url}", key=run_id)
        return folder

    def record(self, run_id: str) -> Record:
        """Return the record of one run, from its folder."""
        from runfolio.index.one_run import table_of_folder  # noqa: PLC0415 (loads pyarrow)

        folder = self.folder(run_id, beats=True)
        return record_of(table_of_folder(folder, self._connection.index.clock).to_pylist()[0])

    def packages(self, run_id: str) -> Mapping[str, str]:
        """Return the packages that were installed when the run started, or when its last attempt did."""
        folder = self.folder(run_id)
        latest = folder.attempts.get(max(folder.attempts, default=1), {})
        packages: Mapping[str, str] = latest.get("packages") or (folder.start or {}).get("packages") or {}
        return packages

    def ending(self, run_id: str) -> Ending | None:
        """Return how a run ended; None while its main writer has not. Files are those of all writers."""
        folder = self.folder(run_id)
        end = folder.ends.get(folder.main or "")
        if end is None:
            return None
        return Ending(
            reason=end.get("reason"),
            exit_code=end.get("exit_code"),
            traceback=end.get("traceback"),
            failed_uploads=tuple(one for other in folder.ends.values() for one in other.get("failed_uploads") or ()),
            left_behind=tuple(path for other in folder.ends.values() for path in other.get("left_behind") or ()),
        )

    def manifests(self, run_id: str) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of the manifests of a run by writer, the main writer first.

        Raises:
            FormatError: a manifest cannot be read, so it is not known which files there are.
        """
        folder = self.folder(run_id, manifests=True)
        for writer, key in folder.listing.manifests.items():
            if writer not in folder.manifests:
                raise FormatError(
                    f"The list of files {key} cannot be read: {folder.damaged.get(key, 'it is gone')}", key=key
                )
        order = sorted(folder.manifests, key=lambda writer: (writer != folder.main, writer))
        return {writer: folder.manifests[writer] for writer in order}

    def rows(
        self, run_id: str, names: Sequence[str] | None, *, steps: slice | None = None, max_points: int | None = None
    ) -> pa.Table:
        """Return the rows of a run as people read them (3 requests for one curve of an ended run with one writer)."""
        from runfolio.rows.view import as_they_began, downsample, view  # noqa: PLC0415 (loads pyarrow)

        tables = self._rows_reader.read([run_id], file_reader(names))
        table = view(as_they_began(tables), names=names, steps=steps)
        return table if max_points is None else downsample(table, max_points)

    def rows_of_many(
        self, run_ids: Sequence[str], names: Sequence[str] | None, *, max_points: int | None = None
    ) -> pa.Table:
        """Return the rows of many runs as one table, in the order of the runs, with `run_id` in front."""
        from runfolio.rows.view import as_they_began, downsample, view_many  # noqa: PLC0415 (loads pyarrow)

        chosen = list(dict.fromkeys(run_ids))
        tables = as_they_began(self._rows_reader.read(chosen, file_reader(names)))
        table = view_many(tables, chosen, names=names)
        return table if max_points is None else downsample(table, max_points)

    @property
    def _rows_reader(self) -> RowsReader:
        from runfolio.compact.reading import RowsReader  # noqa: PLC0415 (loads pyarrow)

        self._connection.open()
        if self._rows is None:
            self._rows = RowsReader(self.backend, self._connection.environment)
        return self._rows

    def listed(self, run_ids: Iterable[str], rooms: Rooms) -> dict[str, list[ObjectInfo]]:
        """List a part of the folders of runs."""
        from runfolio.store.many_runs import list_folders  # noqa: PLC0415 (loaded on use)

        self._connection.open()
        return list_folders(self.backend, run_ids, rooms, self._connection.environment)


def file_reader(names: Sequence[str] | None) -> Callable[[Backend, RowFile], pa.Table]:
    """Return what reads one file of rows: all of it, or by ranges what holds these metrics."""
    from runfolio.rows.parquet import decode  # noqa: PLC0415 (loads pyarrow)
    from runfolio.rows.ranged import Footer  # noqa: PLC0415

    def read(backend: Backend, file: RowFile) -> pa.Table:
        if names is None:
            return decode(backend.get(file.key), key=file.key)

        def get(start: int, end: int) -> bytes:
            return backend.get(file.key, start, end)

        return Footer(get, file.size, file.key).read(get, names)

    return read
