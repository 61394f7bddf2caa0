"""The actor that compacts: which runs it copies, which files it writes anew, and in which order it does what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc

from runfolio import layout
from runfolio.compact.manifest import Manifest, newest_first, read_manifest, run_order
from runfolio.compact.part import Copied, OpenPart, PartWriter
from runfolio.compact.reading import exact_names
from runfolio.errors import FormatError, NotFoundError, PermissionDeniedError, ReadOnlyError
from runfolio.rows.parquet import decode
from runfolio.rows.schema import SCHEMA
from runfolio.rows.view import as_they_began, view_many
from runfolio.store.created import create_document
from runfolio.store.many_runs import ROWS, list_folders
from runfolio.store.segments import cover, has_gap, row_files

if TYPE_CHECKING:
    import pyarrow as pa

    from runfolio.backend import Backend, ObjectInfo
    from runfolio.compact.manifest import Part
    from runfolio.index.view import Index, View
    from runfolio.store.segments import RowFile

TARGET: Final = 64 * 1024 * 1024
"""Bytes of a full file. Files that are at least half as long are not written again for the sake of length."""
LARGE: Final = 16 * 1024 * 1024
"""Runs with so many bytes of rows stay where they are: they scan well there."""
_TOGETHER: Final = 64


@dataclass(slots=True)
class CompactReport:
    """What a compaction did.

    Attributes:
        outcome: ``written``; ``nothing``: there was nothing to do; ``overtaken``: another one was faster.
        seq: number of the newest list of files as far as known.
        added: runs copied that had no copy.
        dropped: runs whose copy is not there any more: deleted ones, and those that changed.
        runs: runs that have a copy now.
        files: compacted files that there are now.
        written: bytes written.
        removed: compacted files removed.
        unreadable: keys of files of rows that are damaged; their runs have no copy.
    """

    outcome: str = "nothing"
    seq: int = 0
    added: int = 0
    dropped: int = 0
    runs: int = 0
    files: int = 0
    written: int = 0
    removed: int = 0
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Source:
    """A run to be copied: from the files of its folder."""

    run_id: str
    names: frozenset[str]
    files: Sequence[RowFile]

    @property
    def rows(self) -> int:
        return sum(file.part.after - file.part.first for file in self.files)


@dataclass(slots=True)
class _Plan:
    """What is to be written: runs from their folders, and files whose other runs are written again."""

    fresh: list[_Source]
    kept: list[OpenPart]
    again: list[OpenPart]
    without: frozenset[str]
    purged: list[Part] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.fresh and not self.again


def compact(index: Index, *, target: int = TARGET, large: int = LARGE) -> CompactReport:
    """Copy the rows of ended runs that have no copy yet into large files. Safe beside everybody; may stop anywhere.

    Args:
        index: the index of the store.
        target: bytes of a full file.
        large: runs with so many bytes of rows get no copy.

    Raises:
        IndexDamagedError: the index cannot be read; repair it first.
        ReadOnlyError: the store cannot be written.
        StorageError: the storage failed.
    """
    backend, environment = index.backend, index.environment
    report = CompactReport()
    # Compact 1: LIST compact/, get the newest list.
    listing = list(backend.list(layout.COMPACT))
    newest = newest_first(listing)
    current = _current(backend, newest)
    report.seq = newest[0] if newest else 0
    # Compact 2: the index.
    view = index.refresh(live=False)
    # Compact 3: the footers of the files.
    opened = environment.gather([partial(_opened, backend, part) for part in current.parts])
    # Compact 4: LIST the folders of runs that may need a copy.
    plan = _plan(index, view, current, [one for one in opened if one is not None], target, large)
    report.dropped = len(plan.without)
    if plan.is_empty and len(plan.kept) == len(current.parts):
        report.runs, report.files = sum(len(one.runs) for one in plan.kept), len(plan.kept)
        return report
    # Compact 5: get rows, put files under names of their own.
    written = list(_write(index, plan, target, report))
    parts = [*(one.part for one in plan.kept), *written]
    # Compact 6: create the next list.
    manifest = Manifest(report.seq + 1, environment.token(), view.seq, tuple(sorted(parts, key=_by_first)))
    # Compact 7: LIST compact/ again. One that was very slow may have used a number that was free again.
    if not _publish(index, manifest):
        report.outcome = "overtaken"
        _remove(backend, [one.key for one in written])
        return report
    # Compact 8: delete what nobody can name any more.
    report.removed = _remove(backend, _garbage(listing, current, manifest, plan.purged))
    report.outcome, report.seq, report.files = "written", manifest.seq, len(parts)
    report.runs = sum(part.runs for part in parts)
    return report


def _current(backend: Backend, newest: Sequence[int]) -> Manifest:
    """The newest list; an empty one where it is damaged or gone: then all is copied anew."""
    if not newest:
        return Manifest()
    key = layout.compaction(newest[0])
    try:
        return read_manifest(backend.get(key), key)
    except (FormatError, NotFoundError):
        return Manifest(newest[0])


def _opened(backend: Backend, part: Part) -> OpenPart | None:
    try:
        return OpenPart(backend, part)
    except (FormatError, NotFoundError):
        return None  # its runs are copied anew


def _plan(index: Index, view: View, current: Manifest, opened: list[OpenPart], target: int, large: int) -> _Plan:
    table = view.table
    ended = set(table["run_id"].filter(pc.is_null(table["liveness"])).to_pylist())
    homes = {run_id: one for one in opened for run_id in one.runs}
    gone = homes.keys() - ended
    # Rows of the index that changed since: one more writer may have ended. Nothing breaks when one is overlooked,
    # since readers compare with the folder.
    changed = _changed(view, current.since) & homes.keys() & ended
    listed = list_folders(index.backend, sorted((ended - homes.keys()) | changed), ROWS, index.environment)
    sources = {run_id: _source(run_id, objects, large) for run_id, objects in listed.items()}
    stale = {
        run_id
        for run_id in changed
        if (source := sources[run_id]) is None or source.names != homes[run_id].runs[run_id].names
    }
    fresh = [one for run_id, one in sources.items() if one is not None and (run_id not in homes or run_id in stale)]
    without = frozenset(gone | stale)
    again = _again(opened, without, sum(one.rows for one in fresh), target)
    kept = [one for one in opened if one not in again]
    purged = [one.part for one in again if gone & one.runs.keys()]
    return _Plan(sorted(fresh, key=lambda one: run_order(one.run_id)), kept, again, without, purged)


def _changed(view: View, since: int) -> set[str]:
    rows = view.everything
    if view.seq < since:  # the index was made anew
        return set(rows["run_id"].to_pylist())
    recent = pc.greater(pc.fill_null(rows["changed"], since + 1), since)
    return set(rows["run_id"].filter(recent).to_pylist())


def _source(run_id: str, objects: Sequence[ObjectInfo], large: int) -> _Source | None:
    """What is to be copied of a run; None where a writer has not ended, or there is nothing to gain."""
    names = exact_names(objects)
    files = cover(row_files(objects))
    if not names or has_gap(files) or sum(file.size for file in files) >= large:
        return None
    return _Source(run_id, names, files)


def _again(opened: list[OpenPart], without: frozenset[str], fresh: int, target: int) -> list[OpenPart]:
    """The files to be written again: those with runs to drop, and short ones that fresh rows at least double.

    So each row is written about as often as its file doubles on its way to half the target.
    """
    found = [one for one in opened if without & one.runs.keys()]
    rows = fresh + sum(one.part.rows for one in found)
    for one in sorted((one for one in opened if one not in found), key=lambda one: one.part.rows):
        if one.part.rows > rows:
            break
        if one.part.size * 2 < target:
            found.append(one)
            rows += one.part.rows
    return found


def _write(index: Index, plan: _Plan, target: int, report: CompactReport) -> Iterator[Part]:
    writer: PartWriter | None = None
    for run_id, copied, rows in _copies(index, plan, report):
        writer = writer or PartWriter(index.environment.token())
        writer.add(run_id, copied, rows)
        if writer.size >= target:
            yield _put(index.backend, writer, report)
            writer = None
    if writer is not None:
        yield _put(index.backend, writer, report)


def _put(backend: Backend, writer: PartWriter, report: CompactReport) -> Part:
    part, data = writer.finish()
    backend.put(part.key, data)
    report.written += len(data)
    return part


def _copies(index: Index, plan: _Plan, report: CompactReport) -> Iterator[tuple[str, Copied, pa.Table]]:
    """All runs to be written, in order, some at a time."""
    fresh = {one.run_id: one for one in plan.fresh}
    homes = {run_id: one for one in plan.again for run_id in one.runs if run_id not in plan.without}
    order = iter(sorted({*fresh, *homes}, key=run_order))
    while ids := list(islice(order, _TOGETHER)):
        found = {**_from_folders(index, [fresh[one] for one in ids if one in fresh], report)}
        report.added += len(found)
        for part in plan.again:
            chosen = [run_id for run_id in ids if homes.get(run_id) is part]
            if chosen:
                found |= _from_part(index.backend, part, chosen)
        for run_id in ids:
            if run_id in found:
                yield run_id, *found[run_id]


def _from_folders(index: Index, sources: list[_Source], report: CompactReport) -> dict[str, tuple[Copied, pa.Table]]:
    calls = [partial(_fetch, index.backend, file, report) for one in sources for file in one.files]
    tables = iter(index.environment.gather(calls))
    found = {}
    for one in sources:
        parts = [next(tables) for _ in one.files]
        whole = [table for table in parts if table is not None]
        if len(whole) < len(parts):
            continue  # deleted meanwhile, or damaged
        rows = view_many(as_they_began(whole), [one.run_id], columns=SCHEMA.names)
        if rows.num_rows == one.rows:
            found[one.run_id] = Copied(rows.num_rows, one.names), rows
    return found


def _fetch(backend: Backend, file: RowFile, report: CompactReport) -> pa.Table | None:
    try:
        return decode(backend.get(file.key), key=file.key)
    except NotFoundError:
        return None
    except FormatError:
        report.unreadable.append(file.key)
        return None


def _from_part(backend: Backend, part: OpenPart, run_ids: list[str]) -> dict[str, tuple[Copied, pa.Table]]:
    try:
        table = part.read(backend, frozenset(run_ids))
    except (FormatError, NotFoundError):
        return {}  # removed by one that was faster, or damaged: they are copied anew next time
    found, at = {}, 0
    for run_id in run_ids:  # both are in the order of runs
        copied = part.runs[run_id]
        found[run_id] = copied, table.slice(at, copied.rows)
        at += copied.rows
    return found


def _publish(index: Index, manifest: Manifest) -> bool:
    key = layout.compaction(manifest.seq)
    try:
        creation = create_document(index.backend, key, manifest.document(), index.environment)
    except FormatError:
        return False  # something unreadable has this number
    if not creation.ours:
        return False
    newest = newest_first(index.backend.list(layout.COMPACT, limit=1))
    if newest == [manifest.seq]:
        return True
    _remove(index.backend, [key])
    return False


def _by_first(part: Part) -> tuple[tuple[str, str], str]:
    return run_order(part.first), part.token


def _garbage(listing: Iterable[ObjectInfo], before: Manifest, now: Manifest, purged: Iterable[Part]) -> list[str]:
    """Lists before the last but one, files that neither of the last two names, and those with runs that were deleted.

    A file that lay there when this compaction began and that `before` does not name belongs to one that was killed, or
    that will be refused: the number that it would have to create is taken.
    """
    kept = {layout.compaction(one.seq) for one in (before, now) if one.seq}
    kept |= {part.key for one in (before, now) for part in one.parts} - {part.key for part in purged}
    return [one.key for one in listing if one.key not in kept]


def _remove(backend: Backend, keys: list[str]) -> int:
    """Delete garbage. Without the right to delete it stays, which harms nobody."""
    try:
        backend.delete(keys)
    except (PermissionDeniedError, ReadOnlyError):
        return 0
    return len(keys)
