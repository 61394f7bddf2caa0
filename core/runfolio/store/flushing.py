"""Flush: rows of the journal become immutable segments, which their owner merges so that there are few."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runfolio import layout
from runfolio.errors import PermissionDeniedError, StorageError
from runfolio.store.documents import FORMAT, segment_wid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runfolio.layout import Segment
    from runfolio.store.desk import Desk
    from runfolio.store.spooled import SpooledRunLike

MERGED_ROWS: Final = 4_000_000
"""Segments longer than this are neither merged nor made by one flush: encoding them takes memory."""
SWEEP_EVERY: Final = 16
"""Covered segments are deleted so many at a time: one request."""


def flush(desk: Desk, spooled: SpooledRunLike) -> int:
    """Send the boundaries that were journaled, then the rows since (1 request).

    Returns:
        The position of the last row stored.

    Raises:
        ReadOnlyError: the store cannot be written.
        StorageError: the storage failed. The next flush, or a replay, sends the same segments.
    """
    resend(desk, spooled)
    cut = spooled.cut()
    while desk.ledger.rows_cut < cut:
        after = min(cut, desk.ledger.rows_cut + MERGED_ROWS)
        first = merged_first(desk.ledger.segments, desk.ledger.rows_cut, after)
        desk.ledger.note("segment", {"first": first, "after": after})  # before the first request about it
        resend(desk, spooled)
    return desk.ledger.rows_stored


def resend(desk: Desk, spooled: SpooledRunLike) -> None:
    """Send the journaled boundaries that were not acknowledged, exactly as they are."""
    for part in desk.ledger.unstored:
        if part.writer != desk.ledger.state.writer:
            return  # the key was changed on the way: what follows is cut anew, under the new one
        key = layout.segment(layout.live(spooled.run_id), part)
        if store_rows(desk, spooled, key, part):
            desk.ledger.note("segment-stored", {"first": part.first, "after": part.after})
        else:
            change_key(desk)
    _sweep(desk, spooled.run_id)


def store_rows(desk: Desk, spooled: SpooledRunLike, key: str, part: Segment) -> bool:
    """Create one Parquet file of own rows; False when another writer's is there under the same name."""
    wid = segment_wid(desk.ledger.uid, part.writer, part.first, part.after)
    metadata = {
        "runfolio.format": str(FORMAT),
        "runfolio.wid": wid,
        "runfolio.writer": part.writer,
        "runfolio.rows": f"{part.first}-{part.after}",
    }
    return desk.create_parquet(key, spooled.encode(part.first, part.after, metadata), wid).ours


def change_key(desk: Desk) -> None:
    """Take a new writer key for everything not yet acknowledged.

    Another process, a clone of this one, writes under ours.
    """
    name = desk.ledger.state.writer.rsplit(".", 1)[0]
    first = desk.ledger.rows_stored
    desk.ledger.note("rekey", {"writer": f"{name}.{desk.environment.token()}", "first": first})


def merged_first(segments: Sequence[Segment], first: int, after: int) -> int:
    """Return where the next segment starts: at `first`, or earlier, so that it takes the place of short ones before it.

    Sizes fall into classes by powers of four. Three segments in a row whose class is not above the new one's are merged
    into it, so at most three of each class remain, and each row is written once a class: both are logarithms of the
    number of rows.
    """
    kept = visible(segments)
    while len(kept) >= 3:  # noqa: PLR2004 (three and the new one make four)
        group = kept[-3:]
        size = after - group[0].first
        if size > MERGED_ROWS or any(_size_class(one.after - one.first) > _size_class(after - first) for one in group):
            break
        first = group[0].first
        kept = kept[:-3]
    return first


def visible(segments: Sequence[Segment]) -> list[Segment]:
    """Return the segments that no longer one covers, in order."""
    kept: list[Segment] = []
    for part in sorted(segments, key=lambda one: (one.first, -one.after)):
        if not kept or part.after > kept[-1].after:
            kept.append(part)
    return kept


def _size_class(rows: int) -> int:
    return max(0, rows.bit_length() - 1) // 2


def _sweep(desk: Desk, run_id: str) -> None:
    """Delete own segments that a longer one, acknowledged, covers.

    Readers ignore them by their names, so there is no hurry. The first segment that a longer one covers goes in a
    request of its own, before the rest: a reader whose listing still showed it, but no longer the rest, finds it gone
    and starts again.
    """
    state = desk.ledger.state
    stored = [one for one in desk.ledger.segments if one in state.stored]
    kept = visible(stored)
    covered = [one for one in stored if one not in kept and one not in state.swept]
    if len(covered) < SWEEP_EVERY:
        return
    heads = {one.first for one in kept}
    folder = layout.live(run_id)
    try:
        desk.backend.delete([layout.segment(folder, one) for one in covered if one.first in heads])
        desk.backend.delete([layout.segment(folder, one) for one in covered if one.first not in heads])
    except PermissionDeniedError:
        pass  # a writer that may not delete: repair, by somebody who may, does it later
    except StorageError:
        return
    state.swept.update(covered)
