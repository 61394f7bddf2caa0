"""How objects lie in the database.

``index``
    A bucket for each head of a key, its first 480 bytes, since LMDB's keys are short. Nearly always the head is the
    whole key and the bucket has one entry. Heads come in the order of their bytes, and entries in that of the rest of
    their keys, so a walk over both is the order of the keys.
``data``
    Pieces of 1 MiB under ``<number of the object><number of the piece>``. An object that is replaced gets a new number.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import lmdb

    from runfolio_lmdb.environments import Opened

HEAD: Final = 480
PIECE: Final = 1024 * 1024
_NEXT: Final = b"\xff\xff"
"""Where the next number of an object is kept: no key begins with bytes that are not UTF-8."""
_ADDRESS: Final = struct.Struct(">QI")


@dataclass(frozen=True, slots=True)
class Entry:
    """One object.

    Attributes:
        tail: the bytes that its key has beyond the head, as Latin-1 for JSON, which sorts as the bytes do.
        number: of the object.
        size: in bytes.
        modified: when it was written, in seconds since the epoch.
    """

    tail: str
    number: int
    size: int
    modified: float


class Transaction:
    """An LMDB transaction with our two tables.

    Args:
        inner: the transaction.
        opened: the database.
    """

    def __init__(self, inner: lmdb.Transaction, opened: Opened) -> None:
        self.inner = inner
        self.index = opened.index
        self.data = opened.data

    def bucket(self, head: bytes) -> list[Entry]:
        """Return the entries of a head, sorted by the rest of their keys."""
        found = self.inner.get(head, db=self.index)
        return [] if found is None else _entries(bytes(found))

    def store(self, head: bytes, entries: list[Entry]) -> None:
        """Replace the entries of a head."""
        if entries:
            packed = json.dumps([astuple(entry) for entry in entries]).encode()
            self.inner.put(head, packed, db=self.index)
        else:
            self.inner.delete(head, db=self.index)

    def new_number(self) -> int:
        """Return a number that no object had before."""
        found = self.inner.get(_NEXT, db=self.index)
        number = int(found or 0)
        self.inner.put(_NEXT, str(number + 1).encode(), db=self.index)
        return number


def _entries(packed: bytes) -> list[Entry]:
    return [Entry(*one) for one in json.loads(packed)]


def _split(key: bytes) -> tuple[bytes, str]:
    """Return head and tail of a key."""
    return key[:HEAD], key[HEAD:].decode("latin-1")


def find(transaction: Transaction, key: str) -> Entry | None:
    """Return the entry of a key; None when there is none."""
    head, tail = _split(key.encode())
    return next((entry for entry in transaction.bucket(head) if entry.tail == tail), None)


def replace(transaction: Transaction, key: str, parts: Iterable[bytes], now: float) -> None:
    """Store an object in the place of the one that is there.

    Args:
        transaction: to write in.
        key: of the object.
        parts: its bytes: each part but the last is a whole number of pieces long.
        now: seconds since the epoch.
    """
    remove(transaction, key)
    number = transaction.new_number()
    size = 0
    for at, piece in enumerate(_cut(parts)):
        transaction.inner.put(_ADDRESS.pack(number, at), piece, db=transaction.data)
        size += len(piece)
    head, tail = _split(key.encode())
    entries = [*transaction.bucket(head), Entry(tail, number, size, now)]
    transaction.store(head, sorted(entries, key=lambda entry: entry.tail))


def _cut(parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        for start in range(0, len(part), PIECE):
            yield part[start : start + PIECE]


def remove(transaction: Transaction, key: str) -> None:
    """Remove an object. Harmless when there is none."""
    head, tail = _split(key.encode())
    entries = transaction.bucket(head)
    for entry in entries:
        if entry.tail == tail:
            for at in range(-(-entry.size // PIECE)):
                transaction.inner.delete(_ADDRESS.pack(entry.number, at), db=transaction.data)
            transaction.store(head, [other for other in entries if other is not entry])


def pieces(transaction: Transaction, entry: Entry, first: int, after: int) -> Iterator[bytes]:
    """Yield the bytes ``[first, after)`` of an object."""
    for at in range(first // PIECE, -(-after // PIECE) if after > first else 0):
        piece = transaction.inner.get(_ADDRESS.pack(entry.number, at), db=transaction.data)
        if piece is None:
            raise KeyError(f"piece {at} of an object is missing")
        yield bytes(piece)[max(first - at * PIECE, 0) : after - at * PIECE]


def page(transaction: Transaction | None, prefix: str, after: str, limit: int) -> list[tuple[str, Entry]]:
    """Return up to `limit` keys that begin with `prefix` and come after `after`, with their entries."""
    found: list[tuple[str, Entry]] = []
    if transaction is None:
        return found
    wanted, last = prefix.encode(), after.encode()
    begin = max(wanted, last)
    with transaction.inner.cursor(db=transaction.index) as cursor:
        there = cursor.set_range(_split(begin)[0]) if begin else cursor.first()
        while there and cursor.key() != _NEXT:
            head = bytes(cursor.key())
            if not head.startswith(wanted[:HEAD]):
                break
            for entry in _entries(bytes(cursor.value())):
                key = head + entry.tail.encode("latin-1")
                if key > last and key.startswith(wanted):
                    found.append((key.decode(), entry))
                    if len(found) == limit:
                        return found
            there = cursor.next()
    return found
