"""What this process logs to a run, read as it is logged: from its own journal, without a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runfolio.journal.reader import JournalReader
from runfolio.rows.parquet import decode, encode
from runfolio.rows.schema import Owner
from runfolio.rows.view import view

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from runfolio.recording.recorder import Recorder
    from runfolio.rows.raw import Rows


class Tail:
    """Follows one writer. For one thread at a time; it disturbs neither `log` nor the background thread."""

    def __init__(self, recorder: Recorder) -> None:
        # A reader of its own: that of the recorder belongs to the background thread.
        self._reader = JournalReader(recorder.spooled.folder, verify=lambda: False)
        self._owner = Owner(recorder.spooled.project, recorder.run_id, recorder.writer_key)
        self._read = 0

    def read(self, names: Sequence[str] | None = None) -> pa.Table:
        """Return the rows that are new since the last call, in the columns of `Series.to_arrow`.

        Args:
            names: only these metrics. Rows of others count as read.

        Returns:
            No rows when nothing is new, and after the run has ended: everything is in the store then.
        """
        rows = self._new()
        return view([decode(encode(rows, self._owner, {}))], names=names) if rows is not None else view([])

    def _new(self) -> Rows | None:
        try:
            after = self._reader.advance()
            if after <= self._read:
                return None
            rows = self._reader.rows(self._read, after)
        except OSError:  # ended between two looks: the journal is gone
            return None
        self._read = after
        return rows
