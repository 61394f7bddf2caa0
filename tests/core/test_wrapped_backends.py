"""The backends of `runfolio.testing` that wrap another one: what they add to it."""

from __future__ import annotations

import pickle

import pytest

from runfolio.errors import TransientStorageError
from runfolio.store.retrying import RetryingBackend
from runfolio.testing import CountingBackend, FaultyBackend, LatencyBackend, no_wait
from runfolio_backends.memory import MemoryBackend


def test_a_latency_can_be_virtual() -> None:
    far = LatencyBackend(MemoryBackend("memory://far"), 3600.0, sleep=no_wait)
    far.put("a/k", b"x")
    assert b"x" == far.get("a/k")
    assert ["a/k"] == [info.key for info in far.list()]
    assert 3 * 3600.0 == far.waited


def test_each_page_of_a_listing_takes_its_time() -> None:
    inner = MemoryBackend("memory://pages")
    for at in range(2000):
        inner.put(f"p/{at:04d}", b"")
    for count, requests in ((1, 1), (1000, 1), (1001, 2), (2000, 2)):
        far = LatencyBackend(inner, 1.0, sleep=no_wait)
        assert count == len([*far.list(limit=count)])
        assert requests == far.waited


def test_chosen_requests_are_delayed_and_do_their_work() -> None:
    waited: list[float] = []
    slow = FaultyBackend(MemoryBackend("memory://slow"), sleep=waited.append)
    slow.delay(7.0, "put", key="a/", nth=2, times=2)
    for at in range(4):
        slow.put(f"a/{at}", b"x")
        slow.put(f"b/{at}", b"x")
    assert [7.0, 7.0] == waited
    assert 2 == slow.struck
    assert 8 == len([*slow.list()])


def test_a_copy_of_a_wrapper_begins_anew() -> None:
    counting = CountingBackend(RetryingBackend(FaultyBackend(MemoryBackend("memory://copied")).fail("get", times=99)))
    counting.put("k", b"x")
    with pytest.raises(TransientStorageError):
        counting.inner.inner.get("k")  # type: ignore[attr-defined]  # what it wraps
    copy = pickle.loads(pickle.dumps(counting))
    assert 0 == len(copy)
    assert b"x" == copy.get("k")
    far = pickle.loads(pickle.dumps(LatencyBackend(counting, 5.0, sleep=no_wait)))
    assert b"x" == far.get("k")
    assert 5.0 == far.waited
