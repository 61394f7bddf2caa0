"""The hot path: `JournalWriter.log` checks a value, appends one record with a single `os.write`, and returns.

The file is opened for appending and written without a lock: the kernel puts whole records one after the other.
Whatever is not the usual case ends up in `_log_slow`: the descriptor that `log` uses is -1 while the disk is full,
after a fork and after `close`, so these cost the usual case nothing.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Final, cast
from zlib import crc32

from runfolio.errors import InvalidValueError, RunStateError, TransientStorageError
from runfolio.journal import frames
from runfolio.journal.appender import Appender, Record
from runfolio.journal.encoding import Convert, Plain, checked_step, encode, plain
from runfolio.journal.frames import FIXED_SIZE, FIXED_WORDS, FLOAT, pack_crc, pack_float
from runfolio.journal.pending import Pending
from runfolio.journal.spool import Header, JournalFiles, new_salt
from runfolio.names import validate_name
from runfolio.values import dump_json

if TYPE_CHECKING:
    from runfolio.journal.columns import ArrayLike

_log = logging.getLogger(__name__)
_write = os.write
MISSING: Final = object()


class JournalWriter:
    """Appends what one process logs to one run. All methods are safe in threads; after a fork, see `on_fork`.

    Args:
        folder: the journal's folder in the spool, made by `runfolio.journal.spool.Spool.create`.
        header: what the journal is about; written as the first event.
        convert: asked for values that cannot be logged as they are; returns one that can, or None.
        on_fork: called in a forked child by its first `log`; returns the child's own writer.
        wake: called when somebody waits for a `Pending`.
        steps: last step by name, where a series goes on that an earlier writer began.
        fsync: make every record survive a loss of power, at the price of one fsync a record.

    Raises:
        OSError: the folder cannot be written.
    """

    __slots__ = (
        "__weakref__", "_closed", "_convert", "_events", "_fd", "_fork", "_ids", "_lock", "_on_fork", "_pid", "_rows",
        "_salt", "_steps", "_successor", "_wake", "folder", "header", "pending",
    )  # fmt: skip

    def __init__(
        self,
        folder: Path,
        header: Header,
        *,
        convert: Convert | None = None,
        on_fork: Callable[[], JournalWriter] | None = None,
        wake: Callable[[], None] | None = None,
        steps: Mapping[str, int] | None = None,
        fsync: bool = False,
    ) -> None:
        self.folder: Final = folder
        self.header: Final = header
        self._convert = convert
        self._on_fork = on_fork
        self._wake = wake
        self._lock = threading.RLock()
        self._ids: dict[str, int] = {}
        self._steps: dict[str, int] = dict(steps or {})
        self._successor: JournalWriter | None = None
        self._closed = False
        self._pid = os.getpid()
        files = JournalFiles(folder)
        self._events = Appender(files.new_events(), fsync=fsync)
        self._salt: int = new_salt()
        self._rows = Appender(files.rows(self._salt), fsync=fsync)
        self.event("journal", header.to_dict())
        self._fd = self._rows.open_fd
        self.pending = Pending(wake)
        _writers.add(self)

    # The way of nearly every call. Names are bound in the module and the frame is packed in line: each attribute and
    # each call costs what the budget (benchmarks/log_hot_path.py) can feel.
    def log(self, name: str | Mapping[str, object], value: object = MISSING, step: object = None) -> Pending:
        """Append a value, or several at one step, and return. What this returned for outlives the process.

        Args:
            name: the metric's name, or a mapping of names to values.
            value: a float, int, bool, str, or a list or 1-D array of them; or what the `convert` hook takes.
            step: an int; without it the one after the last step of this name.

        Returns:
            The promise that it reaches the store.

        Raises:
            InvalidNameError: the name is not allowed.
            InvalidValueError: the value or the step is of a type that cannot be logged.
            RunStateError: the run was closed, or this is a forked child and the run cannot follow it.
        """
        if value.__class__ is float and step.__class__ is int:
            try:
                body = pack_float(FIXED_WORDS, FLOAT, self._ids[name], step, time_ns(), value)  # type: ignore[index]  # a mapping raises
                if _write(self._fd, pack_crc(crc32(body, self._salt)) + body) == FIXED_SIZE:
                    self._steps[name] = step  # type: ignore[index]
                    return self.pending
            except (KeyError, TypeError, OSError, struct.error):
                pass  # a new name, a mapping, a full disk, a fork, a closed run, a wild step: all taken apart below
        return self._log_slow(name, value, step)

    def _log_slow(self, name: str | Mapping[str, object], value: object, step: object) -> Pending:
        if self._fd < 0 and (other := self._other_writer()) is not None:
            return other.log(name, value, step)
        if not isinstance(name, str):
            return self._log_several(name, value, step)
        if value is MISSING:
            raise InvalidValueError(f"log({name!r}) needs a value: log(name, value), or log({{name: value, ...}})")
        data = plain(value, self._convert)
        if step is None or name not in self._ids:
            at = None if step is None else checked_step(step)
            with self._lock:  # the next step, and the frame that carries it, are one thing
                self._append(self._numbered([(name, data)], at, time_ns()))
            return self.pending
        at = checked_step(step)
        self._append([encode(data, self._ids[name], at, time_ns(), self._salt)])
        self._steps[name] = at
        return self.pending

    def _log_several(self, values: object, value: object, step: object) -> Pending:
        if not isinstance(values, Mapping):
            validate_name(cast("str", values))  # raises: it is no str
        if value is not MISSING:
            raise InvalidValueError("log({name: value, ...}) takes the step by keyword: log({...}, step=7)")
        found = cast("Mapping[str, object]", values)
        at = None if step is None else checked_step(step)
        items = [(validate_name(name), plain(one, self._convert)) for name, one in found.items()]
        if items:
            with self._lock:
                self._append(self._numbered(items, at, time_ns()))
        return self.pending

    def _numbered(self, items: Iterable[tuple[str, Plain]], step: int | None, time: int) -> list[bytes]:
        """The frames of values, each at its step. The caller holds the lock and appends them."""
        parts: list[bytes] = []
        taken: dict[str, int] = {}
        for name, data in items:
            at = self._steps.get(name, -1) + 1 if step is None else step
            # Encoded last of all checks: a value that is refused leaves neither a step nor a half of its mapping.
            parts.append(encode(data, self._intern(name), checked_step(at), time, self._salt))
            taken[name] = at
        self._steps.update(taken)
        return parts

    def _intern(self, name: str) -> int:
        """The id of a name; a new one is told to the file first. The caller holds the lock."""
        found = self._ids.get(name)
        if found is None:
            validate_name(name)
            name = str.__str__(name)
            found = len(self._ids)
            self._append([frames.extended(frames.NAME, found, name.encode("utf-8"), self._salt)])
            self._ids[name] = found
        return found

    def log_columns(self, columns: Mapping[str, ArrayLike] | ArrayLike, step: ArrayLike | None = None) -> Pending:
        """Append whole columns at once: each element is one value of its column's series. No loop over values.

        Args:
            columns: by name, 1-D arrays (NumPy, Arrow, anything with the buffer or Arrow protocol) or lists, all of
                one length; or an Arrow table. A null is no value: its row is left out.
            step: as many ints; without it each series goes on from its last step.

        Returns:
            The promise that all of it reaches the store.

        Raises:
            InvalidNameError: a name is not allowed.
            InvalidValueError: a column cannot be logged, or lengths differ.
            RunStateError: the run was closed, or this is a forked child and the run cannot follow it.
        """
        from runfolio.journal.columns import Bulk  # noqa: PLC0415  (loads pyarrow)

        if self._fd < 0 and (other := self._other_writer()) is not None:
            return other.log_columns(columns, step)
        bulk = Bulk(columns, step)
        for name in bulk.names:
            validate_name(name)
        if bulk.length and bulk.names:
            with self._lock:
                names = [self._intern(name) for name in bulk.names]
                starts = [self._steps.get(name, -1) + 1 for name in bulk.names]
                for frame in bulk.frames(names, starts, time_ns(), self._salt):
                    self._append_records([frame])
                self._steps.update(bulk.last_steps(starts))
        return self.pending

    def event(self, kind: str, body: Mapping[str, object]) -> None:
        """Append an event. It is in the file when this returns, before anything the caller does next.

        Raises:
            TransientStorageError: it could not be written. Nothing may be requested from the store that the journal
            does not
                know.
            RunStateError: the journal was closed.
        """
        data = dump_json({"kind": kind, "body": body})
        with self._lock:
            if self._closed or self._pid != os.getpid():
                raise RunStateError(f"The journal of {self.header.run_id} is closed: nothing can be noted in it")
            try:
                self._events.append_now(frames.extended(frames.EVENT, 0, data, self._events.salt))
            except OSError as error:
                raise TransientStorageError(
                    f"The journal {self._events.path} cannot be written ({error.strerror}): free some space", key=kind
                ) from error

    def mark(self, rows: int, offset: int) -> None:
        """Note that `rows` rows lie before byte `offset` of their file, so that positions survive damage before it."""
        with self._lock:
            if not self._closed and self._pid == os.getpid():
                data = frames.MARK_BODY.pack(rows, offset)
                self._events.append([(frames.extended(frames.MARK, 0, data, self._events.salt),)])

    def cut(self) -> tuple[Pending, int]:
        """Begin a new generation of `Pending` and measure the file.

        Returns:
            The old `Pending`, for the owner to resolve when all rows before the measured end are in the store, and
            that end in bytes. While values are held in memory because the disk is full, the `Pending` is one that
            nobody waits for.
        """
        with self._lock:
            if not self._write_held():
                return Pending(), self._rows.size()
            # First the new object, then the measure: a value whose log() returned the old one lies before the end.
            old, self.pending = self.pending, Pending(self._wake)
            return old, self._rows.size()

    @property
    def held(self) -> int:
        """Records that are only in memory, because the disk is full."""
        return self._rows.held

    @property
    def trusted(self) -> bool:
        """Whether every write so far went through, so that reading back in this process need not verify."""
        return not self._rows.troubled

    @property
    def closed(self) -> bool:
        """Whether `close` was called, or this is a copy in a forked child."""
        return self._closed or self._pid != os.getpid()

    def last_step(self, name: str) -> int | None:
        """The last step of a series in this writer, or None."""
        return self._steps.get(name)

    def sync(self) -> None:
        """Make everything so far survive a loss of power.

        Raises:
            OSError: the disk refuses.
        """
        with self._lock:
            self._write_held()
            self._rows.sync()
            self._events.sync()

    def close(self) -> None:
        """End writing; `log` raises from now on. Calling it again is harmless."""
        with self._lock:
            if self._closed:
                return
            self._fd = -1
            if self._pid == os.getpid() and not self._write_held():
                _log.warning("%s records of %s were never written: the disk stayed full", self.held, self.header.run_id)
            self._closed = True
            self._rows.close()
            self._events.close()
        _writers.discard(self)

    def _append(self, frames_: list[bytes]) -> None:
        """Write records now, all in one go, or hold them until the disk takes them again."""
        if self._fd >= 0:
            data = frames_[0] if len(frames_) == 1 else b"".join(frames_)
            try:
                written = _write(self._fd, data)
            except OSError:
                written = 0
            if written == len(data):
                return
        else:
            written = 0
        self._append_records([(one,) for one in frames_], written)

    def _append_records(self, records: Sequence[Record], written: int = 0) -> None:
        with self._lock:
            if self._closed:
                raise RunStateError(f"The run {self.header.run_id} is closed: log before it ends, or attach to it")
            self._fd = -1  # from here on every thread comes this way, so that the order is kept
            if written:
                self._rows.hold_rest(records, written)
            else:
                self._rows.append(records)
            self._resume()

    def _write_held(self) -> bool:
        """Try to write what is held in memory; True when nothing is left. The caller holds the lock."""
        done = self._rows.retry(now=True)
        self._resume()
        return done

    def _resume(self) -> None:
        if not self._rows.held and not self._closed:
            self._fd = self._rows.open_fd

    def _other_writer(self) -> JournalWriter | None:
        """Who writes instead of this one, when it is closed or belongs to the parent process."""
        if self._pid != os.getpid():
            with self._lock:
                if self._successor is None:
                    if self._on_fork is None:
                        raise RunStateError(
                            f"The run {self.header.run_id} belongs to the parent process: attach to it in the child"
                        )
                    self._successor = self._on_fork()
            return self._successor
        if self._closed:
            raise RunStateError(f"The run {self.header.run_id} is closed: log before it ends, or attach to it")
        return None

    def __repr__(self) -> str:
        return f"<JournalWriter {self.header.writer} of {self.header.run_id}{' closed' if self.closed else ''}>"


_writers: weakref.WeakSet[JournalWriter] = weakref.WeakSet()


def _orphan_writers() -> None:
    """In a forked child: the parent's journals are not ours. Their next `log` asks `on_fork`."""
    for writer in list(_writers):
        writer._fd = -1  # noqa: SLF001  (this module's own class)
        writer._lock = threading.RLock()  # noqa: SLF001  (another thread may have held it at the fork)
        writer._rows.abandon()  # noqa: SLF001
        writer._events.abandon()  # noqa: SLF001
    _writers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_orphan_writers)
