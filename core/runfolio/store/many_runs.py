"""What lies in the folders of many runs, with few listings, and the rows in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeVar

from runfolio import layout
from runfolio.errors import NotFoundError
from runfolio.store.segments import cover, has_gap, read_rows, row_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runfolio.backend import Backend, ObjectInfo
    from runfolio.store.environment import Environment
    from runfolio.store.segments import RowFile

_T = TypeVar("_T")
_SWEPT: Final = 500
"""From so many runs of a project on, its folder is listed in stretches instead of run by run."""
_STRETCHES: Final = 16
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Rooms:
    """A part of a run's folder: names from those that begin with `first` to those that begin with `last`."""

    first: str
    last: str


ROWS: Final = Rooms("live/", "metrics/")
"""Rows appear in ``metrics/`` before they leave ``live/``, and listings are in key order: one listing misses none."""
ROWS_AND_ATTEMPTS: Final = Rooms("attempt-", "metrics/")
"""The same with attempts and ends, which say what of the rows is hidden."""
MANIFESTS: Final = Rooms("manifest-", "manifest-")


def list_folders(
    backend: Backend, run_ids: Iterable[str], rooms: Rooms, environment: Environment
) -> dict[str, list[ObjectInfo]]:
    """List a part of the folders of runs. Every run that was asked for is in the answer.

    Requests: one a run; where many runs of a project are wanted, about one for each thousand objects among them.

    Raises:
        StorageError: the storage failed.
    """
    found: dict[str, list[ObjectInfo]] = {run_id: [] for run_id in run_ids}
    folders = sorted((layout.run_folder(run_id), run_id) for run_id in found)
    calls: list[Callable[[], None]] = []
    for project, group in groupby(folders, key=lambda one: one[0].split("/")[1]):
        together = [*group]
        if len(together) < _SWEPT:
            calls += [partial(_sweep, backend, folder, [(folder, run_id)], rooms, found) for folder, run_id in together]
            continue
        size = -(-len(together) // _STRETCHES)
        stretches = [together[at : at + size] for at in range(0, len(together), size)]
        calls += [partial(_sweep, backend, f"{layout.RUNS}{project}/", one, rooms, found) for one in stretches]
    environment.gather(calls)
    return found


def _sweep(
    backend: Backend,
    prefix: str,
    folders: Sequence[tuple[str, str]],
    rooms: Rooms,
    found: dict[str, list[ObjectInfo]],
) -> None:
    """List neighbouring folders in one go, but skip ahead where nothing wanted has come for a page."""
    at = 0
    while at < len(folders):
        idle = 0
        for info in backend.list(prefix, start_after=f"{folders[at][0]}{rooms.first[:-1]}"):
            while at < len(folders) and _is_behind(info.key, folders[at][0] + rooms.last):
                at += 1
            if at == len(folders):
                break
            folder, run_id = folders[at]
            if info.key > folder + rooms.first:
                found[run_id].append(info)
                idle = 0
            else:
                idle += 1
                if idle == _PAGE:
                    break
        else:
            return


def _is_behind(key: str, last: str) -> bool:
    return key > last and not key.startswith(last)


def read_many(
    backend: Backend,
    listed: Mapping[str, Sequence[ObjectInfo]],
    read: Callable[[Backend, RowFile], _T],
    environment: Environment,
) -> dict[str, list[_T]]:
    """Read the rows of runs whose folders were listed (the requests of `read`; more for runs that changed since).

    Args:
        backend: where the store lies.
        listed: what `list_folders` found under `ROWS` or `ROWS_AND_ATTEMPTS`.
        read: reads one file; it may be called in several threads, and again for files of a run that changed meanwhile.
        environment: parallelism.

    Returns:
        what was read by run, each row of each writer once.

    Raises:
        StorageError: the storage failed.
    """
    chosen = {run_id: cover(row_files(objects)) for run_id, objects in listed.items()}
    calls = [partial(_read, backend, read, one) for files in chosen.values() for one in files]
    parts = iter(environment.gather(calls))
    found: dict[str, list[_T]] = {}
    for run_id, files in chosen.items():
        tables = [next(parts) for _ in files]
        whole = [table for table in tables if table is not None]
        if len(whole) < len(files) or has_gap(files):  # merged or ended meanwhile: this run again, on its own
            again = read_rows(backend, run_id, read, environment=environment)
            whole = [table for _, table in again.parts]
        found[run_id] = whole
    return found


def _read(backend: Backend, read: Callable[[Backend, RowFile], _T], file: RowFile) -> _T | None:
    try:
        return read(backend, file)
    except NotFoundError:
        return None
