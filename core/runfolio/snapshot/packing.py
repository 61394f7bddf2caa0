"""Git packs (version 2), written and read in flat memory.

Ours hold whole objects, no deltas: one that was changed by somebody can then not expand beyond the size that it states,
and what is stated is bounded. Reading verifies the checksum of the pack and the id of each object, and keeps nothing of
a pack in memory but where its objects lie.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Self

from runfolio.errors import FormatError
from runfolio.snapshot.objects import BLOB_TYPE, COMMIT_TYPE, TREE_TYPE, object_hash

if TYPE_CHECKING:
    from types import TracebackType

LARGEST_OBJECT: Final = 4 * 1024**3
"""Bytes of one object; a foreign one that states more is refused."""
LARGEST_IN_MEMORY: Final = 64 * 1024**2
"""Bytes of a tree or commit."""
_CHUNK: Final = 256 * 1024
_HEADER: Final = 12
_TRAILER: Final = 20
_LEVEL: Final = 1
"""Packs are made while somebody waits for their script to begin."""


def compress(data: bytes) -> bytes:
    """Return the bytes of an object as a pack holds them."""
    return zlib.compress(data, _LEVEL)


class PackWriter:
    """Writes a pack and its index side by side.

    Args:
        folder: where; the files get their names from `finish`.

    Raises:
        OSError: of any method: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._partial = folder / f"{os.getpid()}-{os.urandom(8).hex()}.partial"
        self._file: BinaryIO = self._partial.open("w+b")
        self._file.write(b"\0" * _HEADER)
        self._entries: dict[str, tuple[int, int]] = {}

    def __contains__(self, sha: str) -> bool:
        return sha in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, sha: str, kind: int, data: bytes) -> None:
        """Add an object; one that is there already is left out."""
        self.add_compressed(sha, kind, len(data), [compress(data)])

    def add_compressed(self, sha: str, kind: int, size: int, compressed: Iterable[bytes]) -> None:
        """Add an object whose bytes are compressed already.

        Args:
            sha: its id.
            kind: its type.
            size: of its bytes, before they were compressed.
            compressed: the compressed bytes, in pieces. What they raise leaves the pack as it was.
        """
        if sha in self._entries:
            return
        offset = self._file.tell()
        header = _object_header(kind, size)
        crc = zlib.crc32(header)
        try:
            self._file.write(header)
            for chunk in compressed:
                crc = zlib.crc32(chunk, crc)
                self._file.write(chunk)
        except BaseException:
            self._file.seek(offset)
            self._file.truncate()
            raise
        self._entries[sha] = (offset, crc)

    def finish(self) -> Path:
        """Complete the pack and its index, and return the path of the pack, which is named after its checksum."""
        from dulwich.pack import write_pack_index_v2  # noqa: PLC0415 (slow to load)

        self._file.seek(0)
        self._file.write(b"PACK\0\0\0\2" + len(self._entries).to_bytes(4, "big"))
        self._file.seek(0)
        digest = hashlib.sha1(usedforsecurity=False)
        while chunk := self._file.read(_CHUNK):
            digest.update(chunk)
        self._file.write(digest.digest())
        self._file.close()
        pack = self._folder / f"{digest.hexdigest()}.pack"
        entries = sorted((bytes.fromhex(sha), offset, crc) for sha, (offset, crc) in self._entries.items())
        with pack.with_suffix(".idx").open("wb") as index:
            write_pack_index_v2(index, entries, digest.digest())
        self._partial.replace(pack)
        return pack

    def discard(self) -> None:
        """Remove what was written. Harmless after `finish`."""
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


def _object_header(kind: int, size: int) -> bytes:
    first, rest = kind << 4 | size & 0x0F, size >> 4
    found = bytearray()
    while rest:
        found.append(first | 0x80)
        first, rest = rest & 0x7F, rest >> 7
    found.append(first)
    return bytes(found)


class Place(NamedTuple):
    """Where an object lies in a pack.

    Attributes:
        kind: its type.
        size: its bytes.
        start: where its compressed bytes begin.
        end: where they end.
    """

    kind: int
    size: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack whose every object was verified.

    Attributes:
        path: the file.
        places: where each object lies, by id.
    """

    path: Path
    places: dict[str, Place]

    def read(self, sha: str) -> bytes:
        """Return the bytes of an object."""
        return b"".join(self.chunks(sha))

    def chunks(self, sha: str) -> Iterator[bytes]:
        """Yield the bytes of an object, in pieces."""
        place = self.places[sha]
        with self.path.open("rb") as file:
            file.seek(place.start)
            yield from _Inflating(file, place.size, self.path).chunks()

    def compressed(self, sha: str) -> Iterator[bytes]:
        """Yield the bytes of an object as they are in the pack, in pieces."""
        place = self.places[sha]
        with self.path.open("rb") as file:
            file.seek(place.start)
            left = place.end - place.start
            while left and (chunk := file.read(min(_CHUNK, left))):
                left -= len(chunk)
                yield chunk


def open_pack(path: Path) -> Pack:
    """Read a pack through, and verify it.

    Raises:
        FormatError: it is damaged, or holds what ours never hold: deltas, tags, objects of unreasonable size.
        OSError: it cannot be read.
    """
    places: dict[str, Place] = {}
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END) - _TRAILER
        file.seek(0)
        head = file.read(_HEADER)
        if len(head) < _HEADER or not head.startswith(b"PACK\0\0\0\2") or end < _HEADER:
            raise FormatError(f"{path.name} is no pack of Git objects", key=path.name)
        for _ in range(int.from_bytes(head[8:], "big")):
            kind, size = _read_header(file, path)
            start = file.tell()
            inflating = _Inflating(file, size, path)
            sha = object_hash(kind, size, inflating.chunks())
            places[sha] = Place(kind, size, start, inflating.end)
            file.seek(inflating.end)
            if inflating.end > end:
                raise FormatError(f"{path.name} is cut off", key=path.name)
        if file.tell() != end:
            raise FormatError(f"{path.name} holds more than it says", key=path.name)
        _verify_checksum(file, end, path)
    return Pack(path, places)


def _verify_checksum(file: BinaryIO, end: int, path: Path) -> None:
    file.seek(0)
    digest = hashlib.sha1(usedforsecurity=False)
    while end and (chunk := file.read(min(_CHUNK, end))):
        digest.update(chunk)
        end -= len(chunk)
    if file.read(_TRAILER) != digest.digest():
        raise FormatError(f"{path.name} is damaged: its checksum is wrong", key=path.name)


def _read_header(file: BinaryIO, path: Path) -> tuple[int, int]:
    byte = _byte(file, path)
    kind, size, shift = byte >> 4 & 7, byte & 0x0F, 4
    while byte & 0x80:
        byte = _byte(file, path)
        size |= (byte & 0x7F) << shift
        shift += 7
        if shift > 64:  # noqa: PLR2004 (bits of a size)
            raise FormatError(f"{path.name} is damaged: an object has no size", key=path.name)
    if kind not in (BLOB_TYPE, TREE_TYPE, COMMIT_TYPE):
        raise FormatError(f"{path.name} holds an object of type {kind}; ours hold whole files only", key=path.name)
    if size > (LARGEST_OBJECT if kind == BLOB_TYPE else LARGEST_IN_MEMORY):
        raise FormatError(f"{path.name} holds an object of {size:,} bytes: that is too large", key=path.name)
    return kind, size


def _byte(file: BinaryIO, path: Path) -> int:
    found = file.read(1)
    if not found:
        raise FormatError(f"{path.name} is cut off", key=path.name)
    return found[0]


class _Inflating:
    """Inflates one object of a pack, never beyond the size that it states.

    Attributes:
        end: where its compressed bytes ended, once they were read.
    """

    def __init__(self, file: BinaryIO, size: int, path: Path) -> None:
        self._file, self._size, self._path = file, size, path
        self.end = file.tell()

    def chunks(self) -> Iterator[bytes]:
        stream, left = zlib.decompressobj(), self._size
        position, waiting = self._file.tell(), b""
        try:
            while not stream.eof:
                if not waiting:
                    waiting = self._file.read(_CHUNK)
                    position += len(waiting)
                    if not waiting:
                        raise FormatError(f"{self._path.name} is cut off", key=self._path.name)
                found = stream.decompress(waiting, min(left, _CHUNK) + 1)
                waiting = stream.unconsumed_tail
                left -= len(found)
                if left < 0:
                    break
                if found:
                    yield found
        except zlib.error as error:
            raise FormatError(f"{self._path.name} is damaged: {error}", key=self._path.name) from error
        if left:
            raise FormatError(f"{self._path.name} is damaged: an object is not as long as it says", key=self._path.name)
        self.end = position - len(stream.unused_data)
