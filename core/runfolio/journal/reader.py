"""Reading a journal back, living or dead: events, and rows by position, in memory that does not grow with the file."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from runfolio.errors import FormatError
from runfolio.journal import frames
from runfolio.journal.blocks import Blocks, learn, rows_in
from runfolio.journal.frames import Extended
from runfolio.journal.scan import Gap, Rest, Run, scan
from runfolio.journal.spool import Header, JournalFiles, salt_of
from runfolio.rows.raw import Rows
from runfolio.values import load_json

_WINDOW: Final = 8 * 1024 * 1024
_FIRST_WINDOW: Final = 64 * 1024
_MARK_EVERY: Final = 4 * _WINDOW
"""Own marks in a journal without: a later read of some rows begins at most this far before them."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What could not be read.

    Attributes:
        skipped: bytes between sound records that are no record.
        torn: bytes at the end of the files that are no record (the last write before a kill).
        rows: rows that were there when the journal was alive and are not now; their positions stay empty.
    """

    skipped: int = 0
    torn: int = 0
    rows: int = 0


class JournalReader:
    """Reads one journal.

    Args:
        folder: the journal's folder in the spool.
        verify: says whether crcs are checked now; by default always. A process may trust what it wrote itself.

    Raises:
        OSError: the folder cannot be read.
    """

    def __init__(self, folder: Path, verify: Callable[[], bool] | None = None) -> None:
        self.folder: Final = folder
        self.names: Final[list[str]] = []
        self._verify = verify or (lambda: True)
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._event_files: dict[Path, int] = {}
        self._event_damage: dict[Path, tuple[int, int]] = {}
        self._marks: list[tuple[int, int]] = [(0, 0)]  # rows before, byte offset; both ascending
        self._told: list[tuple[int, int]] = []  # marks that the writer left, not yet passed
        self._skipped = self._torn = self._lost = 0

    @property
    def damage(self) -> Damage:
        """What could not be read so far."""
        skipped = self._skipped + sum(one for one, _ in self._event_damage.values())
        return Damage(skipped, self._torn + sum(one for _, one in self._event_damage.values()), self._lost)

    @property
    def count(self) -> int:
        """Rows up to the last `advance`."""
        return self._marks[-1][0]

    @property
    def end(self) -> tuple[int, int]:
        """`count`, and the byte offset after the last of these rows."""
        return self._marks[-1]

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """All events in the order in which they were noted, as kind and body; also those noted since the last call."""
        for path in JournalFiles(self.folder).events():
            self._read_events(path)
        return list(self._events)

    def header(self) -> Header | None:
        """What the journal is about, or None when that was damaged.

        Raises:
            FormatError: a later version wrote it.
        """
        for kind, body in self.events():
            if kind == "journal":
                return Header.from_dict(body)
        return None

    def advance(self) -> int:
        """Count the rows that are new since the last call, and return how many the journal has now.

        A frame that is still being written is left for the next call.
        """
        self.events()  # marks are among them
        try:
            path = JournalFiles(self.folder).rows()
        except FileNotFoundError:
            return 0
        size = path.stat().st_size
        while self._told:
            rows, offset = self._told.pop(0)
            # After a loss of power the file may be shorter than what was told; the positions stay as they were told.
            offset = min(offset, size)
            if (rows, offset) > self._marks[-1] and offset >= self._marks[-1][1]:
                self._count_to(path, offset, told=rows)
        if size > self._marks[-1][1]:
            self._count_to(path, size, told=None)
        self._torn = size - self._marks[-1][1]
        return self.count

    def stream(self, first: int, after: int) -> Iterator[Rows]:
        """The rows at positions ``[first, after)``, which `advance` has passed, some at a time, without damaged ones.

        Raises:
            FormatError: there are no such positions.
        """
        if not 0 <= first <= after <= self.count:
            raise FormatError(f"The journal {self.folder.name} has {self.count} rows, not {first} to {after}")
        if first == after:
            return
        path = JournalFiles(self.folder).rows()
        blocks = Blocks(self.names)
        place = bisect_right(self._marks, (first, 2**63)) - 1
        while place + 1 < len(self._marks) and self._marks[place][0] < after:
            (position, start), (_, end) = self._marks[place : place + 2]
            for batches in self._batches(path, start, end, blocks):
                found = Rows(names=self.names)
                for batch in batches:
                    begin, stop = max(first - position, 0), min(after - position, batch.num_rows)
                    if begin < stop:
                        found.batches.append(batch.slice(begin, stop - begin))
                    position += batch.num_rows
                self._cover_names(found)
                yield found
            place += 1

    def rows(self, first: int, after: int) -> Rows:
        """The rows at positions ``[first, after)`` at once.

        Raises:
            FormatError: there are no such positions.
        """
        return Rows([one for rows in self.stream(first, after) for one in rows.batches], self.names)

    def _count_to(self, path: Path, end: int, told: int | None) -> None:
        """Count from the last mark to byte `end`; `told` is how many rows the writer counted before it."""
        count, start = self._marks[-1]
        for pieces, reached, more in self._windows(path, start, end, look_only=True):
            for piece in pieces:
                if isinstance(piece, Run):
                    count += piece.count
                elif isinstance(piece, Extended):
                    count += rows_in(piece)
                    if piece.type == frames.NAME:
                        learn(self.names, piece)
                elif isinstance(piece, Gap):
                    self._skipped += piece.size
            start = reached
            if more and start - self._marks[-1][1] >= _MARK_EVERY:
                self._marks.append((count, start))
        if told is not None:
            self._lost += max(told - count, 0)
            self._marks.append((told, end))
        elif start > self._marks[-1][1]:
            self._marks.append((count, start))

    def _batches(self, path: Path, start: int, end: int, blocks: Blocks) -> Iterator[list[pa.RecordBatch]]:
        """The rows between two offsets, window by window."""
        for pieces, _, _ in self._windows(path, start, end, look_only=False):
            for piece in pieces:
                if isinstance(piece, Run):
                    blocks.add_run(piece)
                elif isinstance(piece, Extended):
                    blocks.add(piece)
            yield blocks.take()

    def _windows(
        self, path: Path, start: int, end: int, *, look_only: bool
    ) -> Iterator[tuple[list[Run | Extended | Gap], int, bool]]:
        """Yield the pieces between two offsets, some at a time, with the offset after them and whether more follow.

        With `look_only`, of a long frame only the head of the payload is read, where crcs need not be checked.
        """
        salt, verify = salt_of(path), self._verify()
        wanted = _FIRST_WINDOW if look_only else _WINDOW
        with path.open("rb", buffering=0) as file:
            while start < end:
                asked = min(wanted, end - start)
                data = _read(file.fileno(), start, asked)
                final = start + len(data) >= end or len(data) < asked
                pieces: list[Run | Extended | Gap] = []
                reached = start
                for piece in scan(memoryview(data), salt, verify=verify, final=final):
                    if not isinstance(piece, Rest):
                        pieces.append(piece)
                        continue
                    reached, wanted = start + piece.offset, max(piece.needed, min(4 * wanted, _WINDOW))
                    head = None if verify or not look_only or reached + piece.needed > end else piece.head
                    if head is not None:
                        pieces.append(head)
                        reached, wanted = reached + piece.needed, _FIRST_WINDOW
                        final = reached >= end
                yield pieces, reached, not final
                if final:
                    return
                start = reached

    def _cover_names(self, rows: Rows) -> None:
        """Give ids whose NAME frame was damaged a name of their own."""
        highest = max((pc.max(one.column("name")).as_py() for one in rows.batches if one.num_rows), default=-1)
        while len(self.names) <= highest:
            self.names.append(f"unnamed-{len(self.names)}")

    def _read_events(self, path: Path) -> None:
        start = self._event_files.get(path, 0)
        if path.stat().st_size == start:
            return
        with path.open("rb", buffering=0) as file:
            data = _read(file.fileno(), start, path.stat().st_size - start)
        skipped, _ = self._event_damage.get(path, (0, 0))
        for piece in scan(memoryview(data), salt_of(path), verify=True, final=True):
            if isinstance(piece, Gap):
                skipped += piece.size
            elif isinstance(piece, Rest):
                self._event_files[path] = start + piece.offset
                self._event_damage[path] = (skipped, len(data) - piece.offset)
            elif isinstance(piece, Extended) and piece.type == frames.EVENT:
                event = load_json(bytes(piece.payload))
                self._events.append((event["kind"], event["body"]))
            elif isinstance(piece, Extended) and piece.type == frames.MARK:
                self._told.append(frames.MARK_BODY.unpack(piece.payload))

    def __repr__(self) -> str:
        return f"<JournalReader {self.folder.name}: {self.count} rows>"


def _read(fd: int, start: int, count: int) -> bytes:
    os.lseek(fd, start, os.SEEK_SET)
    parts: list[bytes] = []
    while count:
        part = os.read(fd, count)
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
