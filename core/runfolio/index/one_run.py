"""One run as a list would show it, made from its own folder instead of the index."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from runfolio.index.beating import liveness_without_sign
from runfolio.index.encoding import encode
from runfolio.index.layers import with_ids
from runfolio.index.row import Row, join, main_writer, row_of
from runfolio.index.table import view_table

if TYPE_CHECKING:
    import pyarrow as pa

    from runfolio.index.liveness import Liveness, StoreClock
    from runfolio.store.run_folder import RunFolder


def row_of_folder(folder: RunFolder) -> Row:
    """Return the row that the index has, or will have, of a run."""
    row: Row = {}
    if folder.start is not None:
        row = join(row, row_of("start", folder.start))
    for attempt in folder.attempts.values():
        row = join(row, row_of("attempt", attempt))
    for end in folder.ends.values():
        row = join(row, row_of("end", end))
    for edit in folder.edits:
        row = join(row, row_of(edit["kind"], edit))
    return row


def table_of_folder(folder: RunFolder, clock: StoreClock) -> pa.Table:
    """Return a table of one row with the columns of a view. The folder has a start, and was read with its beats."""
    row = row_of_folder(folder)
    beats = {writer: beat.document for writer, beat in folder.beats.items() if beat.document}
    table = with_ids(encode([(folder.run_id, row)], {folder.run_id: beats} if beats else None))
    return view_table(table, {folder.run_id: _liveness(folder, row, clock)})


def _liveness(folder: RunFolder, row: Row, clock: StoreClock) -> Liveness:
    for beat in folder.beats.values():
        if beat.modified is not None:
            clock.observe_moment(beat.modified)
    sign = folder.beats.get(main_writer(row) or "")
    if sign is not None:
        return clock.liveness(sign.modified)
    # No beat yet, or none any more. Only the writer's own clock can say how young the run is.
    created = datetime.fromisoformat(str((folder.start or {}).get("created")))
    return liveness_without_sign(int(created.timestamp() * 1e6), clock)
