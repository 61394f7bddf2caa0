"""One append-only file. When the disk refuses, records wait in memory, in order, until it takes them."""

from __future__ import annotations

import errno
import logging
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Final, TypeAlias

from runfolio._platform import free_bytes, write_parts
from runfolio.journal.spool import salt_of

Part: TypeAlias = bytes | memoryview
Record: TypeAlias = tuple[Part, ...]
"""One frame, in pieces that go out in one call."""

_log = logging.getLogger(__name__)
_RETRY_SECONDS: Final = 0.2
_LARGE: Final = 4096
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class Appender:
    """Appends records to a file, each with one call to the kernel. The owner's lock is held by whoever calls.

    Args:
        path: the file; its name carries the salt.
        fsync: make each record survive a loss of power before `append` returns.

    Raises:
        OSError: the file cannot be opened.
    """

    __slots__ = ("_fd", "_fsync", "_held", "_open", "_retry_at", "path", "salt", "troubled")

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        self.path: Final = path
        self.salt: Final = salt_of(path)
        self.troubled = False
        self._fsync = fsync
        self._held: deque[Record] = deque()
        self._retry_at = 0.0
        self._open = True
        self._fd = os.open(path, _FLAGS, 0o600)
        if fsync:
            _sync_folder(path.parent)

    @property
    def open_fd(self) -> int:
        """The descriptor for whole records; -1 when every record must come through `append`."""
        return self._fd if self._open and not self._fsync else -1

    @property
    def held(self) -> int:
        """Records that wait in memory."""
        return len(self._held)

    def size(self) -> int:
        """Length of the file in bytes."""
        return os.fstat(self._fd).st_size if self._open else self.path.stat().st_size

    def append(self, records: Sequence[Record]) -> None:
        """Append records, or hold them until the disk takes them. Never raises for a disk that refuses."""
        waiting = bool(self._held)
        self._held.extend(records)
        if not self.retry(now=not waiting):
            # The caller may use the memory of its views again.
            self._held = deque(tuple(bytes(part) for part in record) for record in self._held)

    def hold_rest(self, records: Sequence[Record], written: int) -> None:
        """Hold what a short write left of records: the first `written` bytes of them are in the file."""
        for record in records:
            length = sum(map(len, record))
            if length > written:
                self._held.append(record)  # whole, also when a part of it went out: half a frame never verifies
            written -= min(length, written)
        self._note_trouble(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def append_now(self, record: bytes) -> None:
        """Append a record or raise.

        Raises:
            OSError: it is not in the file.
        """
        self.retry(now=True)
        if not self._put((record,)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        if self._fsync:
            os.fsync(self._fd)

    def retry(self, *, now: bool) -> bool:
        """Write what is held; True when nothing is left. Without `now`, only some time after the last try."""
        if self._held and (now or monotonic() >= self._retry_at):
            try:
                while self._held and self._fits(self._held[0]) and self._put(self._held[0]):
                    self._held.popleft()
                if self._fsync and not self._held:
                    os.fsync(self._fd)
            except OSError as error:
                self._note_trouble(error)
            if self._held:
                self._retry_at = monotonic() + _RETRY_SECONDS
        return not self._held

    def sync(self) -> None:
        """Make what is in the file survive a loss of power.

        Raises:
            OSError: the disk refuses.
        """
        os.fsync(self._fd)

    def close(self) -> None:
        """Let go of the file. Its descriptor stays taken until this object goes.

        A thread may be about to write to the number it has read: closing would let another file take that number. In
        its place stands a file that refuses to be written.
        """
        if self._open:
            self._open = False
            refusing = os.open(os.devnull, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            os.dup2(refusing, self._fd, inheritable=False)
            os.close(refusing)

    def abandon(self) -> None:
        """In a forked child: let go of the parent's file and of what the parent holds."""
        self._held.clear()
        self.close()

    def __del__(self) -> None:
        fd, self._fd = getattr(self, "_fd", -1), -1
        if fd >= 0:
            os.close(fd)

    def _put(self, record: Record) -> bool:
        """Write one record; False when only a part of it went out."""
        length = sum(map(len, record))
        try:
            written = write_parts(self._fd, record)
        except OSError as error:
            if error.errno != errno.EBADF or not self._open:
                raise
            # The host closed descriptors that it does not know, as daemons do.
            self._fd = os.open(self.path, _FLAGS, 0o600)
            written = write_parts(self._fd, record)
        if written != length:
            self._note_trouble(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        return written == length

    def _fits(self, record: Record) -> bool:
        """Whether a large record has a chance: each failed try leaves a part of it in the file."""
        length = sum(map(len, record))
        return length <= _LARGE or not self.troubled or free_bytes(self.path) > length + _LARGE

    def _note_trouble(self, error: OSError) -> None:
        if not self.troubled:
            self.troubled = True
            _log.warning(
                "The journal %s cannot be written (%s). What is logged stays in memory until it can: free some space.",
                self.path,
                error.strerror or error,
            )


def _sync_folder(folder: Path) -> None:
    """Make the folder's list of files survive a loss of power, where the system can."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
