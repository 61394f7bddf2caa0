"""One journal as the store protocol sees it: events to note, rows to cut and encode, summaries; living or dead."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from runfolio._platform import FileLock
from runfolio.errors import FormatError, TransientStorageError
from runfolio.journal import frames
from runfolio.journal.appender import Appender
from runfolio.journal.reader import Damage, JournalReader
from runfolio.journal.spool import LOCK, STAGED, Header, JournalFiles, Spool
from runfolio.rows.parquet import encode
from runfolio.rows.schema import Owner
from runfolio.rows.summary import Summaries
from runfolio.values import dump_json

if TYPE_CHECKING:
    from runfolio.journal.writer import JournalWriter

DISCARDED: Final = "discarded"
RELEASED: Final = "released"


class SpooledRun:
    """The rows and events of one writer of one run. Safe in threads.

    Made by `live`, beside the process's own writer, or by `recover`, of a journal whose process is dead.

    Attributes:
        folder: the journal's folder; `staged` is in it.
        header: what the journal is about.
    """

    def __init__(self, folder: Path, header: Header, lock: FileLock, writer: JournalWriter | None) -> None:
        self.folder: Final = folder
        self.header: Final = header
        self._file_lock = lock
        self._writer = writer
        self._notes: Appender | None = None
        self._lock = threading.RLock()
        self._reader = JournalReader(folder, verify=None if writer is None else lambda: not writer.trusted)
        self._summaries = Summaries()
        self._summarized = 0
        self._gone = False

    @classmethod
    def live(cls, writer: JournalWriter, lock: FileLock) -> Self:
        """The journal of this process's own writer, with the lock that `Spool.create` returned."""
        return cls(writer.folder, writer.header, lock, writer)

    @classmethod
    def recover(cls, folder: Path, *, force: bool = False) -> Self | None:
        """The journal of a process that is dead or has let go of it; None when it is not ours to touch.

        Args:
            folder: the journal's folder.
            force: take it also when it comes from another machine or user, because the caller knows that it is dead.

        Raises:
            FormatError: a later version wrote it.
            OSError: it cannot be read.
        """
        reader = JournalReader(folder)
        header = reader.header()
        if header is None or not (force or header.is_dead() or _released(reader)):
            return None
        lock = FileLock(folder / LOCK)
        if not lock.acquire():
            return None
        try:
            # Read again under the lock: another process may just have finished it.
            if not folder.is_dir() or any(kind == DISCARDED for kind, _ in JournalReader(folder).events()):
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()
                return None
        except BaseException:
            lock.release()
            raise
        return cls(folder, header, lock, None)

    @property
    def run_id(self) -> str:
        """The run."""
        return self.header.run_id

    @property
    def project(self) -> str:
        """The run's project."""
        return self.header.project

    @property
    def writer(self) -> str:
        """The writer key."""
        return self.header.writer

    @property
    def staged(self) -> Path:
        """The folder for files on their way to the store; made on first use."""
        path = self.folder / STAGED
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    @property
    def damage(self) -> Damage:
        """What could not be read, up to the last `cut`."""
        return self._reader.damage

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """All events in the order in which they were noted. The first is the header, of kind "journal"."""
        with self._lock:
            return self._reader.events()

    def note(self, kind: str, body: Mapping[str, object]) -> None:
        """Append an event; it is in the file when this returns.

        Raises:
            TransientStorageError: it could not be written: nothing may be requested that rests on it.
        """
        if self._writer is not None and not self._writer.closed:
            self._writer.event(kind, body)
            return
        with self._lock:
            try:
                if self._notes is None:  # a file of our own: the dead process's may end in a torn record
                    self._notes = Appender(JournalFiles(self.folder).new_events())
                data = dump_json({"kind": kind, "body": body})
                self._notes.append_now(frames.extended(frames.EVENT, 0, data, self._notes.salt))
            except OSError as error:
                raise TransientStorageError(
                    f"The journal {self.folder} cannot be written ({error.strerror}): free some space", key=kind
                ) from error

    def cut(self) -> int:
        """Read what is new and return how many rows the journal has now: the end of the next segment.

        The position is told to the journal, so it means the same rows after a kill and whatever damage.

        Raises:
            OSError: the journal cannot be read.
        """
        with self._lock:
            before = self._reader.count
            count = self._reader.advance()
            if count != before:
                self._mark(*self._reader.end)
            return count

    def encode(self, first: int, after: int, metadata: Mapping[str, str]) -> bytes:
        """Return the rows ``[first, after)`` as a Parquet file. Both were returned by `cut`, or are 0.

        Raises:
            FormatError: the journal has no such rows.
            OSError: the journal cannot be read.
        """
        with self._lock:
            rows = self._reader.rows(first, after)
            if first == self._summarized:  # they are at hand, and need not be read again for the summaries
                self._summaries.update(rows)
                self._summarized = after
        return encode(rows, Owner(self.project, self.run_id, self.writer), metadata)

    def summaries(self) -> dict[str, dict[str, Any]]:
        """The summary of each metric, over all rows up to the last `cut`."""
        with self._lock:
            if self._summarized < self._reader.count:
                for rows in self._reader.stream(self._summarized, self._reader.count):
                    self._summaries.update(rows)
                self._summarized = self._reader.count
            return self._summaries.to_dict()

    def release(self) -> None:
        """Let go of the journal and keep it: whoever comes next may recover it, also while this process lives."""
        with self._lock:
            if self._gone or not self._file_lock.held:
                return
            self.note(RELEASED, {})
            self._close()

    def discard(self) -> None:
        """Remove the journal: all of it is in the store. After a kill on the way, a recovery removes the rest."""
        with self._lock:
            if self._gone:
                return
            self._gone = True
            self.note(DISCARDED, {})
            self._close(keep_lock=True)
            shutil.rmtree(self.folder / STAGED, ignore_errors=True)
            events = JournalFiles(self.folder).events()
            # Newest events last: as long as anything is left, the folder says that it is done with.
            for path in (*self.folder.glob("rows-*.log"), *events):
                path.unlink(missing_ok=True)
            self._file_lock.release()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _close(self, *, keep_lock: bool = False) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._notes is not None:
            self._notes.close()
            self._notes = None
        if not keep_lock:
            self._file_lock.release()

    def _mark(self, rows: int, offset: int) -> None:
        if self._writer is not None and not self._writer.closed:
            self._writer.mark(rows, offset)
            return
        if self._notes is None:
            self._notes = Appender(JournalFiles(self.folder).new_events())
        data = frames.MARK_BODY.pack(rows, offset)
        self._notes.append([(frames.extended(frames.MARK, 0, data, self._notes.salt),)])

    def __repr__(self) -> str:
        return f"<SpooledRun {self.run_id} {self.writer} {'live' if self._writer is not None else 'recovered'}>"


def recoverable(spool: Spool, *, force: bool = False) -> Iterator[SpooledRun]:
    """Take the journals of dead processes of this user on this machine, one after the other, each with its lock.

    Journals that cannot be read are left alone; `Spool.journals` lists them all.

    Args:
        spool: where to look.
        force: also those of other machines and users. The lock of a living local process is respected all the same.
    """
    for folder in spool.journals():
        try:
            found = SpooledRun.recover(folder, force=force)
        except (FormatError, OSError):  # of a later version, or just removed by whoever recovered it
            continue
        if found is not None:
            yield found


def abandoned(folder: Path) -> Header | None:
    """Return what a journal is about whose process is dead or has let go of it; None for any other. Takes no lock.

    Raises:
        FormatError: a later version wrote it.
        OSError: it cannot be read.
    """
    reader = JournalReader(folder)
    header = reader.header()
    return header if header is not None and (header.is_dead() or _released(reader)) else None


def _released(reader: JournalReader) -> bool:
    return any(kind == RELEASED for kind, _ in reader.events())
