"""A backend whose requests fail when they are told to."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from runfolio.errors import RunfolioError, TransientStorageError
from runfolio.store.wrapping import WrappedBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from runfolio.backend import Backend, ObjectInfo, Progress

Operation = Literal["get", "put", "create", "list", "stat", "delete", "copy"]
Fault = Literal["fail", "lose", "tear", "delay"]


@dataclass(slots=True)
class _Rule:
    fault: Fault
    operation: Operation | None
    within: str
    first: int
    times: int
    error: RunfolioError
    seconds: float = 0.0
    seen: int = 0

    def strikes(self, operation: str, key: str) -> bool:
        if (self.operation is not None and operation != self.operation) or self.within not in key:
            return False
        self.seen += 1
        return self.first <= self.seen < self.first + self.times


@final
class FaultyBackend(WrappedBackend):
    """Lets chosen requests fail: before they take effect, after it, or in the middle of it; or take their time.

    `struck` counts the requests that were met. A pickled copy has no faults.

    Args:
        inner: the backend that does the work.
        sleep: waits so many seconds, for `delay`.
    """

    def __init__(self, inner: Backend, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(inner)
        self._sleep = sleep
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self.struck = 0

    def __reduce__(self) -> tuple[type[FaultyBackend], tuple[Backend]]:
        return FaultyBackend, (self.inner,)

    def fail(
        self,
        operation: Operation | None = None,
        *,
        key: str = "",
        nth: int = 1,
        times: int = 1,
        error: RunfolioError | None = None,
    ) -> FaultyBackend:
        """Let requests fail without effect.

        Args:
            operation: only these requests.
            key: only those whose key holds this text.
            nth: the first of them that fails, from 1.
            times: how many fail.
            error: what they raise; `TransientStorageError` by default.

        Returns:
            This backend, so that calls can be chained.
        """
        return self._rule("fail", operation, key, nth, times, error)

    def lose(
        self,
        operation: Operation | None = None,
        *,
        key: str = "",
        nth: int = 1,
        times: int = 1,
        error: RunfolioError | None = None,
    ) -> FaultyBackend:
        """Let requests take effect and their answers be lost. The arguments are those of `fail`."""
        return self._rule("lose", operation, key, nth, times, error)

    def tear(
        self,
        operation: Operation | None = None,
        *,
        key: str = "",
        nth: int = 1,
        times: int = 1,
        error: RunfolioError | None = None,
    ) -> FaultyBackend:
        """Let writes store half of the bytes and fail, as storage does that breaks its promise, and reads return half.

        The arguments are those of `fail`.
        """
        return self._rule("tear", operation, key, nth, times, error)

    def delay(
        self, seconds: float, operation: Operation | None = None, *, key: str = "", nth: int = 1, times: int = 1
    ) -> FaultyBackend:
        """Let requests wait before they are sent. The other arguments are those of `fail`."""
        return self._rule("delay", operation, key, nth, times, None, seconds)

    def heal(self) -> None:
        """Let everything succeed from now on."""
        with self._lock:
            self._rules.clear()

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102 (docstring inherited)
        found: list[bytes] = []
        torn = self._request("get", key, lambda: found.append(self.inner.get(key, start, end)), reading=True)
        return found[0][: len(found[0]) // 2] if torn else found[0]

    def put(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        self._request(
            "put", key, lambda: self.inner.put(key, data), lambda: self.inner.put(key, data[: len(data) // 2])
        )

    def create(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        half = data[: len(data) // 2]
        self._request("create", key, lambda: self.inner.create(key, data), lambda: self.inner.create(key, half))

    def list(  # noqa: D102 (docstring inherited)
        self, prefix: str = "", *, start_after: str = "", limit: int | None = None
    ) -> Iterator[ObjectInfo]:
        found: list[ObjectInfo] = []
        torn = self._request(
            "list",
            prefix,
            lambda: found.extend(self.inner.list(prefix, start_after=start_after, limit=limit)),
            reading=True,
        )
        yield from found[: len(found) // 2] if torn else found
        if torn:
            raise TransientStorageError(
                f"The listing of {prefix!r} broke off, as asked for", operation="list", key=prefix
            )

    def stat(self, key: str) -> ObjectInfo:  # noqa: D102 (docstring inherited)
        found: list[ObjectInfo] = []
        self._request("stat", key, lambda: found.append(self.inner.stat(key)), reading=True)
        return found[0]

    def delete(self, keys: Iterable[str]) -> None:  # noqa: D102 (docstring inherited)
        chosen = [*keys]
        half = chosen[: len(chosen) // 2]
        self._request("delete", " ".join(chosen), lambda: self.inner.delete(chosen), lambda: self.inner.delete(half))

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self._request("put", key, lambda: self.inner.put_file(key, path, progress), lambda: None)

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        self._request("get", key, lambda: self.inner.get_file(key, path, progress), reading=True)

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:  # noqa: D102 (docstring inherited)
        done: list[bool] = []
        copy = super().copy_from
        self._request("copy", key, lambda: done.append(copy(source, source_key, key)), lambda: None)
        return done[0]

    def _rule(
        self,
        fault: Fault,
        operation: Operation | None,
        key: str,
        nth: int,
        times: int,
        error: RunfolioError | None,
        seconds: float = 0.0,
    ) -> FaultyBackend:
        raised = error or TransientStorageError(
            f"The {operation or 'request'} failed, as asked for", operation=operation
        )
        with self._lock:
            self._rules.append(_Rule(fault, operation, key, nth, times, raised, seconds))
        return self

    def _struck(self, operation: str, key: str) -> _Rule | None:
        with self._lock:
            found = [rule for rule in self._rules if rule.strikes(operation, key)]
            self.struck += bool(found)
        return found[0] if found else None

    def _request(
        self,
        operation: str,
        key: str,
        whole: Callable[[], None],
        half: Callable[[], None] | None = None,
        *,
        reading: bool = False,
    ) -> bool:
        """Do the request, or what is left of it; True when a reader is to get only half."""
        rule = self._struck(operation, key)
        if rule is None or rule.fault == "delay":
            if rule is not None:
                self._sleep(rule.seconds)
            whole()
            return False
        if rule.fault == "fail":
            raise rule.error
        if rule.fault == "tear" and reading:
            whole()
            return True
        if rule.fault == "tear" and half is not None:
            half()
        else:
            whole()
        raise rule.error
