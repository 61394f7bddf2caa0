"""The pusher: one journal's way into the store.

While its process lives that is `start`, `flush`, `beat` and `end`; after it, `replay`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, final

from runfolio.store import artifacts, attempts, beating, editing, ending, flushing, replaying, sourcing, starting
from runfolio.store.desk import Desk
from runfolio.store.environment import Environment
from runfolio.store.ledger import Ledger
from runfolio.store.pacing import Pacing
from runfolio.store.retrying import PATIENT, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runfolio.backend import Backend
    from runfolio.snapshot.snapshot import Snapshot
    from runfolio.store.artifacts import FileProgress, StagedFile
    from runfolio.store.ending import Ending
    from runfolio.store.ledger import FactKind
    from runfolio.store.replaying import Replayed
    from runfolio.store.spooled import SpooledRunLike


@final
class Pusher:
    """Sends one journal to the store.

    Methods that begin with ``intend`` or `learn` or `stage` only append to the journal: they are quick, make no
    request, and may be called by any thread. The others make requests, may block for as long as the patience allows,
    and run one at a time.

    Args:
        backend: where the store lies.
        spooled: the journal.
        environment: clocks, chance and parallelism.
        patience: how often and how long failed requests are sent again.
        pacing: how often to flush and to beat.
        after_end: called with the backend when an end was acknowledged: the place to fold a long log.
        largest_file: files of more bytes are not stored, and reported.
        progress: told about the bytes of files sent.
    """

    def __init__(
        self,
        backend: Backend,
        spooled: SpooledRunLike,
        *,
        environment: Environment | None = None,
        patience: Patience = PATIENT,
        pacing: Pacing | None = None,
        after_end: Callable[[Backend], object] | None = None,
        largest_file: int | None = None,
        progress: FileProgress | None = None,
    ) -> None:
        self.spooled = spooled
        self.ledger = Ledger(spooled, spooled.writer)
        self.environment = environment or Environment()
        self.pacing = pacing or Pacing()
        self._desk = Desk(backend, self.ledger, self.environment, patience)
        self._after_end = after_end
        self._largest_file = largest_file
        self._progress = progress
        self._requests = threading.Lock()
        self._source = threading.Lock()
        self._beats = 0
        self._began = self._flushed = self._beaten = self.environment.monotonic()

    # What only the journal hears of.

    def intend_start(self, document: Mapping[str, Any]) -> None:
        """Journal the start of the run: the fields of ``start.json``, `number` None."""
        starting.intend_start(self._desk, document)

    def intend_attempt(self, document: Mapping[str, Any], uid: str) -> None:
        """Journal another attempt at a run that exists: the fields of ``attempt-<n>.json``, and the uid of the run."""
        attempts.intend_attempt(self._desk, document, uid)

    def intend_join(self, uid: str, attempt: int = 1) -> None:
        """Journal that this is an additional writer of a run that somebody else started."""
        self.ledger.note("writer", {"uid": uid, "main": False, "attempt": attempt})

    def intend_end(self, how: Ending) -> None:
        """Journal the end. The journal must not get rows any more. Only the first end of a writer counts."""
        ending.intend_end(self._desk, self.spooled, how)

    def learn(self, kind: FactKind, facts: Mapping[str, Any]) -> None:
        """Journal params, summary values, definitions or properties.

        Later ones of the same name replace earlier ones.
        """
        self.ledger.note(kind, facts)

    def stage(self, file: StagedFile) -> None:
        """Journal that a local file is to become an artifact.

        Raises:
            InvalidKeyError: its path is not allowed.
        """
        artifacts.stage(self._desk, file)

    def intend_source(self, snapshot: Snapshot) -> None:
        """Journal that a snapshot of the project is to be stored. Its folder must outlive this process."""
        sourcing.intend_source(self._desk, snapshot)

    # What the store hears of. All of these raise ReadOnlyError or StorageError when the storage fails; what was not
    # acknowledged is done by the next call or by a replay.

    def start(self) -> int:
        """Do the rest of the intended start; return the number of the run (4 requests)."""
        with self._requests:
            return starting.start(self._desk)

    def attempt(self) -> int:
        """Do the rest of the intended attempt; return its number (3 requests)."""
        with self._requests:
            return attempts.attempt(self._desk)

    def begin(self) -> int | None:
        """Do what was intended of `start` and `attempt`.

        Returns:
            The number of the run; None where it is not ours to give.
        """
        state = self.ledger.state
        if state.start is not None:
            return self.start()
        if state.resumed is not None:
            self.attempt()
        return None

    def flush(self) -> int:
        """Store all rows of the journal (1 request) and return the position up to which rows are stored."""
        with self._requests:
            self._flushed = self.environment.monotonic()
            return flushing.flush(self._desk, self.spooled)

    def beat(self, others: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Put the heartbeat (1 request), with what other writers of this machine have come to, by writer key."""
        with self._requests:
            self._beaten = self.environment.monotonic()
            self._beats += 1
            beating.beat(self._desk, self.spooled, self._beats, others or {})

    def sign(self) -> dict[str, Any]:
        """Return how far this writer has come, as its heartbeat would say it."""
        with self._requests:
            return beating.sign(self._desk, self.spooled, self._beats)

    def push_files(self, *, unlimited: bool = False) -> list[dict[str, str]]:
        """Store the staged files and the manifest.

        Returns what could not be stored; those are tried again by the next call.

        Args:
            unlimited: store files of any size.
        """
        largest = None if unlimited else self._largest_file
        with self._requests:
            return artifacts.push_files(self._desk, self.spooled.run_id, largest=largest, progress=self._progress)

    def push_source(self, *, store_id: str | None = None, last: bool = False) -> dict[str, str] | None:
        """Store the snapshot. Runs beside the other methods: it may take long.

        See `runfolio.store.sourcing.push_source`.
        """
        with self._source:
            return sourcing.push_source(self._desk, self.spooled.run_id, store_id=store_id, last=last)

    def edit(
        self,
        field: str | None,
        value: Any = None,
        *,
        who: str | None = None,
        kind: Literal["edit", "delete"] = "edit",
    ) -> dict[str, Any]:
        """Change a field of the run, or delete it (3 requests).

        Journaled first: what the storage refuses now, a replay does.
        """
        token = self._intend_edit(field, value, who, kind)
        with self._requests:
            return editing.edit(self._desk, token)

    def intend_edit(self, field: str, value: Any, *, who: str | None = None) -> str:
        """Journal an edit; `push_edits` or a replay does it."""
        return self._intend_edit(field, value, who, "edit")

    def push_edits(self) -> None:
        """Do what was intended of edits (3 requests each)."""
        with self._requests:
            for token in self.ledger.pending_edits:
                editing.edit(self._desk, token)

    def end(self, how: Ending | None = None) -> dict[str, Any]:
        """End this writer and return the stored end record (at most 6 requests without files).

        Args:
            how: how it ended; None when `intend_end` said so.
        """
        if how is not None:
            self.intend_end(how)
        with self._requests:
            stored = ending.end(self._desk, self.spooled, largest_file=self._largest_file, progress=self._progress)
            ending.clear(self._desk, self.spooled.run_id)
        self._fold()
        return stored

    def replay(self, *, dead: bool = True, ended: str | None = None, store_id: str | None = None) -> Replayed:
        """Bring everything in the journal to the store, once, however often it is repeated.

        See `runfolio.store.replaying`.
        """
        with self._requests:
            done = replaying.replay(
                self._desk,
                self.spooled,
                dead=dead,
                ended=ended,
                largest_file=self._largest_file,
                progress=self._progress,
                store_id=store_id,
            )
        if done.outcome == "stored":
            self._fold()
        if done.outcome in ("stored", "empty") and not self.ledger.pending_edits:
            self.spooled.discard()
        return done

    # When to do it.

    @property
    def writer(self) -> str:
        """The writer key in use: the journal's own, unless a clone of this process was met."""
        return self.ledger.state.writer

    @property
    def flush_due(self) -> bool:
        """Whether `flush` is to be called now."""
        now, cut = self.environment.monotonic(), self.ledger.rows_cut
        unsent = self.spooled.cut() - self.ledger.rows_stored
        return self.pacing.flush_due(now - self._began, now - self._flushed, unsent, cut)

    @property
    def beat_due(self) -> bool:
        """Whether `beat` is to be called now."""
        now = self.environment.monotonic()
        return self.pacing.beat_due(now - self._began, now - self._beaten, main=self.ledger.state.main)

    @property
    def done(self) -> bool:
        """Whether everything that was ever promised is acknowledged, so that the journal may be discarded."""
        return self.ledger.state.ended and not self.ledger.pending_edits

    def _intend_edit(self, field: str | None, value: Any, who: str | None, kind: Literal["edit", "delete"]) -> str:
        run_id, project = self.spooled.run_id, self.spooled.project
        return editing.intend_edit(
            self._desk, run_id=run_id, project=project, field=field, value=value, who=who, kind=kind
        )

    @property
    def pause(self) -> float:
        """Seconds after which something is due again."""
        # Other writers leave word for the main one as often as that one beats.
        age = self.environment.monotonic() - self._began
        return min(self.pacing.flush_interval(age), self.pacing.beat_interval(age))

    def _fold(self) -> None:
        if self._after_end is not None:
            self._after_end(self._desk.backend)
