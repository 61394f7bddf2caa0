"""Actors that run real code over one store, one request at a time, in an order that a seed decides.

Each actor runs in its own thread over its own view of one backend. The view parks before and after every request, so at
any moment exactly one actor moves, and only as far as its next request. What happens there is drawn: it goes on, its
answer is lost, or it is killed, before or after the request took effect. Listings come in pages of three keys, each
page a request. Clocks are virtual, differ from actor to actor, and jump.

How to use it::

    schedule = Schedule(MemoryBackend("memory://trial"), seed=7, kill=0.02, lose=0.05)
    schedule.actor("start", lambda world: start_a_run(world.backend, world.environment))
    schedule.actor("reader", read_everything)
    schedule.run()                       # until every actor has come to its end, or was killed
    for actor in schedule.actors: ...    # .outcome, .error, .killed, .began, .ended
    with schedule.calm() as world: ...   # afterwards: the same code without faults, in this thread
    world.backend.list()

`began` and `ended` are steps of the schedule, so that "was acknowledged before that reader began" can be told:
`World.step()` gives the present step inside an actor. An actor that was killed gets `Killed` (a `BaseException`, like
the end of a process) out of each request it still tries. Actors may be added while the schedule runs, with
`World.spawn`, for instance by one that finds another dead.

Code under test gets parallelism and time from its `Environment` only, and starts no threads.
"""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from runfolio.errors import TransientStorageError
from runfolio.store.environment import Environment, serially
from runfolio.store.retrying import Patience
from runfolio.store.wrapping import WrappedBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from runfolio.backend import Backend, ObjectInfo, Progress

PAGE: Final = 3
_EPOCH: Final = 1_700_000_000.0
_STUCK: Final = 30.0
DOGGED: Final = Patience(attempts=50, first=0.01, longest=1.0, deadline=1e9)
"""A patience that outlasts every passing fault of a schedule."""


class Killed(BaseException):
    """The actor was killed at this request."""


@dataclass(slots=True)
class Turn:
    """Where an actor stands between its moves; of interest to the schedule only."""

    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    thread: threading.Thread | None = None
    order: str = "go"
    at: str = "begin"


@dataclass(slots=True)
class Actor:
    """One actor and what became of it.

    Attributes:
        name: for messages.
        outcome: what its body returned.
        error: the exception it ended with, if it was not killed.
        killed: it was killed.
        began: the step of its first move.
        ended: the step after its last; None while it lives.
        requests: how many requests it made.
        turn: where it stands.
    """

    name: str
    body: Callable[[World], object]
    skew: float
    mortal: bool
    outcome: object = None
    error: BaseException | None = None
    killed: bool = False
    began: int | None = None
    ended: int | None = None
    requests: int = 0
    turn: Turn = field(default_factory=Turn)


@dataclass(frozen=True, slots=True)
class World:
    """What an actor sees.

    Attributes:
        backend: the store, one request at a time.
        environment: virtual clocks and seeded chance; requests one after the other.
        schedule: the schedule it is part of.
    """

    backend: Backend
    environment: Environment
    schedule: Schedule

    def step(self) -> int:
        """Return the present step."""
        return self.schedule.step

    def pause(self) -> None:
        """Let the others move, without a request: to wait for something that they do."""
        if isinstance(self.backend, _ScheduledBackend):
            self.backend.pause()

    def spawn(self, name: str, body: Callable[[World], object], **options: Any) -> Actor:
        """Add another actor, which moves from now on. The options are those of `Schedule.actor`."""
        return self.schedule.actor(name, body, **options)


@final
class Schedule:
    """A set of actors and the order in which they move.

    Args:
        backend: the store they share: one without delays, such as the memory backend.
        seed: decides everything.
        choose: picks one of `n`, instead of the seed: for hypothesis, ``lambda n: data.draw(integers(0, n - 1))``.
        kill: probability that a mortal actor dies at a request.
        lose: probability that the answer to a request is lost after it took effect.
        fail: probability that a request fails without effect.
        jump: probability that the time jumps between two steps, by seconds to a day.
    """

    def __init__(
        self,
        backend: Backend,
        seed: int = 0,
        *,
        choose: Callable[[int], int] | None = None,
        kill: float = 0.0,
        lose: float = 0.0,
        fail: float = 0.0,
        jump: float = 0.01,
    ) -> None:
        self.backend = backend
        self.actors: list[Actor] = []
        self.step = 0
        self._random = random.Random(seed)
        self._choose = choose or self._random.randrange
        self._odds = {"kill": kill, "lose": lose, "fail": fail, "jump": jump}
        self._now = _EPOCH
        self._parked = threading.Semaphore(0)
        self.trace: list[tuple[str, str, str, str]] = []

    def actor(
        self, name: str, body: Callable[[World], object], *, skew: float | None = None, mortal: bool = True
    ) -> Actor:
        """Add an actor.

        Args:
            name: for messages.
            body: what it does; its world is the argument.
            skew: seconds by which its clock is wrong; up to five minutes either way by default.
            mortal: it may be killed.
        """
        if skew is None:
            skew = (self._choose(601) - 300) * 1.0
        actor = Actor(name, body, skew, mortal)
        self.actors.append(actor)
        return actor

    def run(self, *, longest: int = 200_000) -> None:
        """Let the actors move until all have come to their end.

        Raises:
            AssertionError: they did not after `longest` steps, or one of them blocks on something that is no request.
        """
        while waiting := [one for one in self.actors if one.ended is None]:
            if self.step >= longest:
                self._end_all(waiting)
                raise AssertionError(f"after {longest} steps these are still at work: {[one.name for one in waiting]}")
            self._move(waiting[self._choose(len(waiting))])

    @contextmanager
    def calm(self) -> Generator[World]:
        """Give a world without faults, for what is done in this thread before or after."""
        yield World(_PagedBackend(self.backend), self._environment(0.0), self)

    def _move(self, actor: Actor) -> None:
        self.step += 1
        self._now += 0.001 * (1 + self._choose(1000))
        if self._happens("jump"):
            self._now += float(10 ** self._choose(5))
        if actor.began is None:
            actor.began = self.step
            world = World(_ScheduledBackend(self.backend, self, actor), self._environment(actor.skew), self)
            actor.turn.thread = threading.Thread(target=self._live, args=(actor, world), daemon=True)
            actor.turn.thread.start()
        else:
            actor.turn.order = self._draw_order(actor)
            actor.turn.go.release()
        if not self._parked.acquire(timeout=_STUCK):
            raise AssertionError(f"the actor {actor.name} blocks on something that is no request")

    def _draw_order(self, actor: Actor) -> str:
        if actor.mortal and self._happens("kill"):
            return "kill"
        if actor.turn.at == "after" and self._happens("lose"):
            return "lose"
        if actor.turn.at == "before" and self._happens("fail"):
            return "fail"
        return "go"

    def _happens(self, what: str) -> bool:
        odds = self._odds[what]
        return odds > 0 and self._choose(1000) >= 1000 - int(odds * 1000)

    def _live(self, actor: Actor, world: World) -> None:
        try:
            actor.outcome = actor.body(world)
        except Killed:
            actor.killed = True
        except BaseException as error:  # noqa: BLE001 (the top of a thread: whatever happened is the outcome)
            actor.error = error
        actor.ended = self.step
        self._parked.release()

    def park(self, actor: Actor, at: str, operation: str, key: str) -> None:
        """Hand over at a request and come back when it is this actor's turn."""
        if actor.killed:
            raise Killed(f"{actor.name} is dead already")
        actor.turn.at = at
        self._parked.release()
        actor.turn.go.acquire()
        self.trace.append((actor.name, f"{at}:{actor.turn.order}", operation, key))
        if actor.turn.order == "kill":
            actor.killed = True
            raise Killed(f"{actor.name} {at} {operation} {key}")
        if actor.turn.order in ("lose", "fail"):
            raise TransientStorageError(f"{actor.turn.order} {operation} {key}", operation=operation, key=key)

    def _end_all(self, waiting: list[Actor]) -> None:
        for actor in waiting:
            if actor.began is not None:
                actor.turn.order = "kill"
                actor.turn.go.release()
                self._parked.acquire(timeout=_STUCK)

    def _environment(self, skew: float) -> Environment:
        chance = random.Random(self._choose(2**30))

        def sleep(seconds: float) -> None:
            self._now += seconds

        return Environment(
            wall=lambda: self._now + skew,
            monotonic=lambda: self._now,
            sleep=sleep,
            chance=chance,
            token=lambda: f"{chance.getrandbits(64):016x}",
            gather=serially,
        )


class _PagedBackend(WrappedBackend):
    """Listings in pages, which are not one snapshot."""

    def request(self, operation: str, key: str, call: Callable[[], Any]) -> Any:
        """Make one request."""
        del operation, key
        return call()

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        found: bytes = self.request("get", key, lambda: self.inner.get(key, start, end))
        return found

    def put(self, key: str, data: bytes) -> None:
        self.request("put", key, lambda: self.inner.put(key, data))

    def create(self, key: str, data: bytes) -> None:
        self.request("create", key, lambda: self.inner.create(key, data))

    def list(self, prefix: str = "", *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        after, left = start_after, limit
        while left is None or left > 0:
            count = PAGE if left is None else min(PAGE, left)
            page = self._page(prefix, after, count)
            yield from page
            if len(page) < count:
                return
            after = page[-1].key
            left = None if left is None else left - count

    def _page(self, prefix: str, after: str, count: int) -> Sequence[ObjectInfo]:
        found: Sequence[ObjectInfo] = self.request(
            "list", prefix, lambda: [*self.inner.list(prefix, start_after=after, limit=count)]
        )
        return found

    def stat(self, key: str) -> ObjectInfo:
        found: ObjectInfo = self.request("stat", key, lambda: self.inner.stat(key))
        return found

    def delete(self, keys: Iterable[str]) -> None:
        """Delete key by key: a delete of many is not one step for those who look."""
        for key in [*keys]:
            self.request("delete", key, partial(self.inner.delete, [key]))

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:
        self.request("put", key, lambda: self.inner.put_file(key, path, progress))

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:
        self.request("get", key, lambda: self.inner.get_file(key, path, progress))

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:
        copy = super().copy_from
        done: bool = self.request("copy", key, lambda: copy(source, source_key, key))
        return done


@final
class _ScheduledBackend(_PagedBackend):
    def __init__(self, inner: Backend, schedule: Schedule, actor: Actor) -> None:
        super().__init__(inner)
        self._schedule = schedule
        self._actor = actor

    def pause(self) -> None:
        self._schedule.park(self._actor, "pause", "", "")

    def request(self, operation: str, key: str, call: Callable[[], Any]) -> Any:
        self._schedule.park(self._actor, "before", operation, key)
        self._actor.requests += 1
        error: Exception | None = None
        found: Any = None
        try:
            found = call()
        except Exception as raised:  # noqa: BLE001 (raised below, unless the answer is lost)
            error = raised
        self._schedule.park(self._actor, "after", operation, key)
        if error is not None:
            raise error
        return found
