"""A backend as far away as you like."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, final

from runfolio.store.wrapping import WrappedBackend
from runfolio.testing.counting import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from runfolio.backend import Backend, ObjectInfo, Progress


def no_wait(seconds: float) -> None:
    """Let a latency be virtual: nobody waits, and `LatencyBackend.waited` says how long it would have been."""
    del seconds


@final
class LatencyBackend(WrappedBackend):
    """Waits before each request. `waited` is the sum, as if one request was made after the other.

    Args:
        inner: the backend that does the work.
        seconds: how long each request takes at least.
        sleep: waits so many seconds; `no_wait` in tests that must not depend on time.
    """

    def __init__(self, inner: Backend, seconds: float, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(inner)
        self._seconds = seconds
        self._sleep = sleep
        self._lock = threading.Lock()
        self.waited = 0.0

    def __reduce__(self) -> tuple[Callable[..., LatencyBackend], tuple[Backend, float, Callable[[float], None]]]:
        return _restore, (self.inner, self._seconds, self._sleep)

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102 (docstring inherited)
        self._travel()
        return super().get(key, start, end)

    def put(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        self._travel()
        super().put(key, data)

    def create(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        self._travel()
        super().create(key, data)

    def list(  # noqa: D102 (docstring inherited)
        self, prefix: str = "", *, start_after: str = "", limit: int | None = None
    ) -> Iterator[ObjectInfo]:
        self._travel()
        for at, info in enumerate(super().list(prefix, start_after=start_after, limit=limit)):
            if at and at % PAGE == 0:
                self._travel()
            yield info

    def stat(self, key: str) -> ObjectInfo:  # noqa: D102 (docstring inherited)
        self._travel()
        return super().stat(key)

    def delete(self, keys: Iterable[str]) -> None:  # noqa: D102 (docstring inherited)
        self._travel()
        super().delete(keys)

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self._travel()
        super().put_file(key, path, progress)

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self._travel()
        super().get_file(key, path, progress)

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:  # noqa: D102 (docstring inherited)
        self._travel()
        return super().copy_from(source, source_key, key)

    def _travel(self) -> None:
        with self._lock:
            self.waited += self._seconds
        self._sleep(self._seconds)


def _restore(inner: Backend, seconds: float, sleep: Callable[[float], None]) -> LatencyBackend:
    return LatencyBackend(inner, seconds, sleep=sleep)
