"""A backend that keeps a list of the requests made through it, as a bill would count them."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple, final

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
        operation: ``get``, ``put``, ``create``, ``list``, ``stat`` or ``delete``.
        key: the key, the prefix of a listing, or the first key of a delete.
        size: bytes that were read or written.
        failed: it ended with an error.
    """

    operation: str
    key: str
    size: int = 0
    failed: bool = False


@final
class CountingBackend(WrappedBackend):
    """Counts what passes through to another backend. `requests` lists it in order.

    Args:
        inner: the backend that does the work.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.requests: list[Request] = []
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[CountingBackend], tuple[Backend]]:
        return CountingBackend, (self.inner,)  # a copy begins to count anew

    def reset(self) -> None:
        """Forget what was counted."""
        with self._lock:
            self.requests.clear()

    def __len__(self) -> int:
        return len(self.requests)

    def __bool__(self) -> bool:
        return True  # an unused one is still a backend

    def counts(self) -> Counter[str]:
        """Return how often each operation was asked for."""
        with self._lock:
            return Counter(request.operation for request in self.requests)

    def written(self) -> int:
        """Return the number of bytes put and created."""
        with self._lock:
            return sum(one.size for one in self.requests if one.operation in ("put", "create") and not one.failed)

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
        self._counted("put", key, lambda: self.inner.put_file(key, path, progress), lambda: path.stat().st_size)

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self._counted("get", key, lambda: self.inner.get_file(key, path, progress), lambda: path.stat().st_size)

    def _counted(
        self, operation: str, key: str, request: Callable[[], None], size: Callable[[], int] = lambda: 0
    ) -> None:
        try:
            request()
        except RunfolioError:
            self._add(Request(operation, key, failed=True))
            raise
        self._add(Request(operation, key, size()))

    def _add(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
