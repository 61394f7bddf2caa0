"""Running or Lost: told by the store's clock, whatever the clocks of writers and readers show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runfolio.index.folding import fold
from runfolio.index.liveness import FRESH, StoreClock
from runfolio.index.view import Index
from runfolio.records import record_of
from runfolio.store.environment import Environment
from runfolio.testing import CountingBackend

MINUTE = 60.0
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def running(store: Any, number: int = 1, **beat: Any) -> str:
    """A run that has started, whose entry is folded and gone, with a beat."""
    documents = store.documents
    run_id: str = documents.run_id(number)
    store.write(documents.start(run_id))
    for _ in range(2):
        fold(Index(store.backend), force=True)
    store.beat(documents.beat(run_id, **beat))
    return run_id


def seen(index: Index) -> tuple[str, str]:
    (one,) = index.refresh().table.select(["status", "liveness"]).to_pylist()
    return one["status"], one["liveness"]


@pytest.mark.memory_only("the clock of its storage is the test's")
@pytest.mark.parametrize(("minutes", "expected"), [(0, "Running"), (14, "Running"), (16, "Lost"), (10_000, "Lost")])
def test_a_beat_counts_for_fifteen_minutes_of_the_stores_clock(store: Any, minutes: int, expected: str) -> None:
    running(store)
    store.clock.now += minutes * MINUTE
    assert seen(Index(store.backend, clock=store.clock.moment))[0] == expected


@pytest.mark.memory_only("the clock of its storage is the test's")
def test_without_a_clock_a_silent_store_says_unknown(store: Any) -> None:
    """The beat is the newest thing in the store: it may be of now or of last year."""
    running(store)
    store.clock.now += 10_000 * MINUTE
    assert seen(Index(store.backend)) == ("Running", "unknown")


@pytest.mark.memory_only("the clock of its storage is the test's")
def test_newer_objects_show_that_a_beat_is_old(store: Any) -> None:
    running(store)
    store.clock.now += 16 * MINUTE
    store.log(store.documents.end(store.documents.run_id(2)))
    assert seen(Index(store.backend)) == ("Lost", "lost")


@pytest.mark.memory_only("its storage does not tell the time")
def test_a_reader_that_stays_counts_the_time_it_waits(store: Any) -> None:
    running(store)
    waited = [0.0]
    index = Index(store.backend, environment=Environment(monotonic=lambda: waited[0]))
    assert seen(index) == ("Running", "unknown")
    waited[0] += 16 * MINUTE
    assert seen(index) == ("Lost", "lost")


@pytest.mark.memory_only("the clock of its storage is the test's")
def test_a_beat_seen_to_move_shows_life(store: Any) -> None:
    run_id = running(store)
    waited = [0.0]
    index = Index(store.backend, environment=Environment(monotonic=lambda: waited[0]))
    seen(index)
    store.clock.now += MINUTE
    store.beat(store.documents.beat(run_id, counter=2))
    assert seen(index) == ("Running", "alive")


def test_a_store_without_times_says_unknown() -> None:
    clock = StoreClock()
    assert clock.liveness(None) == "unknown"
    assert clock.now() == (None, False)
    assert clock.liveness(NOON) == "unknown"


def test_an_exact_clock_that_lags_behind_what_was_seen_is_corrected() -> None:
    clock = StoreClock(lambda: NOON, monotonic=lambda: 0.0)
    clock.observe_moment(NOON + timedelta(hours=1))
    assert clock.liveness(NOON + timedelta(minutes=30)) == "lost"
    assert clock.liveness(NOON + timedelta(hours=1) - FRESH) == "alive"


@pytest.mark.memory_only("the clock of its storage is the test's")
def test_a_start_whose_entry_was_just_written_is_a_sign_of_life(store: Any) -> None:
    store.write(store.documents.start(store.documents.run_id(1)))
    index = Index(store.backend, clock=store.clock.moment)
    assert seen(index) == ("Running", "alive")
    store.clock.now += 16 * MINUTE
    assert seen(index) == ("Lost", "lost")


@pytest.mark.memory_only("the clock of its storage is the test's")
def test_without_beat_and_entry_a_run_is_lost_when_its_start_is_long_ago(store: Any) -> None:
    run_id = running(store)
    store.backend.delete(store.keys("beats/"))
    store.clock.now = datetime.fromisoformat(store.documents.start(run_id)["created"]).timestamp() + 5
    assert seen(Index(store.backend, clock=store.clock.moment)) == ("Running", "unknown")
    store.clock.now += 16 * MINUTE
    assert seen(Index(store.backend, clock=store.clock.moment)) == ("Lost", "lost")


@pytest.mark.memory_only("the clock of its storage is the test's")
def test_a_resumed_run_lives_by_the_beat_of_its_latest_main_writer(store: Any) -> None:
    documents = store.documents
    run_id, again = running(store), "main.00000000000000bb"
    store.write(documents.attempt(run_id, 2, again))
    for _ in range(2):
        fold(Index(store.backend), force=True)
    store.clock.now += 16 * MINUTE
    store.beat(documents.beat(run_id, again))
    index = Index(store.backend, clock=store.clock.moment)
    assert seen(index) == ("Running", "alive")
    store.clock.now += 16 * MINUTE
    store.beat(documents.beat(run_id))  # a zombie of the first attempt
    assert seen(index) == ("Lost", "lost")


def test_running_runs_show_the_values_of_their_beats(store: Any) -> None:
    run_id = running(store)
    rank = "rank1.00000000000000aa"
    store.beat(store.documents.beat(run_id, rank, main=False, metrics={"other": store.documents.summary(4, 8.0)}))
    index = Index(store.backend, clock=store.clock.moment)
    record = record_of(index.refresh().table.to_pylist()[0])
    assert {name: metric.value for name, metric in record.metrics.items()} == {"loss": 0.75, "other": 8.0}
    assert record.params == {"lr": 0.1, "layers": 3, "late": 1}
    assert record.rows == 4
    row = index.refresh().row(run_id)
    assert row is not None
    assert "ends" not in row, "beats are shown, never stored"


def test_an_end_takes_the_place_of_the_beat(store: Any) -> None:
    documents = store.documents
    run_id, rank = running(store), "rank1.00000000000000aa"
    store.write(documents.end(run_id, rank, metrics={"loss": documents.summary(10, 5.0)}))
    store.beat(documents.beat(run_id, rank, metrics={"loss": documents.summary(9, 4.0)}))
    view = Index(store.backend, clock=store.clock.moment).refresh()
    (loss,) = (item for item in view.table.to_pylist()[0]["metrics"] if item["name"] == "loss")
    assert (loss["count"], loss["last"]) == (12, 0.75)


@pytest.mark.memory_only("the clock of its storage is the test's")
def test_beats_are_read_again_only_when_they_changed_and_only_of_running_runs(store: Any) -> None:
    run_id = running(store)
    ended = store.run(5)
    store.beat(store.documents.beat(ended))
    counting = CountingBackend(store.backend)
    index = Index(counting, clock=store.clock.moment)
    gets = [one.key for one in _refreshed(index, counting) if one.key.startswith("beats/")]
    assert len([key for key in gets if key.endswith(".json")]) == 1
    assert [one for one in _refreshed(index, counting) if one.operation == "get"] == []
    store.clock.now += MINUTE
    store.beat(store.documents.beat(run_id, metrics={"loss": store.documents.summary(3, 0.5)}))
    assert len([one for one in _refreshed(index, counting) if one.operation == "get"]) == 1
    record = record_of(next(one for one in index.refresh().table.to_pylist() if one["run_id"] == run_id))
    assert record.metrics["loss"].value == 0.5


def _refreshed(index: Index, counting: CountingBackend) -> list[Any]:
    counting.reset()
    index.refresh()
    return list(counting.requests)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"format": 99, "metrics": {}}', b'{"metrics": 7, "params": [], "rows": "x"}']
)
def test_a_damaged_beat_does_no_harm(store: Any, data: bytes) -> None:
    run_id = running(store)
    key = store.keys("beats/")[0]
    store.backend.put(key, data)
    store.backend.put("beats/.DS_Store", b"x")
    view = Index(store.backend, clock=store.clock.moment).refresh()
    assert view.status(run_id) == "Running"
    assert record_of(view.table.to_pylist()[0]).params == {"lr": 0.1, "layers": 3}
