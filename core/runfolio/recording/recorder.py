"""The machinery behind an `ActiveRun`: one journal, one pusher, one background thread.

A forked child has its own three. Everything the public API does to a run goes to the journal first and is sent by the
thread. `flush` and `finish` wait for the thread or do its work themselves; they are the only ones that talk to the
store in the caller's thread.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runfolio.artifacts import artifact_of
from runfolio.errors import RunfolioError, RunStateError
from runfolio.ids import new_token
from runfolio.journal.spool import Header, Spool
from runfolio.journal.spooled_run import SpooledRun
from runfolio.media import media_type
from runfolio.recording.complaint import VARIABLE as COMPLAINT
from runfolio.recording.complaint import Complaint
from runfolio.recording.flusher import Flusher
from runfolio.recording.redacting import redact_param, redact_properties, redact_text
from runfolio.recording.snapshots import adopt, drop, remember
from runfolio.recording.spooled import send_leftovers_once, sync_journals
from runfolio.recording.staging import FilesReport, Staging, files_below, original_name
from runfolio.recording.word import leave_word, words_of
from runfolio.store.artifacts import StagedFile
from runfolio.store.ending import Ending
from runfolio.store.manifests import AVAILABLE
from runfolio.store.pacing import Pacing

if TYPE_CHECKING:
    from runfolio.history import History
    from runfolio.journal.pending import Pending
    from runfolio.journal.writer import JournalWriter
    from runfolio.records import Record
    from runfolio.snapshot.snapshot import Snapshot
    from runfolio.store.ledger import FactKind
    from runfolio.store.pushing import Pusher

_log: Final = logging.getLogger("runfolio")
_PATIENCE: Final = 10.0
"""Seconds that a start waits for a store that does not answer; after that the thread goes on alone."""
_LOOK: Final = 1.0
"""Seconds between two looks at whether the store still answers."""
SOURCE: Final = "source"
"""The folder of the snapshot among the staged files."""


class Recorder:
    """Writes one run from this process.

    Args:
        history: where it is stored.
        header: whose journal this is.
        opening: notes into a fresh journal what this writer is (a start, an attempt, an additional writer). Makes no
            request.
        start: the start document, as far as this process knows it.
        steps: last steps of series that an earlier attempt began.
    """

    def __init__(
        self,
        history: History,
        header: Header,
        opening: Callable[[Pusher], None],
        *,
        start: Mapping[str, Any] | None = None,
        steps: Mapping[str, int] | None = None,
    ) -> None:
        self.history = history
        self.run_id = header.run_id
        self.start: Mapping[str, Any] = start or {}
        self.mode = history.settings.mode
        self.finished = self.stored = False
        self._left_behind: list[str] = []
        self._snapshot: Snapshot | None = None
        self._observers: list[Callable[[], None]] = []
        self._begin(header, opening, steps)

    def _begin(
        self,
        header: Header,
        opening: Callable[[Pusher], None],
        steps: Mapping[str, int] | None,
        complaint: Complaint | None = None,
    ) -> None:
        from runfolio.store.pushing import Pusher  # noqa: PLC0415 (loaded on use)

        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._waiting: list[Pending] = []
        self._tried = threading.Event()
        connection = self.history._connection  # noqa: SLF001 (a recorder is a part of its history)
        backend = connection.raw  # raises on a wrong configuration, before there is a journal
        spool = Spool(spool_of(self.history))
        self.journal, lock = spool.create(
            header,
            convert=self._convert,
            on_fork=self._fork,
            wake=self._wake,
            steps=steps,
            fsync=self.history.settings.fsync,
        )
        self.spooled = SpooledRun.live(self.journal, lock)
        self.staging = Staging(self.journal.folder)
        settings = self.history.settings
        self.pusher = Pusher(
            backend,
            self.spooled,
            environment=connection.environment,
            pacing=replace(Pacing(), flush_least=settings.flush_interval, beat_least=settings.beat_interval),
            after_end=self.history._fold,  # noqa: SLF001
            largest_file=settings.artifact_limit or None,
        )
        opening(self.pusher)
        self._complaint = complaint or Complaint.of(self.run_id, self.journal.folder)
        self._flusher = Flusher(self._round, f"runfolio-{self.run_id[-5:]}", self._complaint)

    @property
    def writer_key(self) -> str:
        """The key under which this process writes."""
        return self.pusher.ledger.state.writer

    def keep_snapshot(self, snapshot: Snapshot) -> None:
        """Take over the snapshot of the project, before the start is journaled."""
        if self.mode == "disabled":
            drop(snapshot)
            return
        adopt(snapshot, self.staging.folder / SOURCE)
        self.pusher.intend_source(snapshot)
        self._snapshot = snapshot

    def run_in_background(self) -> None:
        """Start the thread. Nothing is sent before."""
        if self.mode == "online":
            self._flusher.start()
            self._flusher.wake()
            if self._snapshot is not None and not self._snapshot.unchanged:
                # A thread of its own: values and signs of life do not wait for a large pack.
                threading.Thread(target=self._send_source, name="runfolio-source", daemon=True).start()

    def wait_for_start(self) -> None:
        """Wait until the start is in the store, or the store has shown that it cannot be reached."""
        if self.mode == "online":
            self._tried.wait(_PATIENCE)

    # What the public API calls

    def note(self, kind: FactKind, body: Mapping[str, Any]) -> None:
        """Journal facts: params, summary values, definitions, properties.

        Raises:
            RunStateError: the run has ended here.
        """
        self._here()
        self.pusher.learn(kind, body)

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Journal properties, with their secrets hidden."""
        self.note("properties", redact_properties(self.history, properties))

    def edit(self, field: str, value: object) -> None:
        """Journal an edit; the thread sends it."""
        self._here()
        self.pusher.intend_edit(field, value, who=self.history.user_id)
        self._wake()

    def left_behind(self, paths: Iterable[str]) -> None:
        """Keep the names of files that were made elsewhere, for the end record."""
        self._left_behind = sorted({*self._left_behind, *paths})

    def stage_file(self, source: Path, path: str, **details: Any) -> Pending:
        """Keep a copy of a file, and send it."""
        self._here()
        return self._stage(
            StagedFile(
                path=path, source=self.staging.keep_file(source), original=original_name(source, path), **details
            )
        )

    def stage_bytes(self, path: str, data: bytes, **details: Any) -> Pending:
        """Keep contents as a file, and send it."""
        self._here()
        return self._stage(
            StagedFile(path=path, source=self.staging.keep_bytes(data, path.rsplit("/", 1)[-1]), **details)
        )

    def stage_folder(self, folder: Path, path: str) -> Pending:
        """Keep a copy of every file below a folder, and send them."""
        self._here()
        for source, inside in files_below(folder):
            self.stage_file(source, f"{path}/{inside}")
        return self.journal.pending

    def _stage(self, file: StagedFile) -> Pending:
        self.pusher.stage(file)
        pending = self.journal.pending
        self._wake()
        return pending

    def store_files(self, files: Iterable[tuple[Path, str]], *, unlimited: bool) -> FilesReport:
        """Send existing files now, in the caller's thread."""
        self._here()
        for source, path in files:
            self.pusher.stage(
                StagedFile(path=path, source=source, original=original_name(source, path), media_type=media_type(path))
            )
        report = FilesReport()
        if self.mode == "online":
            try:
                self._connect()
                report.problems = self._push_files(unlimited=unlimited)
            except (RunfolioError, OSError) as error:
                self._flusher.trouble(error)
        report.waiting = [
            state.staged["path"]
            for state in self.pusher.ledger.pending_files
            if state.staged["path"] not in report.problems
        ]
        report.stored = [row["path"] for row in self.pusher.ledger.manifest if row["status"] in AVAILABLE]
        return report

    def flush(self, timeout: float | None) -> bool:
        """Wait until everything so far is in the store."""
        self._here()
        if self.mode != "online":
            return False
        return self.journal.pending.wait(timeout)

    def finish(self, status: str, *, reason: str | None, traceback: str | None, exit_code: int | None) -> bool:
        """End this writer; True when everything is in the store."""
        if self._forked():
            return True  # the child never wrote anything: there is nothing to end
        with self._lock:
            if self.finished:
                return self.stored
            for observe in self._observers:
                observe()
            self.finished = True
        self._flusher.stop()
        self.journal.cut()
        ending = Ending(
            status=status,
            reason=redact_text(self.history, "reason", reason),
            traceback=redact_text(self.history, "traceback", traceback),
            exit_code=exit_code,
            left_behind=self._left_behind,
        )
        self.pusher.intend_end(ending)  # before any request: what follows may be interrupted at any point
        try:
            if self.mode == "online":
                self._part()
            else:
                self._let_go(stored=False)
        finally:
            stored = self.stored
            for pending in [*self._waiting, self.journal.pending]:
                pending.resolve(stored=stored)
        self.history.plugins.notify("runfolio_run_ended", run=self.run)
        return stored

    def _part(self) -> None:
        """Have everything sent that is left, and wait for it as long as the store answers."""
        thread = threading.Thread(target=self._say_goodbye, name=f"runfolio-end-{self.run_id[-5:]}", daemon=True)
        thread.start()
        patience, moved = self.history.settings.finish_timeout, self.history._connection.raw.moved  # noqa: SLF001
        began = time.monotonic()
        try:
            while thread.is_alive():
                left = patience - (time.monotonic() - max(began, moved()))
                if left <= 0:
                    self._say_waiting(f"the store has not answered for {patience:g} seconds")
                    return
                thread.join(min(left, _LOOK))
        except KeyboardInterrupt:
            self._say_waiting("interrupted")
            raise

    def _say_goodbye(self) -> None:
        try:
            self._flusher.join()
            self.stored = self._goodbye()
        except Exception:  # noqa: BLE001 (a thread's top: a defect must not pass in silence)
            _log.exception("runfolio: the end of run %s was not sent; `runfolio sync` does it", self.run_id)
        self._let_go(stored=self.stored)

    def _say_waiting(self, reason: object) -> None:
        """Say where the rest waits; once, so not after a warning about an outage that goes on."""
        self._complaint.tell(
            "runfolio: run %s has ended, but not all of it is in the store; "
            "the next run or `runfolio sync` sends the rest from %s: %s",
            self.run_id,
            self.journal.folder,
            reason,
        )

    def _goodbye(self) -> bool:
        """Send everything that is left, or say where it waits."""
        try:
            if self.pusher.ledger.state.main:
                self.recover_writers()
            self._connect()
            self._push_source(last=True)
            self.pusher.push_edits()
            self._push_files()
            before = self.pusher.ledger.rows_stored
            self.pusher.end()
            self._tell_flushed(before, self.spooled.cut())
        except (RunfolioError, OSError) as error:
            self._say_waiting(error)
            return False
        waiting = [state.staged["path"] for state in self.pusher.ledger.pending_files]
        if waiting:
            _log.warning(
                "runfolio: %s of run %s could not be stored; `runfolio sync` tries again from %s",
                ", ".join(waiting[:5]), self.run_id, self.journal.folder,
            )  # fmt: skip
        return not waiting

    def _let_go(self, *, stored: bool) -> None:
        if self.mode == "disabled":
            self.spooled.discard()
            self.journal.folder.parent.rmdir()
        elif stored:
            self.spooled.discard()
        else:
            self.spooled.release()
            self.history._leftovers_sent = False  # noqa: SLF001 (the next run of this process sends it)

    # The thread

    def _wake(self) -> None:
        if not self.finished:
            self._flusher.wake()

    def _round(self, wanted: bool) -> float:
        """Send what is due; all there is when somebody waits. Returns the seconds until the next round."""
        pusher = self.pusher
        try:
            self._connect()
            if pusher.ledger.state.main:
                send_leftovers_once(self.history)
        finally:
            self._tried.set()
        pusher.push_edits()
        self._push_files()
        if wanted or pusher.flush_due:
            self._flush()
        main = pusher.ledger.state.main
        if not main:
            leave_word(self.journal.folder, pusher.sign())
        if pusher.beat_due:
            pusher.beat(words_of(self.run_id, self.journal.folder) if main else None)
        return pusher.pause

    def _send_source(self) -> None:
        self._tried.wait()
        try:
            if self.pusher.ledger.state.started:
                self._push_source()
        except (RunfolioError, OSError) as error:
            _log.info("The source of run %s waits for the end of the run: %s", self.run_id, error)

    def _push_source(self, *, last: bool = False) -> None:
        if self._snapshot is None:
            return
        store_id = self.history._connection.open().store_id  # noqa: SLF001
        homes = self.pusher.push_source(store_id=store_id, last=last)
        if homes is not None:
            remember(self.history, self._snapshot, self.run_id, store_id, homes)

    def store_source(self) -> bool:
        """Send the snapshot now, in the caller's thread. True when all of it is in the store."""
        if self._snapshot is None or self.mode != "online":
            return False
        self._connect()
        self._push_source(last=True)
        outcome = self.pusher.ledger.state.source_outcome
        return outcome is not None and bool(outcome["complete"])

    def _push_files(self, *, unlimited: bool = False) -> dict[str, str]:
        """Store the staged files. Returns what could not be stored, with the reason."""
        ledger = self.pusher.ledger
        waiting = ledger.pending_files
        if not waiting:
            return {}
        problems = {one["path"]: one["reason"] for one in self.pusher.push_files(unlimited=unlimited)}
        backend = self.history._connection.backend  # noqa: SLF001
        for state in waiting:
            if state.stored is None:
                continue
            self.staging.forget(Path(state.staged["source"]))
            artifact = artifact_of(state.stored, self.run_id, self.writer_key, backend)
            if artifact is not None and artifact.available:
                self.history.plugins.notify("runfolio_artifact_stored", run=self.run, artifact=artifact)
        return problems

    def _flush(self) -> None:
        old, _ = self.journal.cut()
        self._waiting.append(old)
        before = self.pusher.ledger.rows_stored
        after = self.pusher.flush()
        for pending in self._waiting:
            pending.resolve(stored=True)
        self._waiting.clear()
        self._tell_flushed(before, after)

    def _connect(self) -> None:
        """Do what has to be done before anything else of this run can be stored. Harmless to repeat."""
        self.history._connection.writable()  # noqa: SLF001 (a recorder is a part of its history)
        self.pusher.begin()

    def _tell_flushed(self, first: int, after: int) -> None:
        hook = self.history.plugins.hook.runfolio_metrics_flushed
        if first >= after or not hook.get_hookimpls():
            return
        from runfolio.rows.parquet import decode  # noqa: PLC0415 (loads pyarrow)

        table = decode(self.spooled.encode(first, after, {}))
        for batch in table.to_batches():
            self.history.plugins.notify("runfolio_metrics_flushed", run=self.run, batch=batch)

    # Around it

    run: Any = None
    """The `ActiveRun` that this is the machinery of."""
    wants_system_metrics = False
    """Whether CPU, memory and the like are to be sampled."""

    def before_finish(self, observe: Callable[[], None]) -> None:
        """Have something called when the run is about to end."""
        self._observers.append(observe)

    def record(self) -> Record:
        """The record as the store has it, or what is known here while it cannot be read."""
        from runfolio.recording.unsent import local_record  # noqa: PLC0415 (loaded on use)

        state = self.pusher.ledger.state
        if self.mode == "online" and (state.start is None or state.started):
            try:
                return self.history._reader.record(self.run_id)  # noqa: SLF001
            except RunfolioError:
                pass
        return local_record(self)

    def recover_writers(self) -> int:
        """Send what dead local writers of this run left."""
        if self.mode != "online":
            return 0
        return len(sync_journals(self.history, run_id=self.run_id, spared=self.journal.folder).completed)

    def child_environment(self) -> dict[str, str]:
        """Environment for a child process that is to write to this run."""
        return {
            "RUNFOLIO_RUN_ID": self.run_id,
            "RUNFOLIO_STORE": self.history._word,  # noqa: SLF001 (a recorder is a part of its history)
            "RUNFOLIO_PROJECT": self.start.get("project") or self.history.project,
            "RUNFOLIO_MODE": self.mode,
            "RUNFOLIO_SPOOL": str(self.journal.folder.parent),
            COMPLAINT: str(self._complaint.file),
        }

    def redact_param(self, name: str, value: str) -> str:
        """Hide the secrets in a param."""
        return redact_param(self.history, name, value)

    def _convert(self, value: object) -> object | None:
        converted: object | None = self.history.plugins.hook.runfolio_convert_value(value=value)
        return converted

    def _here(self) -> None:
        """Make sure that this process has a journal of its own, and that it is open."""
        if self._forked():
            self._fork()
        if self.finished:
            raise RunStateError(f"Run {self.run_id} has ended here: nothing can be logged to it any more")

    def _forked(self) -> bool:
        return self._pid != os.getpid()

    def _fork(self) -> JournalWriter:
        """In a forked child: go on as a writer of its own."""
        self.history._connection.after_fork()  # noqa: SLF001
        uid = self.pusher.ledger.uid
        header = Header.here(
            run_id=self.run_id,
            uid=uid,
            writer=f"fork.{new_token()}",
            project=self.start.get("project") or self.history.project,
            store=self.history.url,
        )
        self._observers = []
        self._left_behind = []
        self._snapshot = None
        self.finished = False
        self._begin(header, lambda pusher: pusher.intend_join(uid), None, self._complaint)
        self.run_in_background()
        if "multiprocessing.util" in sys.modules:
            # A child of multiprocessing leaves by os._exit: this is the one door it passes.
            sys.modules["multiprocessing.util"].Finalize(None, self._finish_child, exitpriority=10)
        return self.journal

    def _finish_child(self) -> None:
        self.finish("Completed", reason=None, traceback=None, exit_code=None)


def spool_of(history: History) -> Path:
    """The folder for journals of this history; a temporary one when nothing is to be recorded."""
    from runfolio.config import spool_folder  # noqa: PLC0415 (loaded on use)

    if history.settings.mode == "disabled":
        import tempfile  # noqa: PLC0415 (only here)

        return Path(tempfile.mkdtemp(prefix="runfolio-disabled-"))
    return spool_folder(history.settings)
