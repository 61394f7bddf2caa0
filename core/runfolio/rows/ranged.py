"""One curve out of a stored Parquet file, by ranged reads: the footer, then the row groups that hold the name."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runfolio.errors import FormatError
from runfolio.rows.parquet import conform
from runfolio.rows.schema import SCHEMA

Get: TypeAlias = Callable[[int, int], bytes]
"""Returns the bytes ``[start, end)`` of the object."""

TAIL: Final = 64 * 1024
"""Bytes at the end of a file that are asked for at first: nearly every footer fits, and so do small files whole."""
_TRAILER: Final = 8
_MAGIC: Final = b"PAR1"


class Footer:
    """The footer of one file, and the bytes that came with it. Kept, it saves the first request of each curve.

    Args:
        get: reads ranges of the object.
        size: its length, as the listing tells.
        key: where it lies, for messages.
        tail: bytes to ask for at first: those of the footer with its trailer, where they are known; else `TAIL`.

    Raises:
        FormatError: it is no Parquet file, or damaged.
    """

    def __init__(self, get: Get, size: int, key: str = "", *, tail: int | None = None) -> None:
        self.key: Final = key
        self.size: Final = size
        start = max(size - max(TAIL if tail is None else tail, _TRAILER), 0)
        data = get(start, size)
        needed = int.from_bytes(data[-_TRAILER:-4], "little") + _TRAILER
        if len(data) != size - start or data[-4:] != _MAGIC or needed > size:
            raise FormatError(f"{key or 'This file'} is no whole Parquet file", key=key)
        if needed > len(data):
            start, data = size - needed, get(size - needed, start) + data
        self._parts: Final = [(start, data)]
        try:
            self.metadata: Final = pq.read_metadata(pa.BufferReader(data))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FormatError(f"The footer of {key or 'this file'} cannot be read: {error}", key=key) from error

    @property
    def rows(self) -> int:
        """Rows in the file."""
        return int(self.metadata.num_rows)

    def groups(self, names: Iterable[str]) -> list[int]:
        """The row groups that may hold rows of these names.

        Raises:
            FormatError: the file has no names, or its statistics are damaged.
        """
        wanted = sorted(names)
        try:
            return self._matching(wanted)
        except ValueError as error:
            raise FormatError(f"{self.key or 'This file'} is no file of rows: {error}", key=self.key) from error

    def _matching(self, wanted: list[str]) -> list[int]:
        place = self.metadata.schema.names.index("name")
        found: list[int] = []
        for group in range(self.metadata.num_row_groups):
            told = self.metadata.row_group(group).column(place).statistics
            if told is None or not told.has_min_max or any(told.min <= name <= told.max for name in wanted):
                found.append(group)
        return found

    def read(self, get: Get, names: Sequence[str]) -> pa.Table:
        """The rows of these names, in the schema of the format. One request a stretch of neighbouring row groups.

        Raises:
            FormatError: the file is damaged.
        """
        table = self.read_groups(get, self.groups(names))
        return table.filter(pc.is_in(table.column("name").cast(pa.string()), value_set=pa.array([*names], pa.string())))

    def read_groups(self, get: Get, groups: Sequence[int]) -> pa.Table:
        """The rows of some row groups, given in order. One request a stretch of neighbouring ones.

        Raises:
            FormatError: the file is damaged.
        """
        if not groups:
            return SCHEMA.empty_table()
        parts = [*self._parts, *(self._fetch(get, stretch) for stretch in _stretches(groups))]
        try:
            # Without threads: they could outlive the interpreter, which they need for this file object.
            with pq.ParquetFile(_Parts(self.size, parts), metadata=self.metadata, pre_buffer=False) as file:
                return conform(file.read_row_groups(groups, use_threads=False), self.key)
        except (pa.ArrowException, OSError, ValueError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"The rows in {self.key or 'this file'} cannot be read: {error}", key=self.key) from error

    def _fetch(self, get: Get, groups: Sequence[int]) -> tuple[int, bytes]:
        spans = [_span(self.metadata, group) for group in groups]
        start, end = min(low for low, _ in spans), max(high for _, high in spans)
        have_from, have = self._parts[0]
        if start >= have_from:  # a small file: its end was all of it
            return start, have[start - have_from : end - have_from]
        data = get(start, min(end, have_from))
        return start, data + have[: max(end - have_from, 0)]


def curve(get: Get, size: int, name: str, *, key: str = "") -> pa.Table:
    """Return the rows of one metric of a stored file: two requests, or one where the file is small.

    Args:
        get: returns the bytes ``[start, end)`` of the object.
        size: its length.
        name: the metric.
        key: where it lies, for messages.

    Raises:
        FormatError: the file is damaged.
    """
    return Footer(get, size, key).read(get, [name])


def _span(metadata: pq.FileMetaData, group: int) -> tuple[int, int]:
    """First and last byte of a row group."""
    found = metadata.row_group(group)
    columns = [found.column(place) for place in range(found.num_columns)]
    starts = [
        one.data_page_offset
        if one.dictionary_page_offset is None
        else min(one.dictionary_page_offset, one.data_page_offset)
        for one in columns
    ]
    return min(starts), max(start + one.total_compressed_size for start, one in zip(starts, columns, strict=True))


def _stretches(groups: Sequence[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for group in groups:
        if found and found[-1][-1] == group - 1:
            found[-1].append(group)
        else:
            found.append([group])
    return found


class _Parts(io.RawIOBase):
    """A file of which only some parts are there. Reading elsewhere is an error, never a silent request."""

    def __init__(self, size: int, parts: Sequence[tuple[int, bytes]]) -> None:
        super().__init__()
        self._size = size
        self._parts = parts
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._at + size, self._size)
        for start, data in self._parts:
            if start <= self._at and end <= start + len(data):
                found = data[self._at - start : end - start]
                self._at = end
                return found
        raise OSError(f"bytes {self._at} to {end} were not fetched")
