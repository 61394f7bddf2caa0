"""Folding: when, with which requests, what it removes, and that it may stop anywhere."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from runfolio import layout
from runfolio.errors import PermissionDeniedError, StorageError
from runfolio.index.checkpoint import load
from runfolio.index.folding import fold
from runfolio.index.view import LONGEST, SHORTEST, Index
from runfolio.store.environment import Environment
from runfolio.store.retrying import PATIENT, RetryingBackend
from runfolio.testing import CountingBackend, FaultyBackend

if TYPE_CHECKING:
    from collections.abc import Callable


def index_of(store: Any) -> Index:
    return Index(store.backend, clock=store.clock.moment)


def rows(store: Any) -> Any:
    found = Index(store.backend).refresh().rows()
    return {run_id: {key: value for key, value in row.items() if key != "changed"} for run_id, row in found.items()}


def test_a_short_log_is_left_alone(store: Any) -> None:
    store.run(1)
    assert fold(index_of(store), threshold=3).outcome == "short"
    assert store.keys(layout.INDEX) == []


def test_processes_fold_at_different_lengths() -> None:
    from runfolio_backends.memory import MemoryBackend

    drawn = {Index(MemoryBackend("memory://thresholds")).threshold for _ in range(50)}
    assert len(drawn) > 5
    assert min(drawn) >= SHORTEST
    assert max(drawn) <= LONGEST
    same = [Index(MemoryBackend("memory://x"), environment=Environment(chance=random.Random(1))) for _ in range(2)]
    assert same[0].threshold == same[1].threshold


@pytest.mark.memory_only("the clock of its storage is the test's")
def test_a_fold_takes_six_requests_and_a_get_for_each_entry(store: Any) -> None:
    for number in range(20):
        store.run(number)
    counting = CountingBackend(store.backend)
    index = Index(counting)
    assert fold(index, threshold=3).applied == 40
    assert counting.counts() == {"list": 3, "put": 1, "get": 40, "create": 1, "delete": 1}  # a full one: LIST beats/
    store.clock.now += 100
    store.run(20)
    store.run(21)
    counting.reset()
    report = fold(index, threshold=3)
    assert (report.outcome, report.full, report.rows, report.applied) == ("folded", False, 2, 4)
    assert counting.counts() == {"list": 2, "put": 1, "get": 1 + 4, "create": 1, "delete": 1}


def test_entries_go_only_after_the_next_checkpoint_has_come(store: Any) -> None:
    store.run(1)
    first = store.keys(layout.LOG)
    fold(index_of(store), force=True)
    assert store.keys(layout.LOG) == first
    store.run(2)
    fold(index_of(store), force=True)
    left = store.keys(layout.LOG)
    assert not set(first) & set(left)
    assert len(left) == 2


@pytest.mark.memory_only("the clock of its storage is the test's")
def test_a_second_fold_waits_until_there_is_something_new(store: Any) -> None:
    """Entries stay in the log after a fold; by the store's times they are known to be folded."""
    for number in range(3):
        store.run(number)
    store.clock.now += 100
    assert fold(index_of(store), threshold=4).outcome == "folded"
    store.clock.now += 100
    store.run(3)
    counting = CountingBackend(store.backend)
    assert fold(Index(counting), threshold=4).outcome == "recent"
    assert counting.counts() == {"list": 2}
    store.run(4)
    assert fold(index_of(store), threshold=4).applied == 4


@pytest.mark.memory_only("the clock of its storage is the test's")
@pytest.mark.parametrize(("age", "outcome"), [(0, "under way"), (59, "under way"), (61, "folded")])
def test_fresh_advice_is_followed_and_old_advice_is_not(store: Any, age: int, outcome: str) -> None:
    store.run(1)
    store.backend.put(layout.FOLD_ADVICE, b"{}")
    store.clock.now += age
    store.run(2)
    assert fold(Index(store.backend), threshold=1).outcome == outcome
    if outcome == "folded":
        assert layout.FOLD_ADVICE not in store.keys(layout.LOG)


@pytest.mark.clouds_on_request("hundreds of requests in one test")
def test_deltas_are_written_until_they_reach_an_eighth_of_their_base(store: Any) -> None:
    for number in range(16):
        store.run(number)
    fold(index_of(store), force=True)
    reports = []
    for number in range(16, 20):
        store.run(number)
        reports.append(fold(index_of(store), force=True))
    assert [report.full for report in reports] == [False, True, False, False]
    assert [report.rows for report in reports] == [1, 18, 1, 2]
    assert len(Index(store.backend).refresh()) == 20


def test_an_edit_of_an_old_run_is_one_row(store: Any) -> None:
    ids = [store.run(number) for number in range(40)]
    fold(index_of(store), force=True)
    store.write(store.documents.edit(ids[3], "name", "x"))
    assert fold(index_of(store), force=True).rows == 1
    view = Index(store.backend).refresh()
    assert view.ids == ids[::-1]
    assert view.table.column("name")[36].as_py() == "x"


@pytest.mark.clouds_on_request("hundreds of requests in one test")
def test_checkpoints_beyond_three_go_but_never_a_base(store: Any) -> None:
    for number in range(100):
        store.run(number)
    fold(index_of(store), force=True)
    for number in range(100, 106):
        store.run(number)
        fold(index_of(store), force=True)
    assert [layout.sequence_of(key) for key in store.keys(layout.INDEX)] == [7, 6, 5, 1]
    for number in range(106, 114):
        store.run(number)
        fold(index_of(store), force=True)
    kept = {layout.sequence_of(key): store.backend.get(key) for key in store.keys(layout.INDEX)}
    bases = {checkpoint.base.seq for data in kept.values() if (checkpoint := load(data, "x")).base is not None}
    assert bases <= set(kept)
    assert len(kept) <= 5
    assert len(Index(store.backend).refresh()) == 114


@pytest.mark.memory_only("the clock of its storage is the test's")
def test_beats_of_more_than_a_week_go_with_a_full_checkpoint(store: Any) -> None:
    old, new = store.documents.run_id(1), store.documents.run_id(2)
    store.beat(store.documents.beat(old))
    store.clock.now += 8 * 86_400
    store.beat(store.documents.beat(new))
    store.run(3)
    fold(Index(store.backend), force=True)
    assert [layout.beat_of(key)[0] for key in store.keys(layout.BEATS)] == [new]  # type: ignore[index]  # it is a beat


def test_who_may_not_delete_folds_all_the_same(store: Any) -> None:
    store.run(1)
    fold(index_of(store), force=True)
    store.run(2)
    faulty = FaultyBackend(store.backend)
    faulty.fail("delete", times=100, error=PermissionDeniedError("no"))
    report = fold(Index(faulty), force=True)
    assert (report.outcome, report.refused, report.removed) == ("folded", True, 0)
    assert len(Index(store.backend).refresh()) == 2
    fold(index_of(store), force=True)
    fold(index_of(store), force=True)
    assert store.keys(layout.LOG) == []


@pytest.mark.parametrize("nth", range(1, 12))
@pytest.mark.parametrize("lost", [False, True])
def test_a_fold_that_breaks_at_any_request_loses_nothing(new_store: Callable[[], Any], nth: int, lost: bool) -> None:
    store = new_store()
    for number in range(3):
        store.run(number)
    fold(index_of(store), force=True)
    store.write(
        store.documents.edit(store.documents.run_id(1), "name", "x"), store.documents.start(store.documents.run_id(9))
    )
    before = rows(store)
    faulty = FaultyBackend(store.backend)
    (faulty.lose if lost else faulty.fail)(nth=nth)
    try:
        fold(Index(faulty), force=True)
    except StorageError:
        assert faulty.struck
    assert rows(store) == before
    for _ in range(2):
        fold(index_of(store), force=True)
    assert rows(store) == before
    assert store.keys(layout.LOG) == []


def test_a_lost_answer_to_the_create_is_read_back(store: Any) -> None:
    store.run(1)
    faulty = FaultyBackend(store.backend)
    faulty.lose("create", key=layout.INDEX)
    environment = Environment(sleep=lambda _: None)
    report = fold(Index(RetryingBackend(faulty, PATIENT, environment), environment=environment), force=True)
    assert (report.outcome, report.seq) == ("folded", 1)
    assert faulty.struck


def test_a_slower_fold_gives_way(store: Any) -> None:
    store.run(1)
    slow = Index(store.backend)
    create = store.backend.create

    def overtaken(key: str, data: bytes) -> None:
        store.backend.create = create
        fold(index_of(store), force=True)
        create(key, data)

    store.backend.create = overtaken
    assert fold(slow, force=True).outcome == "overtaken"
    assert len(Index(store.backend).refresh()) == 1


@pytest.mark.memory_only("the clock of its storage is the test's")
def test_the_tail_stays_near_the_threshold(store: Any) -> None:
    """I6: whoever ends a run looks at the log once; requests of a list do not grow with the runs."""
    longest = 0
    index = index_of(store)
    for number in range(150):
        store.clock.now += 5
        store.run(number)
        fold(index, threshold=random.Random(number).randint(8, 16))
        longest = max(longest, len(store.keys(layout.LOG)))
    counting = CountingBackend(store.backend)
    view = Index(counting).refresh()
    assert len(view) == 150
    assert view.unfolded <= 16
    assert longest <= 3 * 16
    assert len(counting) <= 5 + view.unfolded
