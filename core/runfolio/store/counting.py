"""Counting the requests that go to a store, as a bill would."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from runfolio.errors import RunfolioError
from runfolio.store.wrapping import WrappedBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from runfolio.backend import Backend, ObjectInfo, Progress

PAGE: Final = 1000
"""A listing is one request per so many keys, and so is a delete."""


class Request(NamedTuple):
    """One request.

    Attributes:
        operation: ``get``, ``put``, ``create``, ``list``, ``stat``, ``delete`` or ``copy`` (on the server's side).
        key: the key, the prefix of a listing, or the first key of a delete.
        size: bytes that were read or written.
        failed: it ended with an error.
    """

    operation: str
    key: str
    size: int = 0
    failed: bool = False


class CountedBackend(WrappedBackend):
    """Counts what passes through to another backend.

    Args:
        inner: the backend that does the work.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self._counts: Counter[str] = Counter()
        self._moved = 0.0
        self._lock = threading.Lock()

    def counts(self) -> Counter[str]:
        """Return how often each operation was asked for."""
        with self._lock:
            return Counter(self._counts)

    def moved(self) -> float:
        """Return when something last got through, by the monotonic clock: an answer, or bytes of a file."""
        return self._moved

    def observe(self, request: Request) -> None:
        """Take one request into account. Called under a lock."""
        self._counts[request.operation] += 1

    def after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may have held; the child counts on from there."""
        self._lock = threading.Lock()
        super().after_fork()

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102 (docstring inherited)
        found: list[bytes] = []
        self._counted("get", key, lambda: found.append(self.inner.get(key, start, end)), lambda: len(found[0]))
        return found[0]

    def put(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        self._counted("put", key, lambda: self.inner.put(key, data), lambda: len(data))

    def create(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        self._counted("create", key, lambda: self.inner.create(key, data), lambda: len(data))

    def list(  # noqa: D102 (docstring inherited)
        self, prefix: str = "", *, start_after: str = "", limit: int | None = None
    ) -> Iterator[ObjectInfo]:
        self._add(Request("list", prefix))
        for at, info in enumerate(self.inner.list(prefix, start_after=start_after, limit=limit)):
            if at and at % PAGE == 0:
                self._add(Request("list", prefix))
            self._moved = time.monotonic()
            yield info

    def stat(self, key: str) -> ObjectInfo:  # noqa: D102 (docstring inherited)
        found: list[ObjectInfo] = []
        self._counted("stat", key, lambda: found.append(self.inner.stat(key)))
        return found[0]

    def delete(self, keys: Iterable[str]) -> None:  # noqa: D102 (docstring inherited)
        chosen = [*keys]
        for at in range(0, len(chosen), PAGE):
            part = chosen[at : at + PAGE]
            self._counted("delete", part[0], lambda part=part: self.inner.delete(part))  # type: ignore[misc]  # bound per page

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self._counted(
            "put", key, lambda: self.inner.put_file(key, path, self._watched(progress)), lambda: path.stat().st_size
        )

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self._counted(
            "get", key, lambda: self.inner.get_file(key, path, self._watched(progress)), lambda: path.stat().st_size
        )

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:  # noqa: D102 (docstring inherited)
        try:
            done = super().copy_from(source, source_key, key)
        except RunfolioError:
            self._add(Request("copy", key, failed=True))
            raise
        if done:
            self._add(Request("copy", key))
        return done

    def _watched(self, progress: Progress | None) -> Progress:
        def told(size: int) -> None:
            self._moved = time.monotonic()
            if progress is not None:
                progress(size)

        return told

    def _counted(
        self, operation: str, key: str, request: Callable[[], None], size: Callable[[], int] = lambda: 0
    ) -> None:
        try:
            request()
        except RunfolioError:
            self._add(Request(operation, key, failed=True))
            raise
        self._moved = time.monotonic()
        self._add(Request(operation, key, size()))

    def _add(self, request: Request) -> None:
        with self._lock:
            self.observe(request)
