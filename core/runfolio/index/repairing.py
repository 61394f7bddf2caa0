"""Repair: the index is built anew from the run folders while others go on (``docs/design/002-store-protocol.md``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from runfolio import layout
from runfolio.errors import FormatError, IndexDamagedError, PermissionDeniedError, ReadOnlyError, TransientStorageError
from runfolio.index.checkpoint import Checkpoint, dump
from runfolio.index.encoding import encode
from runfolio.index.entries import apply_all, short_name
from runfolio.index.folding import own_columns, publish
from runfolio.index.layers import ID, one_array, overlay, with_ids
from runfolio.index.row import join
from runfolio.index.scanning import covered_segments, scan
from runfolio.index.schema import CHECKPOINT
from runfolio.index.state import ROUNDS, State
from runfolio.index.tail import EntryReader
from runfolio.index.view import read_rows

if TYPE_CHECKING:
    from runfolio.index.entries import Entry
    from runfolio.index.view import Index

_STARTS: Final = 5
"""How often the whole is begun again when checkpoints written meanwhile cannot be read."""


@dataclass(slots=True)
class RepairReport:
    """What a repair found and did.

    Attributes:
        seq: sequence number of the new checkpoint; 0 for a dry run.
        runs: rows in it that are shown or could be, tombstones not counted.
        deleted: tombstones in it.
        added: ids of runs that the index lacked.
        dropped: ids of rows that have no folder, and are gone now.
        unreadable: keys of documents and entries that could not be understood. They are left where they are.
        hidden: ids of runs that cannot be shown, because their start is missing or unreadable.
        covered: live segments whose rows lie in longer ones; deleted.
        damaged: the index could not be read before.
    """

    seq: int = 0
    runs: int = 0
    deleted: int = 0
    added: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    covered: list[str] = field(default_factory=list)
    damaged: bool = False


def repair(index: Index, *, dry_run: bool = False) -> RepairReport:
    """Rebuild the index from the run folders. Log entries are never deleted, and missing ones are not missed.

    Args:
        index: the index of the store. It may be damaged or gone.
        dry_run: only say what would be done.

    Raises:
        ReadOnlyError: the store cannot be written.
        StorageError: the storage failed.
    """
    for _ in range(_STARTS):
        report = RepairReport()
        # Repair 1: LIST index/; the newest number counts, readable or not.
        listing = index.reader.list()
        since = layout.sequence_of(listing[0].key) if listing else 0
        before = _before(index, report)
        # Repair 2: LIST and get the run folders.
        scanned = _scan(index, report)
        try:
            table = _join_and_create(index, scanned, since, before, report, dry_run=dry_run)
        except IndexDamagedError:
            continue  # what was folded since the scan began cannot be told: scan again
        _compare(table, before, report)
        if not dry_run:
            _remove_covered(index, report)
        return report
    raise IndexDamagedError("New checkpoints of the index cannot be read as soon as they are written", key=layout.INDEX)


def _before(index: Index, report: RepairReport) -> State | None:
    """The index as it is now, for the report; None when it cannot be read."""
    try:
        state, _ = index.reader.read()
    except FormatError:
        report.damaged = True
        return None
    report.damaged = bool(state.skipped)
    return state


def _scan(index: Index, report: RepairReport) -> pa.Table:
    tables = [with_ids(CHECKPOINT.empty_table())]
    for batch in scan(index.backend, index.environment.gather):
        for folder in batch:
            report.unreadable.extend(folder.unreadable)
            report.covered.extend(covered_segments(folder))
            if folder.keys and "start" not in folder.row and not folder.row.get("deleted"):
                report.hidden.append(folder.run_id)
        # As columns, 100,000 runs take some 100 MB; as documents, more than ten times that.
        tables.append(with_ids(encode((folder.run_id, folder.row) for folder in batch if folder.row)))
    return overlay(tables)


def _join_and_create(
    index: Index, scanned: pa.Table, since: int, before: State | None, report: RepairReport, *, dry_run: bool
) -> pa.Table:
    unreadable = list(report.unreadable)
    entries = EntryReader(index.backend, index.environment.gather)  # its own: a view may be made meanwhile
    for _ in range(ROUNDS):
        # Repair 3: LIST log/, get the newest checkpoint and all entries; one gone, list again.
        log = list(index.backend.list(layout.LOG))
        keys = entries.entry_keys(log)
        newest = index.reader.list()
        seq = layout.sequence_of(newest[0].key) if newest else 0
        # A checkpoint that was there before the scan says nothing that the folders do not say: it may be damaged.
        state = index.reader.read(newest)[0] if seq > since else State()
        if seq > since and (state.skipped or state.seq < seq):
            raise IndexDamagedError(
                f"Checkpoint {seq} was written during the repair and cannot be read", key=layout.INDEX
            )
        tail = entries.get(keys)
        if tail is None:
            continue
        report.unreadable = [*unreadable, *tail.unreadable]
        # Repair 4: the scan, joined with rows that were folded since it began, and with the log. Without them, what was
        # logged, folded and removed from the log during the scan would be lost.
        table = _joined(scanned, state, since, tail.entries, seq + 1)
        if dry_run:
            return table
        # Repair 5: create the next checkpoint, a full one; it exists, so somebody folded: from 3.
        last = state.newest or (before.newest if before is not None and before.seq == seq else None)
        checkpoint = Checkpoint(
            seq=seq + 1,
            wid=index.environment.token(),
            held=frozenset(short_name(entry.key) for entry in tail.entries),
            base=None,
            before=None if last is None else last.base,
            table=own_columns(table),
        )
        if publish(index, checkpoint, dump(checkpoint)):
            report.seq = checkpoint.seq
            return table
    raise TransientStorageError(
        "The log changes faster than it can be read: try again", key=layout.LOG, operation="repair"
    )


def _joined(scanned: pa.Table, state: State, since: int, entries: list[Entry], seq: int) -> pa.Table:
    recent = state.table.filter(pc.greater(pc.fill_null(state.table.column("changed"), 0), since))
    folded = read_rows(recent, recent.column(ID).to_pylist())
    rows = read_rows(scanned, {*folded, *(entry.run_id for entry in entries)})
    for run_id, row in folded.items():
        rows[run_id] = join(rows.get(run_id, {}), row)
    apply_all(rows, entries)
    table = overlay([scanned, with_ids(encode(rows.items()))])
    place = table.schema.get_field_index("changed")
    return table.set_column(place, CHECKPOINT.field("changed"), pa.repeat(pa.scalar(seq, pa.int64()), table.num_rows))


def _compare(table: pa.Table, before: State | None, report: RepairReport) -> None:
    deleted = one_array(table.column("deleted"))
    report.deleted = pc.sum(deleted).as_py() or 0
    report.runs = table.num_rows - report.deleted
    if before is not None:
        now, then = set(table.column(ID).to_pylist()), set(before.table.column(ID).to_pylist())
        report.added = sorted(now - then)
        report.dropped = sorted(then - now)


def _remove_covered(index: Index, report: RepairReport) -> None:
    try:
        if report.covered:
            index.backend.delete(report.covered)
    except (PermissionDeniedError, ReadOnlyError):
        report.covered = []  # they do no harm: readers take the longer segment
