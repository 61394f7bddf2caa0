"""What the protocol needs of the world around it: clocks, sleep, chance, and how requests run side by side."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol, TypeVar

from runfolio.ids import new_token

_T = TypeVar("_T")
_WORKERS: Final = 16


class Gather(Protocol):
    """Runs independent calls, in parallel or not, and returns their results in order."""

    def __call__(self, calls: Sequence[Callable[[], _T]]) -> list[_T]:
        """Return what each call returned; the first exception is raised once all of them have come to an end."""
        ...


def serially(calls: Sequence[Callable[[], _T]]) -> list[_T]:
    """Run one call after the other, in this thread."""
    return [call() for call in calls]


def in_threads(calls: Sequence[Callable[[], _T]]) -> list[_T]:
    """Run calls in up to 16 threads that live no longer than this call. A single one runs in this thread.

    They are plain threads: a pool of `concurrent.futures` takes no work while the interpreter ends, which is when many
    runs end, and would keep it waiting for a request that hangs. This thread works too, so that all is done where no
    other can begin (as Python 3.12 has it at that time).
    """
    if len(calls) < 2:  # noqa: PLR2004 (one call needs no thread)
        return serially(calls)
    left = iter(range(len(calls)))
    lock = threading.Lock()
    results: dict[int, _T] = {}
    errors: dict[int, BaseException] = {}

    def work() -> None:
        while True:
            with lock:
                at = next(left, None)
            if at is None:
                return
            try:
                results[at] = calls[at]()
            except BaseException as error:  # noqa: BLE001 (the top of a thread: raised in the caller below)
                errors[at] = error

    threads = [
        threading.Thread(target=work, name=f"runfolio-requests-{at}", daemon=True)
        for at in range(min(len(calls), _WORKERS) - 1)
    ]
    begun = []
    with contextlib.suppress(RuntimeError):
        for thread in threads:
            thread.start()
            begun.append(thread)
    work()
    for thread in begun:
        thread.join()
    if errors:
        raise errors[min(errors)]
    return [results[at] for at in range(len(calls))]


@dataclass(frozen=True, slots=True)
class Environment:
    """Clocks, sleep, chance and parallelism, each replaceable.

    Attributes:
        wall: seconds since the epoch, by this machine's clock. For names and for people; no decision rests on it.
        monotonic: seconds from some moment, never going back.
        sleep: waits so many seconds.
        chance: where jitter and random skips come from. Nothing secret.
        token: makes 64 random bits as 16 hex digits.
        gather: runs independent requests.
    """

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: random.Random = field(default_factory=random.Random)
    token: Callable[[], str] = new_token
    gather: Gather = in_threads

    def microseconds(self) -> int:
        """The wall clock in whole microseconds."""
        return int(self.wall() * 1_000_000)

    def timestamp(self) -> str:
        """The wall clock as documents spell it."""
        return spell_time(self.microseconds())


def spell_time(microseconds: int) -> str:
    """Return a moment as documents spell it: ISO 8601, UTC, microseconds."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat(timespec="microseconds")
