"""What the tests of the protocol share: a store of each kind, journals in memory, and runs to put there."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from runfolio.store.environment import Environment, serially
from runfolio.store.pushing import Pusher
from runfolio.store.retrying import Patience
from runfolio.testing import CountingBackend
from runfolio.testing.spooling import MemorySpool

if TYPE_CHECKING:
    from collections.abc import Callable

    from runfolio.backend import Backend


@pytest.fixture
def backend(store_url: str, open_backend: Callable[[str], Backend]) -> Backend:
    """An empty store, on each kind in turn."""
    return open_backend(store_url)


@pytest.fixture
def counted(backend: Backend) -> CountingBackend:
    """The same store, with its requests counted."""
    return CountingBackend(backend)


class MakeSpool(Protocol):
    def __call__(self, number: int = 0, *, project: str = "iris", name: str = "main") -> MemorySpool: ...


@pytest.fixture
def make_spool() -> MakeSpool:
    """Make the journal of a run of its own."""

    def make(number: int = 0, *, project: str = "iris", name: str = "main") -> MemorySpool:
        run_id = f"{project}_1700000000000-{number:05d}"
        return MemorySpool(run_id, project, f"{name}.{number:016x}")

    return make


class StartFields(Protocol):
    def __call__(self, spool: MemorySpool, uid: str | None = None, **fields: Any) -> dict[str, Any]: ...


@pytest.fixture
def start_fields() -> StartFields:
    """Make the fields of a start record."""

    def make(spool: MemorySpool, uid: str | None = None, **fields: Any) -> dict[str, Any]:
        uid = uid or f"{random.Random(spool.run_id).getrandbits(128):032x}"
        document = {
            "run": spool.run_id,
            "uid": uid,
            "project": spool.project,
            "experiment": "train.py",
            "argv": [],
            "tags": [],
            "main": spool.writer,
            "created": "2026-01-01T00:00:00.000000+00:00",
            "params": {"lr": 0.1},
            "packages": {"numpy": "1"},
        }
        return {**document, **fields}

    return make


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def environment(clock: Clock) -> Environment:
    """An environment whose clock stands still, whose sleep costs nothing, and whose chance is seeded."""
    chance = random.Random(1)

    def token() -> str:
        return f"{chance.getrandbits(64):016x}"

    return Environment(wall=clock, monotonic=clock, sleep=clock.sleep, chance=chance, token=token, gather=serially)


class MakePusher(Protocol):
    def __call__(self, backend: Backend, spool: MemorySpool, **options: Any) -> Pusher: ...


@pytest.fixture
def make_pusher(environment: Environment) -> MakePusher:
    """Make a pusher for a journal."""

    def make(backend: Backend, spool: MemorySpool, **options: Any) -> Pusher:
        options.setdefault("environment", environment)
        options.setdefault("patience", Patience(attempts=8))
        return Pusher(backend, spool, **options)

    return make
