"""The run folders read into rows: the truth that the index is a cache of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from runfolio import layout
from runfolio.errors import FormatError, InvalidKeyError, InvalidNameError, NotFoundError
from runfolio.index.entries import check
from runfolio.index.row import Row, apply
from runfolio.store.documents import decode
from runfolio.store.folder_listing import sort_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from runfolio.backend import Backend, ObjectInfo
    from runfolio.store.environment import Gather
    from runfolio.store.folder_listing import FolderListing

_TOGETHER: Final = 200
"""Run folders that are read at one time: enough to keep requests in flight, few enough to hold in memory."""


@dataclass(slots=True)
class Folder:
    """One run folder.

    Attributes:
        run_id: the run.
        keys: all objects in it.
        listing: the same, by what they are.
        row: what its documents say; empty when none could be read.
        unreadable: keys of documents that are damaged, of a newer format, or not what their place says.
    """

    run_id: str
    keys: list[str]
    listing: FolderListing
    row: Row = field(default_factory=Row)
    unreadable: list[str] = field(default_factory=list)


def folders(backend: Backend) -> Iterator[Folder]:
    """LIST ``runs/`` and yield the folders of runs, without opening anything. What lies elsewhere is left out."""
    for run_id, group in groupby(backend.list(layout.RUNS), key=lambda info: _run_of(info.key)):
        if run_id is not None:
            objects: list[ObjectInfo] = list(group)
            yield Folder(run_id, [info.key for info in objects], sort_out(run_id, objects))


def _run_of(key: str) -> str | None:
    try:
        return layout.run_id_of(key)
    except (InvalidKeyError, InvalidNameError):
        return None  # a stranger's file


def scan(backend: Backend, gather: Gather) -> Iterator[list[Folder]]:
    """List the run folders and read their documents, some hundred runs at a time.

    Documents that vanish meanwhile belong to runs that are being deleted, and are left out.

    Raises:
        StorageError: the storage failed.
    """
    batch: list[Folder] = []
    for folder in folders(backend):
        batch.append(folder)
        if len(batch) == _TOGETHER:
            _read(backend, gather, batch)
            yield batch
            batch = []
    _read(backend, gather, batch)
    yield batch


def _read(backend: Backend, gather: Gather, batch: Iterable[Folder]) -> None:
    wanted = [(folder, kind, key) for folder in batch for kind, key in _documents(folder)]
    found = gather([_getter(backend, key) for _, _, key in wanted])
    for (folder, kind, key), data in zip(wanted, found, strict=True):
        if data is not None:
            _take(folder, kind, key, data)


def _documents(folder: Folder) -> Iterator[tuple[str, str]]:
    """Kind and key of each document that is part of a row. A row needs no source, manifest or segment."""
    if folder.listing.started:
        yield "start", layout.start(folder.run_id)
    yield from (("attempt", key) for key in folder.listing.attempts.values())
    yield from (("end", key) for key in folder.listing.ends.values())
    yield from (("edit", key) for key in folder.listing.edits)


def _getter(backend: Backend, key: str) -> Callable[[], bytes | None]:
    def get() -> bytes | None:
        try:
            return backend.get(key)
        except NotFoundError:
            return None

    return get


def _take(folder: Folder, kind: str, key: str, data: bytes) -> None:
    try:
        document = decode(data, key)
    except FormatError:
        folder.unreadable.append(key)
        return
    if kind == "edit" and document.get("kind") == "delete":
        kind = "delete"
    if document.get("kind") != kind or not check(kind, document) or not _belongs(folder.run_id, kind, key, document):
        folder.unreadable.append(key)
        return
    folder.row = apply(folder.row, kind, document)


def _belongs(run_id: str, kind: str, key: str, document: dict[str, Any]) -> bool:
    """Whether a document says of itself what its key says."""
    if document.get("run") != run_id:
        return False
    if kind == "attempt":
        return key == layout.attempt(run_id, document["attempt"])
    if kind == "end":
        return key == layout.end(run_id, document["writer"])
    return True


def covered_segments(folder: Folder) -> list[str]:
    """Keys of live segments whose rows all lie in one longer segment of the same writer, live or merged."""
    whole = {(one.writer, one.first, one.after) for one in folder.listing.metrics}
    longer = [*folder.listing.metrics, *folder.listing.live]
    keys = []
    for one in folder.listing.live:
        inside = any(
            other.writer == one.writer
            and other.first <= one.first
            and one.after <= other.after
            and (other.after - other.first > one.after - one.first or (one.writer, one.first, one.after) in whole)
            for other in longer
        )
        if inside:
            keys.append(layout.segment(layout.live(folder.run_id), one))
    return keys
