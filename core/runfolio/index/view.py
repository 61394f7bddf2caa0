"""The index as readers see it: `Index.refresh` makes one consistent `View` (List in the store protocol)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from runfolio import layout
from runfolio.index.beating import Beat, BeatReader, Beats, announcements, last_sign, liveness_without_sign
from runfolio.index.cache import CheckpointCache
from runfolio.index.encoding import decode, encode
from runfolio.index.entries import apply_all
from runfolio.index.layers import ID, overlay, positions, rows_at, with_ids
from runfolio.index.liveness import Liveness, StoreClock
from runfolio.index.row import Row, main_end, main_writer
from runfolio.index.state import Reader, State
from runfolio.index.table import unended, view_table, visible
from runfolio.index.tail import EntryReader, Tail, read_tail
from runfolio.store.environment import Environment

if TYPE_CHECKING:
    from runfolio.backend import Backend

SHORTEST: Final = 64
LONGEST: Final = 256


class Index:
    """Reads the index of one store. It remembers what cannot change, so the second `refresh` asks for little.

    Safe to use from several threads. Nothing is read before the first `refresh`.

    Args:
        backend: where the store lies.
        cache: a folder where checkpoints are kept between processes; None keeps them in memory only.
        environment: clocks and parallelism.
        clock: says what the *store's* clock shows now, where that is known without a request; it may return None.

    Attributes:
        threshold: how many entries make the log long enough to fold. Drawn at random, so that processes that end at one
            moment do not all fold.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        cache: Path | None = None,
        environment: Environment | None = None,
        clock: Callable[[], datetime | None] | None = None,
    ) -> None:
        self.backend = backend
        self.environment = environment or Environment()
        self.threshold = self.environment.chance.randint(SHORTEST, LONGEST)
        self.clock = StoreClock(clock, self.environment.monotonic)
        self.reader = Reader(backend, CheckpointCache(backend.url, cache))
        self.entries = EntryReader(backend, self.environment.gather)
        self._beats = BeatReader(backend, self.environment.gather)
        self._lock = threading.Lock()

    def refresh(self, *, live: bool = True) -> View:
        """Return the index as it is now: all that was acknowledged before this call is in it.

        Requests: 4 (LIST ``log/``, ``index/``, ``beats/``, get the checkpoint), 1 more while the base of a delta is not
        cached, 1 less while the checkpoint is; and in parallel one get for each unfolded entry, and for each fresh beat
        of a run that runs.

        Args:
            live: also read the beats of running runs, for their latest values.

        Raises:
            IndexDamagedError: the index cannot be read; repair it. Never a silent older view.
            FormatError: a newer Runfolio wrote it.
            StorageError: the storage failed.
        """
        with self._lock:
            # List 1: log/ first. Listed after index/, a fold between the two would hide what it had taken out of log/.
            log = list(self.backend.list(layout.LOG))
            # List 2 to 4.
            state, listing, tail = read_tail(self.reader, self.entries, self.entries.entry_keys(log))
            # List 5.
            beating = list(self.backend.list(layout.BEATS))
            for seen in (log, listing, beating):
                self.clock.observe(seen)
            view = View(state, tail, Beats(beating), announcements(log), self.clock)
            if live:
                view._show_beats(self._beats)  # noqa: SLF001 (the second half of making a view)
            return view


class View:
    """All runs of a store at one moment. What is shown is made when it is first asked for.

    Attributes:
        seq: sequence number of the checkpoint it was made from; 0 for none.
        base_seq: sequence number of the full checkpoint that it builds on; None when it is full itself.
        unfolded: how many log entries were applied to it.
        unreadable: keys of log entries that could not be understood. They may come from a newer Runfolio.
        skipped: sequence number of a damaged checkpoint that could be done without; 0 when there is none.
        everything: all rows ever seen in the schema of checkpoints with a last column `run_id`, tombstones included.
        liveness: of each run that has not ended: ``alive``, ``lost`` or ``unknown``.
    """

    def __init__(
        self, state: State, tail: Tail, beats: Beats, announced: Mapping[str, datetime], clock: StoreClock
    ) -> None:
        self.seq = state.seq
        self.base_seq = None if state.base is None else state.base.seq
        self.unfolded = len(tail.entries)
        self.unreadable: Sequence[str] = tuple(tail.unreadable)
        self.skipped = state.skipped
        self._rows = self._touched(state, tail)
        # State.table is in order already.
        self.everything = overlay([state.table, with_ids(encode(self._rows.items()))]) if self._rows else state.table
        self._shown = visible(self.everything)
        self._seen_beats = beats
        self.liveness: Mapping[str, Liveness] = self._livenesses(announced, clock)

    @staticmethod
    def _touched(state: State, tail: Tail) -> dict[str, Row]:
        """The rows that unfolded entries are about, with these applied."""
        rows = read_rows(state.table, {entry.run_id for entry in tail.entries})
        apply_all(rows, tail.entries)
        return rows

    def _livenesses(self, announced: Mapping[str, datetime], clock: StoreClock) -> dict[str, Liveness]:
        ids = unended(self._shown)
        if not ids:
            return {}
        mains = self._mains()
        signs = {run_id: last_sign(run_id, mains[run_id][0], self._seen_beats, announced) for run_id in ids}
        return {
            run_id: liveness_without_sign(mains[run_id][1], clock) if sign is None else clock.liveness(sign)
            for run_id, sign in signs.items()
        }

    def _mains(self) -> dict[str, tuple[str | None, int | None]]:
        """Of the runs that have not ended: the writer that would end them, and when they were created."""
        rows = self._shown.filter(pc.is_null(self._shown.column("status")))
        columns = ("main_name", "main_token", "rest", "created_utc")
        cells = rows.select([ID, *columns]).set_column(4, "created_utc", rows.column("created_utc").cast(pa.int64()))
        found: dict[str, tuple[str | None, int | None]] = {}
        resumed: list[str] = []
        for run_id, name, token, rest, created in zip(*(column.to_pylist() for column in cells.columns), strict=True):
            found[run_id] = (None if token is None else f"{name}.{token.hex()}", created)
            if rest is not None:  # several attempts, or a main writer that the columns cannot spell
                resumed.append(run_id)
        for run_id, row in read_rows(rows, resumed).items():
            found[run_id] = (main_writer(row), found[run_id][1])
        return found

    def _show_beats(self, reader: BeatReader) -> None:
        """Read the fresh beats of running runs, and show the values they carry."""
        wanted = {
            run_id: self._seen_beats.by_run[run_id]
            for run_id, liveness in self.liveness.items()
            if liveness != "lost" and run_id in self._seen_beats.by_run
        }
        if not wanted:
            return
        rows = read_rows(self._shown, wanted)
        found: dict[str, Mapping[str, Beat]] = {}
        for run_id, beats in reader.get(wanted).items():
            ended = rows[run_id].get("ends", {})
            found[run_id] = {writer: beat for writer, beat in beats.items() if writer not in ended}
        self._shown = overlay([self._shown, with_ids(encode(rows.items(), found))])

    @cached_property
    def table(self) -> pa.Table:
        """One row a run that is not deleted, newest first, with the columns of `runfolio.index.schema.VIEW`."""
        return view_table(self._shown, self.liveness)

    def __len__(self) -> int:
        return int(self._shown.num_rows)

    @property
    def ids(self) -> list[str]:
        """The ids of the runs shown, newest first."""
        ids: list[str] = self._shown.column(ID).to_pylist()
        return ids

    def row(self, run_id: str) -> Row | None:
        """Return all the index knows of a run, also of a deleted one (a tombstone), or None when it knows nothing."""
        return self.rows([run_id]).get(run_id)

    def rows(self, run_ids: Iterable[str] | None = None) -> dict[str, Row]:
        """Return the rows of some runs, or of all runs ever seen, tombstones and rows without start included."""
        if run_ids is None:
            return dict(zip(self.everything.column(ID).to_pylist(), decode(self.everything), strict=True))
        return read_rows(self.everything, run_ids)

    def status(self, run_id: str) -> str | None:
        """Return the status of a run that is shown, or None for any other."""
        place = positions(self._shown, [run_id]).get(run_id)
        if place is None:
            return None
        status: str = self.table.column("status")[place].as_py()
        return status

    def is_deleted(self, run_id: str) -> bool:
        """Whether the run was deleted."""
        row = self.row(run_id)
        return row is not None and bool(row.get("deleted"))

    def has_ended(self, run_id: str) -> bool:
        """Whether the run's end is known."""
        row = self.row(run_id)
        return row is not None and main_end(row) is not None


def read_rows(table: pa.Table, run_ids: Iterable[str]) -> dict[str, Row]:
    """The rows of some runs of a table with ids; those it lacks are left out."""
    places = positions(table, run_ids)
    if not places:
        return {}
    found = rows_at(table, list(places.values())).drop_columns([ID])
    return dict(zip(places, decode(found), strict=True))
