"""The output of a script on its way: to the terminal while it runs, and to the log, byte for byte.

Where our own output is a terminal, the script gets a pseudo-terminal, so that progress bars and colours work. Where
stdout and stderr lead to the same place they share one channel, and the log has them in exact order. Otherwise each
keeps its own way, and the log has them in the order in which they arrived.
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from runfolio_plugins.launch import processes

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK: Final = 64 * 1024


class OutputLog:
    """The log file of a script's output. Written through at once, so that it is whole whatever happens to this process.

    Args:
        path: the file; what is in it stays.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.size = 0
        self.failed: OSError | None = None
        """Why nothing more is written, for example a full disk."""
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Append. A failure is kept, and the script goes on."""
        with self._lock:
            if self.failed is None:
                try:
                    self._file.write(data)
                    self.size += len(data)
                except OSError as error:
                    self.failed = error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(slots=True)
class Source:
    """One channel from the script.

    Attributes:
        reading: our end of it.
        to: where it goes to besides the log; None when there is nobody to see it, or nobody is left.
        terminal: whether it is a pseudo-terminal.
        whole_lines: whether another channel goes into the same log: then lines of the two are kept apart.
    """

    reading: int
    to: int | None
    terminal: bool
    whole_lines: bool = False
    begun: bytes = b""
    """The beginning of a line that is not in the log yet."""

    def pump(self, log: OutputLog) -> bool:
        """Pass on what is there. False when the channel has come to its end. Blocks when nothing is there."""
        try:
            data = os.read(self.reading, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""  # how a pseudo-terminal says that the other end was closed
        if not data:
            self.finish(log)
            return False
        log.write(self._lines(data) if self.whole_lines else data)
        if self.to is not None and not _write_all(self.to, data):
            self.to = None  # whoever watched has gone; the log goes on
        return True

    def _lines(self, data: bytes) -> bytes:
        """Return what may go into the log now, and keep a line that has only begun."""
        data = self.begun + data
        # A carriage return ends a line too: progress bars have no other end.
        at = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if len(data) - at > _CHUNK:
            at = len(data)
        self.begun = data[at:]
        return data[:at]

    def finish(self, log: OutputLog) -> None:
        """Put the beginning of a line that will have no end into the log."""
        if self.begun:
            log.write(self.begun)
            self.begun = b""

    def close(self) -> None:
        """Close our end."""
        with contextlib.suppress(OSError):
            os.close(self.reading)


def _write_all(fd: int, data: bytes) -> bool:
    import select  # noqa: PLC0415  (needed for a terminal that somebody made non-blocking)

    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError:
            return False
    return True


@dataclass(slots=True)
class Channels:
    """The channels of a script.

    Attributes:
        sources: what we read.
        stdout: the end for the script's stdout.
        stderr: the end for its stderr.
    """

    sources: list[Source]
    stdout: int
    stderr: int

    def close_ends(self) -> None:
        """Close the script's ends on our side, once it has them."""
        for fd in {self.stdout, self.stderr}:
            os.close(fd)


def open_channels(stdout: int | None, stderr: int | None) -> Channels:
    """Make the channels for a script.

    Args:
        stdout: our own stdout; None when nobody is to see it.
        stderr: likewise.
    """
    if stdout is None and stderr is None:
        source, end = _open(None)
        return Channels([source], end, end)
    out, out_end = _open(stdout)
    if _same_place(stdout, stderr):
        return Channels([out], out_end, out_end)
    err, err_end = _open(stderr)
    out.whole_lines = err.whole_lines = True
    return Channels([out, err], out_end, err_end)


def _open(to: int | None) -> tuple[Source, int]:
    if to is not None and os.isatty(to):
        with contextlib.suppress(OSError):
            reading, writing = processes.open_terminal(to)
            return Source(reading, to, terminal=True), writing
    reading, writing = os.pipe()
    return Source(reading, to, terminal=False), writing


def _same_place(one: int | None, other: int | None) -> bool:
    if one is None or other is None:
        return one is other
    try:
        first, second = os.fstat(one), os.fstat(other)
    except OSError:
        return False
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
