"""A backend as far away as you like."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, final

from runfolio.store.wrapping import WrappedBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from runfolio.backend import Backend, ObjectInfo, Progress


@final
class LatencyBackend(WrappedBackend):
    """Waits before each request.

    Args:
        inner: the backend that does the work.
        seconds: how long each request takes at least.
        sleep: waits so many seconds.
    """

    def __init__(self, inner: Backend, seconds: float, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(inner)
        self._seconds = seconds
        self._sleep = sleep

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102 (docstring inherited)
        self._sleep(self._seconds)
        return super().get(key, start, end)

    def put(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        self._sleep(self._seconds)
        super().put(key, data)

    def create(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        self._sleep(self._seconds)
        super().create(key, data)

    def list(  # noqa: D102 (docstring inherited)
        self, prefix: str = "", *, start_after: str = "", limit: int | None = None
    ) -> Iterator[ObjectInfo]:
        self._sleep(self._seconds)
        for at, info in enumerate(super().list(prefix, start_after=start_after, limit=limit), 1):
            yield info
            if at % 1000 == 0:  # the next page
                self._sleep(self._seconds)

    def stat(self, key: str) -> ObjectInfo:  # noqa: D102 (docstring inherited)
        self._sleep(self._seconds)
        return super().stat(key)

    def delete(self, keys: Iterable[str]) -> None:  # noqa: D102 (docstring inherited)
        self._sleep(self._seconds)
        super().delete(keys)

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self._sleep(self._seconds)
        super().put_file(key, path, progress)

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self._sleep(self._seconds)
        super().get_file(key, path, progress)

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:  # noqa: D102 (docstring inherited)
        self._sleep(self._seconds)
        return super().copy_from(source, source_key, key)
