"""The one adapter of fsspec file systems: what the backends of S3, of Azure and of any other scheme have in common.

It holds the file system from the first request on, and lets it go at `close` and in a forked child.
"""

from __future__ import annotations

import os
import threading
import weakref
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fsspec.asyn import iothread, reset_lock

from runfolio.backend import Backend, Capabilities
from runfolio.errors import StorageError

FRESH: Final[Mapping[str, Any]] = {"skip_instance_cache": True, "use_listings_cache": False}
"""For every file system: its own instance, and no listing from memory, since other processes write too."""


class UnableError(StorageError):
    """The service does not know this request at all. For `create`: it cannot create only where nothing is."""


class FsspecBackend(Backend):
    """Objects in an fsspec file system.

    Args:
        url: the root of the store.
        options: those of the backend. They may hold secrets, so they are shown nowhere.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._url = url.rstrip("/")
        self._options = dict(options)
        self._connecting = threading.Lock()
        self._connection: Any = None
        self._closing: weakref.finalize[Any, Any] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), self._url, self._options)

    @abstractmethod
    def _connect(self) -> Any:
        """Make the file system, or what holds it. Called at the first request, and again after `close` and a fork."""

    @staticmethod
    @abstractmethod
    def _disconnect(connection: Any, process: int) -> None:
        """Close what `_connect` has made in that process. Also called by the garbage collector, in whichever thread."""

    def _connected(self) -> Any:
        with self._connecting:
            if self._connection is None:
                self._connection = self._connect()
                self._closing = weakref.finalize(self, self._disconnect, self._connection, os.getpid())
            return self._connection

    @property
    def url(self) -> str:
        """The root of the store."""
        return self._url

    @property
    def single_writer(self) -> bool:
        """Whether the caller promised that one process at a time writes, so `create` may look first."""
        return bool(self._options.get("single_writer", False))

    @property
    def capabilities(self) -> Capabilities:
        """Everything, unless the caller promised to write alone and `create` looks first."""
        return Capabilities(conditional_create=not self.single_writer)

    def close(self) -> None:  # noqa: D102 (docstring inherited)
        with self._connecting:
            self._connection, closing = None, self._closing
        if closing is not None:
            closing()  # once: a second call does nothing

    def after_fork(self) -> None:
        """Drop the file system unclosed: its connections and its thread belong to the parent."""
        self._connecting = threading.Lock()
        self._connection = None
        if self._closing is not None:
            self._closing.detach()
        thread = iothread[0]
        if thread is not None and not thread.is_alive():
            reset_lock()  # older releases of fsspec do not know that they were forked


def disown(filesystem: object) -> None:
    """Take back what a file system has registered to be done when it is collected, or when the process exits.

    s3fs and adlfs close their connections then, on a thread that a forked child does not have: it would hang.
    """
    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        alive = finalizer.peek()
        if alive is not None and alive[0] is filesystem:
            finalizer.detach()


def _restore(kind: type[FsspecBackend], url: str, options: Mapping[str, Any]) -> FsspecBackend:
    return kind(url, **options)


def size_of(path: Path) -> int:
    """Return the size of a local file that is about to be stored.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        return path.stat().st_size
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> StorageError:
    """Return the error for a local file that cannot be read."""
    return StorageError(f"The local file {path} cannot be read: {error.strerror}", key=str(path), operation="put")
