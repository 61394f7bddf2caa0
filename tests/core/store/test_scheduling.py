"""The scheduler itself: one request at a time, decided by the seed alone."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from runfolio.errors import TransientStorageError
from runfolio.testing.scheduling import Schedule, World
from runfolio_backends.memory import MemoryBackend

pytestmark = pytest.mark.memory_only("a scheduler decides which request comes next")

_spaces = count()


def _schedule(seed: int, **options: Any) -> Schedule:
    return Schedule(MemoryBackend(f"memory://schedule-{next(_spaces)}"), seed, **options)


def _writer(world: World) -> list[str]:
    for at in range(5):
        world.backend.put(f"k/{world.environment.token()}", bytes([at]))
    return [info.key for info in world.backend.list("k/")]


def test_the_seed_decides_everything() -> None:
    traces = []
    for seed in (1, 1, 2):
        schedule = _schedule(seed, kill=0.05, lose=0.1)
        for name in "abc":
            schedule.actor(name, _writer)
        schedule.run()
        traces.append((schedule.trace, [(actor.killed, actor.outcome) for actor in schedule.actors]))
    assert traces[0] == traces[1] != traces[2]


def test_orders_are_different() -> None:
    orders = set()
    for seed in range(20):
        schedule = _schedule(seed)
        for name in "ab":
            schedule.actor(name, _writer)
        schedule.run()
        orders.add(tuple(name for name, *_ in schedule.trace))
    assert len(orders) > 15


def test_the_killed_make_no_requests() -> None:
    """Not even from `finally`."""

    def stubborn(world: World) -> None:
        try:
            _writer(world)
        finally:
            world.backend.put("after/death", b"")

    killed = 0
    for seed in range(20):
        schedule = _schedule(seed, kill=0.3)
        actor = schedule.actor("stubborn", stubborn)
        schedule.run()
        killed += actor.killed
        assert ([*schedule.backend.list("after/")] == []) == actor.killed
    assert 10 < killed <= 20


def test_lost_answers_took_effect_and_failures_did_not() -> None:
    for what, expected in (({"lose": 1.0}, 1), ({"fail": 1.0}, 0)):
        schedule = _schedule(0, **what)
        actor = schedule.actor("one", lambda world: world.backend.put("k", b""))
        schedule.run()
        assert isinstance(actor.error, TransientStorageError)
        assert len([*schedule.backend.list()]) == expected


def test_pages_are_not_one_snapshot() -> None:
    """A listing of many keys can be overtaken between its pages."""
    torn = 0
    for seed in range(40):
        schedule = _schedule(seed)
        for at in range(9):
            schedule.backend.put(f"k/{at}", b"")

        def swap(world: World) -> None:
            world.backend.put("k/0a", b"")
            world.backend.delete(["k/8"])

        schedule.actor("swap", swap)
        reader = schedule.actor("reader", lambda world: [info.key for info in world.backend.list("k/")])
        schedule.run()
        seen = reader.outcome
        assert isinstance(seen, list)
        torn += "k/0a" not in seen and "k/8" not in seen
    assert torn > 0


def test_clocks_differ_and_sleep_costs_nothing() -> None:
    schedule = _schedule(3)

    def sleep(world: World) -> float:
        before = world.environment.monotonic()
        world.environment.sleep(1e6)
        assert world.environment.monotonic() >= before + 1e6
        return world.environment.wall() - world.environment.monotonic()

    skews = [schedule.actor(name, sleep) for name in "ab"]
    schedule.run()
    assert [actor.error for actor in skews] == [None, None]
    assert skews[0].outcome != skews[1].outcome


def test_actors_may_add_actors_and_wait() -> None:
    schedule = _schedule(4)

    def parent(world: World) -> object:
        child = world.spawn("child", lambda inner: inner.backend.put("k", b"x"))
        while child.ended is None:
            world.pause()
        return world.backend.get("k")

    actor = schedule.actor("parent", parent)
    schedule.run()
    assert actor.outcome == b"x"


def test_the_endless_are_stopped() -> None:
    schedule = _schedule(5)

    def endless(world: World) -> None:
        while True:
            world.backend.put("k", b"")

    schedule.actor("endless", endless)
    with pytest.raises(AssertionError, match="endless"):
        schedule.run(longest=50)


def test_choices_may_come_from_outside() -> None:
    drawn: list[int] = []

    def choose(n: int) -> int:
        drawn.append(n)
        return 0

    schedule = Schedule(MemoryBackend(f"memory://schedule-{next(_spaces)}"), choose=choose)
    schedule.actor("a", _writer)
    schedule.run()
    assert drawn
