"""Reading frames back from bytes that may be torn or damaged anywhere.

Runs of fixed frames are found by looking at every 32nd byte, never by a loop over records. What does not verify is
skipped up to the next place where a frame does: a torn tail is cut, never guessed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Final, TypeAlias
from zlib import crc32

from runfolio.journal.frames import (
    BOOL,
    FIXED_SIZE,
    FIXED_WORDS,
    FLOAT,
    HEADER,
    HEADER_SIZE,
    LAST_TYPE,
    NAME,
    Extended,
    extended_size,
)

_BLOCK: Final = 4096
"""Fixed frames that are verified at once."""
_FIRST_LOOK: Final = 16
_PAIR: Final = struct.Struct("<I28s")
_CANDIDATE: Final = re.compile(
    rb"(?=[\s\S]{4}(?:\x04[\x%02x-\x%02x]|\x00[\x%02x-\x%02x]\x00\x00))" % (FLOAT, BOOL, NAME, LAST_TYPE)
)
_TYPES: Final = bytes(range(FLOAT, BOOL + 1))
_WORDS: Final = bytes([FIXED_WORDS])


@dataclass(frozen=True, slots=True)
class Run:
    """Fixed frames, one after the other: ``count`` times 32 bytes."""

    data: memoryview
    count: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes that are no frame, followed by one."""

    size: int


@dataclass(frozen=True, slots=True)
class Rest:
    """The end of what could be read: everything before ``offset`` was yielded.

    Attributes:
        offset: where reading goes on when there are more bytes.
        needed: how many bytes from there are wanted to tell what begins there; 0 when nothing does.
        head: the frame of that length which begins there, with as much of its payload as is here.
    """

    offset: int
    needed: int
    head: Extended | None = None


Piece: TypeAlias = Run | Extended | Gap | Rest


def scan(data: memoryview, salt: int, *, verify: bool, final: bool) -> Iterator[Piece]:
    """Yield what the bytes hold; the last piece is always a `Rest`.

    Args:
        data: bytes of a journal file, beginning where a frame does (or where damage does).
        salt: the salt of the file.
        verify: check every crc. False only for records that this very process wrote without trouble.
        final: nothing follows these bytes *now*. Else a frame cut by their end is awaited, not looked through for
            others.
    """
    at, size = 0, len(data)
    while at < size:
        run = _fixed_run(data, at, salt, verify=verify)
        if run:
            yield Run(data[at : at + run * FIXED_SIZE], run)
            at += run * FIXED_SIZE
            continue
        found = _extended_at(data, at, salt, verify=verify)
        if isinstance(found, Extended):
            yield found
            at += extended_size(len(found.payload))
            continue
        if found and not final:
            _, _, kind, _, name, _, length = HEADER.unpack_from(data, at)
            yield Rest(at, found, Extended(kind, name, data[at + HEADER_SIZE : at + HEADER_SIZE + length]))
            return
        after = _next_frame(data, at + 1, salt)
        if after is None:
            yield Rest(at, found if final else 2 * (size - at) + HEADER_SIZE)
            return
        yield Gap(after - at)
        at = after
    yield Rest(at, 0)


def _fixed_run(data: memoryview, at: int, salt: int, *, verify: bool) -> int:
    """How many fixed frames begin at `at`."""
    if len(data) - at < FIXED_SIZE or data[at + 4] != FIXED_WORDS:
        return 0
    # Look further and further: a stride over all that is left would be quadratic where other frames are mixed in.
    limit = (len(data) - at) // FIXED_SIZE
    look, count = _FIRST_LOOK, 0
    while count < limit:
        ahead = min(look, limit - count)
        start = at + count * FIXED_SIZE
        view = data[start : start + ahead * FIXED_SIZE]
        words, types = view[4::FIXED_SIZE].tobytes(), view[5::FIXED_SIZE].tobytes()
        good = min(ahead - len(words.lstrip(_WORDS)), ahead - len(types.lstrip(_TYPES)))
        if verify and good:
            good = _verified(view[: good * FIXED_SIZE], salt)
        count += good
        if good < ahead:
            break
        look = min(look * 4, _BLOCK if verify else limit)
    return count


def _verified(view: memoryview, salt: int) -> int:
    """How many of these fixed frames, from the first on, have the right crc."""
    stored, bodies = zip(*_PAIR.iter_unpack(view), strict=True)
    computed = tuple(map(crc32, bodies, repeat(salt)))
    if computed == stored:
        return len(stored)
    return next(k for k, (one, other) in enumerate(zip(computed, stored, strict=True)) if one != other)


def _extended_at(data: memoryview, at: int, salt: int, *, verify: bool) -> Extended | int:
    """The extended frame at `at`; else how many bytes a frame with a sound header wants there, 0 without one."""
    if len(data) - at < HEADER_SIZE:
        return 0
    head_crc, words, kind, zero, name, payload_crc, length = HEADER.unpack_from(data, at)
    if words or zero or not NAME <= kind <= LAST_TYPE or crc32(data[at + 4 : at + HEADER_SIZE], salt) != head_crc:
        return 0
    size = extended_size(length)
    if size > len(data) - at:
        return size
    payload = data[at + HEADER_SIZE : at + HEADER_SIZE + length]
    # A frame cut within its padding is no frame: what follows at once is the next record.
    if verify and (crc32(payload, salt) != payload_crc or any(data[at + HEADER_SIZE + length : at + size])):
        return 0
    return Extended(kind, name, payload)


def _next_frame(data: memoryview, start: int, salt: int) -> int | None:
    """Where the next sound frame begins, at any byte: a short write leaves what follows unaligned."""
    for found in _CANDIDATE.finditer(data, start):
        at = found.start()
        if data[at + 4]:
            if len(data) - at >= FIXED_SIZE and _verified(data[at : at + FIXED_SIZE], salt):
                return at
        elif isinstance(_extended_at(data, at, salt, verify=True), Extended):
            return at
    return None
