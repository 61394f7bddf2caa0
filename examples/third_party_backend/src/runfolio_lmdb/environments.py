"""Open databases of this process, and LMDB's errors as Runfolio's.

LMDB allows a database to be opened once in a process, so all backends of one folder share it. It must not be used in
another process than the one that opened it: after a fork, the child opens its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import lmdb

from runfolio.errors import (
    FormatError,
    PermissionDeniedError,
    ReadOnlyError,
    RunfolioError,
    StorageError,
    TransientStorageError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "lmdb"
_READERS: Final = 1024
_FILE: Final = "data.mdb"

ERRORS: Final[Mapping[type[Exception], type[RunfolioError]]] = {
    lmdb.ReadonlyError: ReadOnlyError,
    lmdb.InvalidError: FormatError,
    lmdb.CorruptedError: FormatError,
    lmdb.VersionMismatchError: FormatError,
    lmdb.PageNotFoundError: FormatError,
    lmdb.ReadersFullError: TransientStorageError,
    lmdb.BadRslotError: TransientStorageError,
    lmdb.MapResizedError: TransientStorageError,
    lmdb.LockError: TransientStorageError,
    lmdb.Error: StorageError,
}
"""The most special first. What LMDB says of its own use (a bad transaction, say) is a fault of ours: StorageError."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a database is opened.

    Attributes:
        folder: where it lies.
        map_size: the most it can hold, in bytes.
        durable: whether each write waits for the disk.
        read_only: open it for reading only.
    """

    folder: str
    map_size: int
    durable: bool
    read_only: bool


@dataclass(slots=True)
class Opened:
    """A database that is open, with its two tables.

    Attributes:
        database: the LMDB environment.
        index: keys, and where their objects lie.
        data: the pieces of the objects.
        users: the backends that have used it and are not closed.
        active: how many transactions go on.
    """

    database: lmdb.Environment
    index: Any
    data: Any
    users: set[int] = field(default_factory=set)
    active: int = 0


_lock = threading.Lock()
_opened: dict[tuple[int, str], Opened] = {}


@contextmanager
def transaction(opening: Opening, user: int, *, write: bool) -> Generator[tuple[lmdb.Transaction, Opened] | None]:
    """Begin a transaction in the database of a folder, which is opened when it is not.

    Args:
        opening: how; the first backend that opens a folder decides for all of this process.
        user: who asks, until `release`.
        write: for writing. The database is made when there is none. Nothing is stored when the block raises.

    Yields:
        The transaction and its tables; None when there is no database.
    """
    place = (os.getpid(), os.path.realpath(opening.folder))
    with _lock:
        opened = _opened.get(place)
        if opened is None:
            if not write and not Path(opening.folder, _FILE).exists():
                yield None
                return
            opened = _opened[place] = _open(opening)
        opened.users.add(user)
        opened.active += 1
    try:
        with opened.database.begin(write=write) as inner:
            yield inner, opened
    finally:
        with _lock:
            opened.active -= 1
            _close_unused(place)


def _open(opening: Opening) -> Opened:
    folder = Path(opening.folder)
    # A database that can be written is opened so even for a reader: it can be opened once only, and others may write.
    readonly = opening.read_only and not os.access(folder / _FILE, os.W_OK)
    folder.mkdir(parents=True, exist_ok=True)
    database = lmdb.open(
        opening.folder,
        map_size=opening.map_size,
        max_dbs=2,
        max_readers=_READERS,
        readonly=readonly,
        sync=opening.durable,
        metasync=opening.durable,
    )
    database.reader_check()  # frees the places of readers that were killed
    index, data = (database.open_db(name, create=not readonly) for name in (b"index", b"data"))
    return Opened(database, index, data)


def release(opening: Opening, user: int) -> None:
    """Close the database of a folder unless others use it."""
    place = (os.getpid(), os.path.realpath(opening.folder))
    with _lock:
        if place in _opened:
            _opened[place].users.discard(user)
            _close_unused(place)


def _close_unused(place: tuple[int, str]) -> None:
    opened = _opened.get(place)
    if opened is not None and not opened.users and not opened.active:
        del _opened[place]
        opened.database.close()


def forget() -> None:
    """Let go of what the parent opened. Called in a forked child, and no business of the parent's readers and locks.

    LMDB frees the places of the process that closes, and this one has none yet.
    """
    global _lock  # noqa: PLW0603 (another thread of the parent may have held it)
    _lock = threading.Lock()
    for place in [place for place in _opened if place[0] != os.getpid()]:
        _opened.pop(place).database.close()


@contextmanager
def translate_errors(operation: str, key: str, url: str) -> Generator[None]:
    """Raise Runfolio's errors for those of LMDB and of the file system."""
    where = {"backend": NAME, "key": key, "operation": operation}
    try:
        yield
    except lmdb.MapFullError as error:
        raise StorageError(f"{url} is full: open it with a larger map_size", **where) from error
    except lmdb.Error as error:
        kind = next(ours for theirs, ours in ERRORS.items() if isinstance(error, theirs))
        raise kind(f"{operation} of {key!r} failed in {url}: {error}", **where) from error
    except RunfolioError:
        raise
    except PermissionError as error:
        raise PermissionDeniedError(f"{url} cannot be used: {error.strerror}", **where) from error
    except OSError as error:
        raise StorageError(f"{operation} of {key!r} failed in {url}: {error.strerror}", **where) from error
