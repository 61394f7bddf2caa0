"""Offline and sync: a journal is replayed, by another process, later, as often as it takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from runfolio import layout
from runfolio.errors import FormatError
from runfolio.store.attempts import attempt
from runfolio.store.documents import decode
from runfolio.store.editing import edit
from runfolio.store.ending import Ending, clear, end, intend_end
from runfolio.store.flushing import flush
from runfolio.store.folder_listing import sort_out
from runfolio.store.sourcing import push_source
from runfolio.store.starting import start

if TYPE_CHECKING:
    from runfolio.store.artifacts import FileProgress
    from runfolio.store.desk import Desk
    from runfolio.store.folder_listing import FolderListing
    from runfolio.store.spooled import SpooledRunLike

Outcome = Literal["stored", "flushed", "deleted", "empty"]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to.

    Attributes:
        outcome: ``stored``: everything is in the store and the journal may go. ``flushed``: everything so far is in the
            store, and its process lives. ``deleted``: the run was deleted by somebody; nothing was sent and nothing
            dropped. ``empty``: the journal holds nothing.
        number: the number of the run, where this journal started it.
        status: the status that the stored end record has.
    """

    outcome: Outcome
    number: int | None = None
    status: str | None = None


def replay(
    desk: Desk,
    spooled: SpooledRunLike,
    *,
    dead: bool = True,
    ended: str | None = None,
    largest_file: int | None = None,
    progress: FileProgress | None = None,
    store_id: str | None = None,
) -> Replayed:
    """Bring everything in a journal to the store, once, however often it is repeated.

    Args:
        desk: where to work.
        spooled: the journal.
        dead: its process is known to be dead, so a run without an end is ``Failed``, reason ``killed``.
        ended: when that process was last known to live, as documents spell it.
        largest_file: files of more bytes are not stored, and reported.
        progress: told about the bytes of files sent.
        store_id: of the store, where it is known.

    Raises:
        ReadOnlyError: the store cannot be written.
        StorageError: the storage failed. Another replay goes on.
    """
    state = desk.ledger.state
    rows = spooled.cut()  # also what makes a journal that was just opened know its rows
    if rows == 0 and not _has_promises(desk):
        return Replayed("empty")
    number = start(desk) if state.start is not None else None
    # A delete that this journal itself began is finished first: its tombstone, once stored, would look like somebody
    # else's.
    for token in desk.ledger.pending_deletes:
        edit(desk, token)
    listing = sort_out(spooled.run_id, desk.backend.list(layout.run_folder(spooled.run_id)))
    if _is_deleted(desk, listing):
        return Replayed("deleted", number)
    if state.resumed is not None:
        attempt(desk)
    for token in desk.ledger.pending_edits:
        edit(desk, token)
    if state.end is None and not dead:
        flush(desk, spooled)
        return Replayed("flushed", number)
    # The boundaries journaled so far need not be sent: End 1 stores all rows in one file that covers them.
    intend_end(desk, spooled, Ending(status="Failed", reason="killed", ended=ended))
    push_source(desk, spooled.run_id, store_id=store_id, last=True)
    there = state.writer in listing.ends
    stored: dict[str, Any] = end(desk, spooled, largest_file=largest_file, progress=progress, end_stored=there)
    clear(desk, spooled.run_id)
    return Replayed("stored", number, stored["status"])


def _has_promises(desk: Desk) -> bool:
    state = desk.ledger.state
    return bool(state.start or state.resumed or state.end or state.files or state.edits or state.segments)


def _is_deleted(desk: Desk, listing: FolderListing) -> bool:
    """Whether one of the edits in the folder is a delete."""

    def kind(key: str) -> object:
        try:
            return decode(desk.backend.get(key), key).get("kind")
        except FormatError:
            return None  # damaged, or of a later version: no reason to keep rows from the store

    return "delete" in desk.environment.gather([partial(kind, key) for key in listing.edits])
