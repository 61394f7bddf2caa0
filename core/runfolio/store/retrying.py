"""Requests that failed for the moment are sent again, a bounded number of times and for a bounded time.

`create` is not among them: what to do after a doubtful create is decided in `runfolio.store.created`, by reading back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, final

from runfolio.errors import StorageError
from runfolio.store.environment import Environment
from runfolio.store.wrapping import WrappedBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from runfolio.backend import Backend, ObjectInfo, Progress

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and for how long, a request is sent again.

    Attributes:
        attempts: how often it is sent at most, the first time included.
        first: seconds before the second time; doubled from then on, each time with full jitter.
        longest: the longest wait between two times.
        deadline: after so many seconds it is not sent again.
    """

    attempts: int = 6
    first: float = 0.2
    longest: float = 10.0
    deadline: float = 60.0


PATIENT = Patience()
ONCE = Patience(attempts=1)


@final
class Attempts:
    """Counts the times one request was sent and waits between them."""

    def __init__(self, patience: Patience, environment: Environment) -> None:
        self._patience = patience
        self._environment = environment
        self._made = 0
        self._until = environment.monotonic() + patience.deadline

    def wait(self, error: StorageError) -> None:
        """Wait before the next time, or raise `error` when there is none: it cannot help, or patience is at its end."""
        self._made += 1
        if not error.retryable or self._made >= self._patience.attempts:
            raise error
        pause = (
            min(self._patience.longest, self._patience.first * 2 ** (self._made - 1))
            * self._environment.chance.random()
        )
        if self._environment.monotonic() + pause > self._until:
            raise error
        self._environment.sleep(pause)


@final
class RetryingBackend(WrappedBackend):
    """A backend whose reads, puts and deletes survive passing trouble.

    Args:
        inner: the backend beneath.
        patience: how often and how long.
        environment: clock, sleep and chance.
    """

    def __init__(self, inner: Backend, patience: Patience = PATIENT, environment: Environment | None = None) -> None:
        super().__init__(inner)
        self._patience = patience
        self._environment = environment or Environment()

    def __reduce__(self) -> tuple[type[RetryingBackend], tuple[Backend, Patience]]:
        return RetryingBackend, (self.inner, self._patience)  # clocks and chance are those of the other process

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102 (docstring inherited)
        return self._again(lambda: self.inner.get(key, start, end))

    def put(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        self._again(lambda: self.inner.put(key, data))

    def list(  # noqa: D102 (docstring inherited)
        self, prefix: str = "", *, start_after: str = "", limit: int | None = None
    ) -> Iterator[ObjectInfo]:
        attempts, after, left = Attempts(self._patience, self._environment), start_after, limit
        while True:
            try:
                for info in self.inner.list(prefix, start_after=after, limit=left):
                    yield info
                    after = info.key
                    left = None if left is None else left - 1
            except StorageError as error:
                attempts.wait(error)
            else:
                return

    def stat(self, key: str) -> ObjectInfo:  # noqa: D102 (docstring inherited)
        return self._again(lambda: self.inner.stat(key))

    def delete(self, keys: Iterable[str]) -> None:  # noqa: D102 (docstring inherited)
        chosen = list(keys)
        self._again(lambda: self.inner.delete(chosen))

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self._again(lambda: self.inner.put_file(key, path, progress))

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self._again(lambda: self.inner.get_file(key, path, progress))

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:  # noqa: D102 (docstring inherited)
        return self._again(lambda: super(RetryingBackend, self).copy_from(source, source_key, key))

    def _again(self, request: Callable[[], _T]) -> _T:
        attempts = Attempts(self._patience, self._environment)
        while True:
            try:
                return request()
            except StorageError as error:
                attempts.wait(error)
