"""The rows of a run: which of its Parquet files hold them, each row once, whoever writes, merges or ends meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from runfolio import layout
from runfolio.errors import NotFoundError, TransientStorageError
from runfolio.store.environment import Environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from runfolio.backend import Backend, ObjectInfo
    from runfolio.layout import Segment

_T = TypeVar("_T")
_ROUNDS: Final = 50
_ROOMS: Final = ("live", "metrics")
_DOUBTS: Final = 3
"""How often rows that seem to be missing are looked for again, before that is what is reported."""


@dataclass(frozen=True, slots=True)
class RowFile:
    """One Parquet file that is part of the answer.

    Attributes:
        key: where it lies.
        size: its length in bytes.
        part: the rows of which writer it holds.
    """

    key: str
    size: int
    part: Segment


@dataclass(frozen=True, slots=True)
class RowsRead(Generic[_T]):
    """The rows of a run.

    Attributes:
        parts: what was read, file by file, each row of each writer once.
        missing: rows that an end record promises and no file has, by writer. Not empty only for a damaged store.
    """

    parts: list[tuple[RowFile, _T]]
    missing: dict[str, int] = field(default_factory=dict)


def read_rows(
    backend: Backend,
    run_id: str,
    read: Callable[[Backend, RowFile], _T],
    *,
    expected: Mapping[str, int] | None = None,
    writers: Iterable[str] | None = None,
    environment: Environment | None = None,
) -> RowsRead[_T]:
    """Read the rows of a run (1 request, and those of `read`).

    Args:
        backend: where the store lies.
        run_id: the run.
        read: reads one file; it may be called in several threads, and again for all files when one vanished meanwhile.
        expected: the rows of each ended writer, as its end record says.
        writers: only the rows of these writers.
        environment: parallelism.

    Raises:
        StorageError: the storage failed, or files kept vanishing.
    """
    environment = environment or Environment()
    promised = dict(expected or {})
    chosen = None if writers is None else set(writers)
    doubts = _DOUBTS
    for _ in range(_ROUNDS):
        files = cover(row_files(_row_objects(backend, run_id), chosen))
        missing = _missing(files, promised, chosen)
        if doubts and (missing or has_gap(files)):
            doubts -= 1  # again from the start: the pages of a listing are not one snapshot
            continue
        try:
            found = environment.gather([partial(read, backend, one) for one in files])
        except NotFoundError:
            continue  # merged or ended meanwhile: drop everything read
        return RowsRead(list(zip(files, found, strict=True)), missing)
    raise TransientStorageError(
        f"The files of the run {run_id} kept changing while they were read", key=run_id, operation="get"
    )


def _row_objects(backend: Backend, run_id: str) -> Iterator[ObjectInfo]:
    """List ``live/`` and ``metrics/`` of a run, in this order and in one go.

    ``live/`` comes first, as rows leave it after they have appeared in ``metrics/``; listings are in key order.
    """
    live, metrics = layout.live(run_id), layout.metrics(run_id)
    # Not after the folder's bare name: services that list folder by folder then leave out all that is in it.
    for info in backend.list(layout.run_folder(run_id), start_after=live.removesuffix("e/")):
        if info.key > metrics and not info.key.startswith(metrics):
            return
        yield info


def row_files(objects: Iterable[ObjectInfo], chosen: set[str] | None = None) -> list[RowFile]:
    """The files of rows among the objects of a run's folder; only those of the chosen writers."""
    found: list[RowFile] = []
    for info in objects:
        rooms = info.key.split("/")  # runs/<p>/<id>/live/<name>; an artifact below logs/ may be called alike
        part = layout.segment_of(info.key) if len(rooms) == 5 and rooms[3] in _ROOMS else None  # noqa: PLR2004 (see above)
        if part is not None and part.after > part.first and (chosen is None or part.writer in chosen):
            found.append(RowFile(info.key, info.size, part))
    return found


def cover(files: Iterable[RowFile]) -> list[RowFile]:
    """Choose files so that each row of each writer is in exactly one of them, preferring long ones."""
    taken: list[RowFile] = []
    covered: dict[str, int] = {}
    # Of two that hold the same rows the merged one ("metrics" sorts after "live") is preferred: it stays.
    order = sorted(files, key=lambda file: file.key, reverse=True)
    for one in sorted(order, key=lambda file: (file.part.writer, file.part.first, -file.part.after)):
        if one.part.first >= covered.get(one.part.writer, 0):
            taken.append(one)
            covered[one.part.writer] = one.part.after
    return taken


def has_gap(files: Iterable[RowFile]) -> bool:
    """Whether rows lie between two of the files, or before the first of a writer.

    A writer that had to change its key has such a gap.
    """
    covered: dict[str, int] = {}
    for one in files:
        if one.part.first > covered.get(one.part.writer, 0):
            return True
        covered[one.part.writer] = one.part.after
    return False


def _missing(files: Iterable[RowFile], promised: Mapping[str, int], chosen: set[str] | None) -> dict[str, int]:
    have: dict[str, int] = {}
    for one in files:
        have[one.part.writer] = have.get(one.part.writer, 0) + one.part.after - one.part.first
    wanted = {writer: rows for writer, rows in promised.items() if chosen is None or writer in chosen}
    return {writer: rows - have.get(writer, 0) for writer, rows in wanted.items() if rows > have.get(writer, 0)}
