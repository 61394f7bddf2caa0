"""A backend around another one: the base of those that retry, count, fail or schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runfolio.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from runfolio.backend import Capabilities, ObjectInfo, Progress


class WrappedBackend(Backend):
    """Hands every request on to another backend. Subclasses change what they care about.

    Args:
        inner: the backend that does the work.
    """

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.name = inner.name

    @property
    def url(self) -> str:
        """The root of the store."""
        return self.inner.url

    @property
    def capabilities(self) -> Capabilities:
        """What the backend beneath guarantees."""
        return self.inner.capabilities

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102 (docstring inherited)
        return self.inner.get(key, start, end)

    def put(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        self.inner.put(key, data)

    def create(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        self.inner.create(key, data)

    def list(  # noqa: D102 (docstring inherited)
        self, prefix: str = "", *, start_after: str = "", limit: int | None = None
    ) -> Iterator[ObjectInfo]:
        return self.inner.list(prefix, start_after=start_after, limit=limit)

    def stat(self, key: str) -> ObjectInfo:  # noqa: D102 (docstring inherited)
        return self.inner.stat(key)

    def delete(self, keys: Iterable[str]) -> None:  # noqa: D102 (docstring inherited)
        self.inner.delete(keys)

    def close(self) -> None:  # noqa: D102 (docstring inherited)
        self.inner.close()

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self.inner.put_file(key, path, progress)

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self.inner.get_file(key, path, progress)

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:  # noqa: D102 (docstring inherited)
        return self.inner.copy_from(_unwrapped(source), source_key, key)

    def now(self) -> datetime | None:  # noqa: D102 (docstring inherited)
        return self.inner.now()

    def sweep(self, older_than: float = 86400.0) -> int:  # noqa: D102 (docstring inherited)
        return self.inner.sweep(older_than)

    def after_fork(self) -> None:  # noqa: D102 (docstring inherited)
        self.inner.after_fork()


def _unwrapped(backend: Backend) -> Backend:
    while isinstance(backend, WrappedBackend):
        backend = backend.inner
    return backend
