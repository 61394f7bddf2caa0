"""The seam: a `Backend` moves bytes under keys and knows nothing of runs or metrics.

Third parties subclass `Backend` and register it with the hook ``runfolio_register_backends``. The rules below are the
contract; the conformance kit in `runfolio.testing` checks each of them.

Keys
    are relative, ``/``-separated and were validated by the core (`runfolio.names.validate_key`) before they arrive.
Atomicity
    `put` and `create` publish the whole object or nothing, also when the process is killed. Concurrent readers see
    the old object or the new one, never a mixture. An empty object is legal.
Visibility
    What `put`, `create` or `delete` has acknowledged is seen by every `get`, `stat` and `list` that begins afterwards.
Threads and processes
    Methods may be called from several threads at once. After a fork, the child calls `after_fork` before anything else.
    A backend is pickled as its constructor arguments.
Laziness
    Constructors do no I/O and start no threads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

Progress = Callable[[int], None]
"""Called with the number of bytes moved since the last call."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One stored object as a listing shows it.

    Attributes:
        key: the key, relative to the root of the store.
        size: length in bytes.
        modified: when the *store* says it was last written (timezone-aware), or None where the store keeps no time.
    """

    key: str
    size: int
    modified: datetime | None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do beyond the least that is asked of every one. Data, not guesses from its methods.

    Attributes:
        conditional_create: `create` is exclusive between any number of processes and machines. Without it a store is
            refused for shared use.
        store_time: listings carry the store's own modification times, so liveness can be told.
        shared: other processes can reach the same objects (False for an in-process store).
    """

    conditional_create: bool = True
    store_time: bool = True
    shared: bool = True


class Backend(ABC):
    """Bytes under keys: seven methods to implement, a few to override for speed."""

    name: str
    """Short name for messages, for example ``"local"``."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The root of the store as a URL without credentials."""

    @property
    def capabilities(self) -> Capabilities:
        """What this backend guarantees beyond the contract."""
        return Capabilities()

    @abstractmethod
    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return the bytes ``[start, end)`` of an object, all of it by default.

        A negative `start` counts from the end of the object, with `end` None. A range beyond the object is cut to it.

        Raises:
            NotFoundError: there is no such object.
            StorageError: the storage failed.
        """

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, replacing what is there, as a whole or not at all.

        Raises:
            ReadOnlyError: this place cannot be written.
            StorageError: the storage failed; the object may or may not have been written.
        """

    @abstractmethod
    def create(self, key: str, data: bytes) -> None:
        """Store `data` under `key` only if nothing is there. Exactly one of many concurrent callers wins.

        Sent as one request, never multipart.

        Raises:
            AlreadyExistsError: something is there; it was not touched. A retry beneath this call may mean it is ours:
                the caller reads it back.
            ReadOnlyError: this place cannot be written.
            StorageError: the storage failed; the object may or may not have been written.
        """

    @abstractmethod
    def list(self, prefix: str = "", *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with `prefix`, in key order (by UTF-8 bytes), at any depth.

        `prefix` is empty or ends with ``/``: it names a folder, so ``a/`` never matches ``ab/x``. Only keys greater
        than `start_after` are yielded, `limit` of them at most. Pages are not one snapshot. A prefix with nothing
        under it yields nothing.

        Raises:
            StorageError: the storage failed.
        """

    @abstractmethod
    def stat(self, key: str) -> ObjectInfo:
        """Return size and time of one object.

        Raises:
            NotFoundError: there is no such object.
            StorageError: the storage failed.
        """

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects. An absent key is no error.

        Raises:
            ReadOnlyError: this place cannot be written.
            PermissionDeniedError: the credentials may write but not delete.
            StorageError: the storage failed; some may be gone.
        """

    @abstractmethod
    def close(self) -> None:
        """Release connections. Calling it twice is harmless; the backend may be used again afterwards."""

    # What follows has a default made of the seven above.

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:
        """Store the contents of a local file under `key`, replacing what is there.

        Note for implementers: the default reads the whole file into memory. Override it where files can be large.
        """
        data = path.read_bytes()
        self.put(key, data)
        if progress is not None:
            progress(len(data))

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:
        """Write the whole object into a local file, which is created or truncated.

        Note for implementers: the default reads in ranges of 8 MiB, one request each.
        """
        step = 8 * 1024 * 1024
        size = self.stat(key).size
        with path.open("wb") as out:
            for start in range(0, size, step):
                part = self.get(key, start, min(start + step, size))
                out.write(part)
                if progress is not None:
                    progress(len(part))

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:
        """Copy an object of another store of the same kind on the server's side; False where that cannot be done.

        What it stores under `key` replaces what is there, as a whole or not at all. The default cannot do it: the
        caller then reads the object and writes it.

        Note for implementers: wrapped sources are unwrapped before they arrive. Answer False, rather than raise, where
        these two stores cannot do it, for example because one's credentials do not open the other.

        Raises:
            NotFoundError: the source has no such object.
            ReadOnlyError: this place cannot be written.
            StorageError: the storage failed; the object may or may not have been written.
        """
        del source, source_key, key
        return False

    def now(self) -> datetime | None:
        """Return what the *store's* clock shows now, where that is known without a request; None by default.

        It must be the clock that `ObjectInfo.modified` is taken from: whether a run is still alive is told by it.
        """
        return None

    def sweep(self, older_than: float = 86400.0) -> int:
        """Remove what killed processes left beneath the keys, such as temporary files, and return how many there were.

        Args:
            older_than: seconds since it was last written; younger ones may belong to a process that lives.

        The default has nothing to remove.
        """
        del older_than
        return 0

    def after_fork(self) -> None:
        """Drop what must not cross a fork (sockets, locks, event loops). Called in the child. The default closes."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"
