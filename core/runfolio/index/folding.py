"""Fold: log entries become a checkpoint (``docs/design/002-store-protocol.md``, section 4).

Anyone with write access may do it, at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from runfolio import layout
from runfolio.errors import FormatError, PermissionDeniedError, ReadOnlyError, TransientStorageError
from runfolio.index.checkpoint import Base, Checkpoint, dump
from runfolio.index.encoding import encode
from runfolio.index.entries import apply_all, short_name
from runfolio.index.layers import ID, overlay, with_ids
from runfolio.index.state import ROUNDS
from runfolio.index.tail import EntryReader, unheld
from runfolio.index.view import read_rows
from runfolio.store.created import create_parquet
from runfolio.store.documents import FORMAT
from runfolio.store.documents import encode as encode_document

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import pyarrow as pa

    from runfolio.backend import ObjectInfo
    from runfolio.index.row import Row
    from runfolio.index.state import Listing, State
    from runfolio.index.tail import Tail
    from runfolio.index.view import Index

ADVICE_HOLDS: Final = timedelta(seconds=60)
"""How long the advice that a fold is under way is followed: who gave it may have been killed."""
SLACK: Final = timedelta(seconds=15)
"""Entries this much older than the newest checkpoint are taken to be in it when a fold is considered."""
KEPT: Final = 3
"""Newest checkpoints that are never removed, nor what they build on."""
DELTA_SHARE: Final = 8
"""A delta is written while it has fewer rows than an eighth of its base."""
BEAT_KEPT: Final = timedelta(days=7)

Outcome: TypeAlias = Literal["folded", "short", "under way", "recent", "nothing new", "overtaken"]


@dataclass(frozen=True, slots=True)
class FoldReport:
    """What a fold did.

    Attributes:
        outcome: ``folded``; or why not: the log is ``short``, another fold is ``under way`` or was ``recent``, there
            was
            ``nothing new``, or another fold was quicker (``overtaken``).
        seq: sequence number of the checkpoint that was written, 0 for none.
        applied: how many entries it holds more than the one before.
        rows: how many rows were written.
        size: how many bytes were written.
        full: whether it is a full checkpoint, not a delta.
        unreadable: keys of entries that could not be understood; they stay.
        removed: how many objects were deleted: entries held by the checkpoint before, old checkpoints, old beats.
        refused: whether this process may not delete; others will.
    """

    outcome: Outcome
    seq: int = 0
    applied: int = 0
    rows: int = 0
    size: int = 0
    full: bool = False
    unreadable: tuple[str, ...] = ()
    removed: int = 0
    refused: bool = False


def fold(index: Index, *, threshold: int | None = None, force: bool = False) -> FoldReport:
    """Fold the log if it is long. Killed at any step, it leaves nothing, or a checkpoint whose entries are still there.

    Args:
        index: the index of the store.
        threshold: how many entries make the log long; `Index.threshold`, which differs from process to process, by
            default.
        force: fold whatever the length is and whoever else is at it, even when it only lets entries be deleted.

    Raises:
        IndexDamagedError: the index cannot be read.
        StorageError: the storage failed.
    """
    long = 1 if force else index.threshold if threshold is None else threshold
    # Its own reader: a view may be made in another thread meanwhile.
    entries = EntryReader(index.backend, index.environment.gather)
    for _ in range(ROUNDS):
        report = _fold_once(index, entries, long, force=force)
        if report is not None:
            return report
    raise TransientStorageError("Other folds were quicker again and again: try later", key=layout.LOG, operation="fold")


def _fold_once(index: Index, entries: EntryReader, threshold: int, *, force: bool) -> FoldReport | None:
    """One attempt; None when an entry was gone and everything starts again."""
    # Fold 1: LIST log/; fresh advice is followed.
    log = list(index.backend.list(layout.LOG))
    index.clock.observe(log)
    # Names are taken apart only when there are enough of them: every run looks here at its end.
    keys = entries.entry_keys(log) if len(log) >= threshold else []
    if len(keys) < threshold:
        return FoldReport("short")
    if not force and _under_way(index, log):
        return FoldReport("under way")
    # Fold 2: LIST index/, and get the newest checkpoint with its base.
    listing = index.reader.list(None)
    index.clock.observe(listing)
    if not force and _is_recent(log, keys, listing, threshold):
        return FoldReport("recent")
    state, listing = index.reader.read(listing)
    # Fold 3: say that a fold is under way.
    advice = {"format": FORMAT, "wid": index.environment.token()}
    index.backend.put(layout.FOLD_ADVICE, encode_document(advice))
    # Fold 4: get what is new; something gone means that another fold went ahead.
    tail = entries.get(unheld(keys, state.held))
    if tail is None:
        return None
    if not tail.entries and not (force and state.held):
        _remove(index, [layout.FOLD_ADVICE])
        return FoldReport("nothing new", unreadable=tuple(tail.unreadable))
    # Fold 5: create the next checkpoint; somebody else's of that number ends this fold.
    checkpoint = _next(index, state, tail, keys)
    data = dump(checkpoint)
    if not publish(index, checkpoint, data):
        return FoldReport("overtaken", unreadable=tuple(tail.unreadable))
    # Fold 6 and 7: delete, in one request, what is certainly not needed any more.
    garbage = [*_folded_before(keys, state), *_old_checkpoints(listing, state, checkpoint)]
    if checkpoint.base is None:
        garbage.extend(_old_beats(index))  # a full checkpoint is rare: a good moment for one more LIST
    removed = _remove(index, [*garbage, layout.FOLD_ADVICE])
    return FoldReport(
        "folded",
        seq=checkpoint.seq,
        applied=len(tail.entries),
        rows=checkpoint.table.num_rows,
        size=len(data),
        full=checkpoint.base is None,
        unreadable=tuple(tail.unreadable),
        removed=len(garbage) if removed else 0,
        refused=not removed,
    )


def publish(index: Index, checkpoint: Checkpoint, data: bytes) -> bool:
    """Create a checkpoint, and say whether the one of this number is ours now."""
    key = layout.checkpoint(checkpoint.seq)
    try:
        return create_parquet(index.backend, key, data, checkpoint.wid, index.environment).ours
    except FormatError:
        return False  # something unreadable has this number: not ours, and the next reader deals with it


def _under_way(index: Index, log: Iterable[ObjectInfo]) -> bool:
    """Whether fresh advice lies in ``log/``. Without times it cannot be told, and advice is only advice."""
    for info in log:
        if info.key == layout.FOLD_ADVICE:
            age = index.clock.age(info.modified)
            return age is not None and age <= ADVICE_HOLDS
    return False


def _is_recent(log: Iterable[ObjectInfo], keys: Collection[str], listing: Listing, threshold: int) -> bool:
    """Whether most of the log is in the newest checkpoint already, by the store's times.

    Entries stay in the log until the fold *after* the one that took them in. Were they counted as new, every second
    fold would write a checkpoint for nothing.
    """
    if not listing or listing[0].modified is None:
        return False
    folded = listing[0].modified - SLACK
    entries = set(keys)
    new = sum(1 for info in log if info.key in entries and (info.modified is None or info.modified >= folded))
    return new < threshold


def _next(index: Index, state: State, tail: Tail, keys: Iterable[str]) -> Checkpoint:
    """The checkpoint after this state and these entries."""
    # A damaged newest checkpoint keeps its number: the next one is built on the one before it, with all entries that
    # one lacks.
    seq = max(state.seq, state.skipped) + 1
    rows = read_rows(state.table, {entry.run_id for entry in tail.entries})
    apply_all(rows, tail.entries, changed=seq)
    changed = {run_id: row for run_id, row in rows.items() if row.get("changed") == seq}
    base, table = _delta_or_full(state, changed)
    applied = {short_name(entry.key) for entry in tail.entries}
    known = {short_name(key) for key in keys}
    return Checkpoint(
        seq=seq,
        wid=index.environment.token(),
        held=frozenset(known & (state.held | applied)),
        base=base,
        before=None if state.newest is None or state.skipped else state.newest.base,
        table=table,
    )


def _delta_or_full(state: State, changed: dict[str, Row]) -> tuple[Base | None, pa.Table]:
    fresh = with_ids(encode(changed.items()))
    full = state.base or state.newest
    if full is not None:
        deltas = [state.deltas] if state.base is not None else []
        delta = overlay([*deltas, fresh])
        if delta.num_rows * DELTA_SHARE < full.table.num_rows:
            return Base(full.seq, full.wid), own_columns(delta)
    return None, own_columns(overlay([state.table, fresh]))


def own_columns(table: pa.Table) -> pa.Table:
    """A table with ids as a checkpoint stores it."""
    return table.drop_columns([ID]).unify_dictionaries().combine_chunks()


def _folded_before(keys: Iterable[str], state: State) -> list[str]:
    """Fold 6: the entries held by the base just *read from the store*, never those only the new one holds.

    Should the new checkpoint turn out unreadable, the one before and the entries it lacks are complete. For the same
    reason nothing is deleted when the newest checkpoint could not be read.
    """
    return [] if state.skipped else [key for key in keys if short_name(key) in state.held]


def _old_checkpoints(listing: Listing, state: State, new: Checkpoint) -> list[str]:
    """Fold 7: checkpoints beyond the newest three that no kept one builds on."""
    if state.newest is None or state.skipped:
        return []
    bases = {base.seq for base in (new.base, state.newest.base, state.newest.before) if base is not None}
    older = [info.key for info in listing if layout.sequence_of(info.key) <= new.seq]
    return [key for key in older[KEPT - 1 :] if layout.sequence_of(key) not in bases]


def _old_beats(index: Index) -> list[str]:
    """Beats that nobody wrote again for a week."""
    listing = list(index.backend.list(layout.BEATS))
    index.clock.observe(listing)
    return [info.key for info in listing if (age := index.clock.age(info.modified)) is not None and age > BEAT_KEPT]


def _remove(index: Index, keys: list[str]) -> bool:
    """Delete garbage. A writer without the right to delete works all the same."""
    try:
        index.backend.delete(keys)
    except (PermissionDeniedError, ReadOnlyError):
        return False
    return True
