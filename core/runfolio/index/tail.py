"""The unfolded tail: log entries that the newest checkpoint does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runfolio.errors import NotFoundError, TransientStorageError
from runfolio.index.entries import Entry, is_entry, read, short_name
from runfolio.index.state import ROUNDS, Listing, Reader, State

if TYPE_CHECKING:
    from runfolio.backend import Backend
    from runfolio.store.environment import Gather


@dataclass(slots=True)
class Tail:
    """Entries by what became of them.

    Attributes:
        entries: those that are applied.
        unreadable: keys of those that cannot be understood: neither applied nor held, they stay in ``log/``.
    """

    entries: list[Entry] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


class EntryReader:
    """Gets log entries, each once: an entry of the same name always has the same bytes.

    Args:
        backend: where the store lies.
        gather: runs the gets.
    """

    def __init__(self, backend: Backend, gather: Gather) -> None:
        self._backend = backend
        self._gather = gather
        self._read: dict[str, Entry | None] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._read

    def entry_keys(self, log: Listing) -> list[str]:
        """The keys of entries in a listing of ``log/``. What was read before and is no longer listed is forgotten."""
        keys = [info.key for info in log if is_entry(info.key)]
        listed = set(keys)
        self._read = {key: entry for key, entry in self._read.items() if key in listed}
        return keys

    def get(self, keys: Iterable[str]) -> Tail | None:
        """Return what these entries say, or None when one of them is gone."""
        wanted = list(keys)
        missing = [key for key in wanted if key not in self._read]
        found = self._gather([self._getter(key) for key in missing])
        gone = False
        for key, data in zip(missing, found, strict=True):
            if data is None:
                gone = True
            else:
                self._read[key] = read(key, data)
        if gone:
            return None
        tail = Tail()
        for key in wanted:
            entry = self._read[key]
            if entry is None:
                tail.unreadable.append(key)
            else:
                tail.entries.append(entry)
        return tail

    def _getter(self, key: str) -> Callable[[], bytes | None]:
        def get() -> bytes | None:
            try:
                return self._backend.get(key)
            except NotFoundError:
                return None

        return get


def unheld(keys: Iterable[str], held: frozenset[str]) -> list[str]:
    """The entries that a checkpoint does not hold."""
    return [key for key in keys if short_name(key) not in held]


def read_tail(reader: Reader, entries: EntryReader, keys: list[str]) -> tuple[State, Listing, Tail]:
    """Return the newest state and what it lacks of these entries (List 2 to 4).

    Args:
        reader: reads the state.
        entries: reads the entries.
        keys: the entries that LIST ``log/`` has just shown. It must have been listed before.
    """
    listing = reader.list()
    for _ in range(ROUNDS):
        state, listing = reader.read(listing)
        wanted = unheld(keys, state.held)
        tail = entries.get(wanted)
        if tail is not None:
            return state, listing, tail
        # List 4: an entry is gone. A newer checkpoint has it; if there is none, the one that was read has it already.
        before, listing = listing, reader.list()
        if listing[:1] == before[:1]:
            tail = entries.get([key for key in wanted if key in entries])
            if tail is not None:
                return state, listing, tail
    raise TransientStorageError("The log changes faster than it can be read: try again", key="log/", operation="get")
