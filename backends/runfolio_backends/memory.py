"""A store in the memory of this process: for tests, trials and notebooks that keep nothing."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, final

from runfolio.backend import Backend, Capabilities, ObjectInfo
from runfolio.errors import AlreadyExistsError, ConfigurationError, NotFoundError

_PAGE: Final = 1000
_SCHEME: Final = "memory://"


@dataclass(slots=True)
class _Space:
    """The objects of one name.

    `keys` stays sorted: Python orders str by code point, which is the order of the UTF-8 bytes.
    """

    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


_spaces: dict[str, _Space] = {}
_spaces_lock = threading.Lock()


@final
class MemoryBackend(Backend):
    """Objects in a dict that all backends of the same name in this process share.

    A fork gets a copy; another process that unpickles this backend finds an empty store of the same name.

    Args:
        url: ``memory://name``, or the bare name.
        clock: tells the time of modification, in seconds since the epoch.
        single_writer: taken, and of no effect: creating is exclusive here anyway.

    Raises:
        ConfigurationError: the URL has no name.
    """

    name = "memory"

    def __init__(
        self, url: str = "memory://default", *, clock: Callable[[], float] = time.time, single_writer: bool = False
    ) -> None:
        del single_writer
        self._name = url.removeprefix(_SCHEME).strip("/")
        if not self._name or "://" in self._name:
            raise ConfigurationError(
                f"{url!r} is not the URL of a memory store: expected memory://<name>", backend=self.name
            )
        self._clock = clock
        with _spaces_lock:
            self._space = _spaces.setdefault(self._name, _Space())

    def __reduce__(self) -> tuple[type[MemoryBackend], tuple[str]]:
        return MemoryBackend, (self.url,)

    @property
    def url(self) -> str:
        """The root of the store."""
        return f"{_SCHEME}{self._name}"

    @property
    def capabilities(self) -> Capabilities:
        """No other process reaches these objects."""
        return Capabilities(shared=False)

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102 (docstring inherited)
        with self._space.lock:
            found = self._space.objects.get(key)
        if found is None:
            raise self._missing(key, "get")
        data = found[0]
        return data if start is None and end is None else data[start:end]

    def put(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        with self._space.lock:
            self._store(key, data)

    def create(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        with self._space.lock:
            if key in self._space.objects:
                raise AlreadyExistsError(
                    f"{key} exists already in {self.url}", backend=self.name, key=key, operation="create"
                )
            self._store(key, data)

    def list(self, prefix: str = "", *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:  # noqa: D102 (docstring inherited)
        after, left = start_after, limit
        while left is None or left > 0:
            page = self._page(prefix, after, _PAGE if left is None else min(left, _PAGE))
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].key
            left = None if left is None else left - len(page)

    def stat(self, key: str) -> ObjectInfo:  # noqa: D102 (docstring inherited)
        with self._space.lock:
            found = self._space.objects.get(key)
        if found is None:
            raise self._missing(key, "stat")
        return _info(key, found)

    def delete(self, keys: Iterable[str]) -> None:  # noqa: D102 (docstring inherited)
        for key in keys:
            with self._space.lock:
                if self._space.objects.pop(key, None) is not None:
                    del self._space.keys[bisect_left(self._space.keys, key)]

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:  # noqa: D102 (docstring inherited)
        if not isinstance(source, MemoryBackend):
            return False
        self.put(key, source.get(source_key))
        return True

    def close(self) -> None:
        """Do nothing: the objects live as long as the process."""

    def now(self) -> datetime:
        """Return what the clock shows that the times of modification come from."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may have held."""
        self._space.lock = threading.Lock()

    def clear(self) -> None:
        """Forget all objects of this store."""
        with self._space.lock:
            self._space.objects.clear()
            self._space.keys.clear()

    def _store(self, key: str, data: bytes) -> None:
        if key not in self._space.objects:
            insort(self._space.keys, key)
        self._space.objects[key] = (bytes(data), self._clock())

    def _page(self, prefix: str, after: str, count: int) -> Sequence[ObjectInfo]:
        with self._space.lock:
            keys = self._space.keys
            at = bisect_left(keys, prefix) if after < prefix else bisect_right(keys, after)
            found = keys[at : at + count]
            return [_info(key, self._space.objects[key]) for key in found if key.startswith(prefix)]

    def _missing(self, key: str, operation: str) -> NotFoundError:
        return NotFoundError(f"{key} is not in {self.url}", backend=self.name, key=key, operation=operation)


def _info(key: str, stored: tuple[bytes, float]) -> ObjectInfo:
    return ObjectInfo(key, len(stored[0]), datetime.fromtimestamp(stored[1], UTC))
