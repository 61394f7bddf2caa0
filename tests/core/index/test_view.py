"""What a reader sees, with how many requests, and what it does when something is gone or damaged."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runfolio import layout
from runfolio.errors import FormatError, IndexDamagedError, NotFoundError
from runfolio.index.folding import fold
from runfolio.index.schema import VIEW
from runfolio.index.view import Index
from runfolio.records import record_of
from runfolio.store.wrapping import WrappedBackend
from runfolio.testing import CountingBackend

if TYPE_CHECKING:
    from runfolio.backend import Backend


def folded(store: Any) -> Index:
    """The index of a store after everything was folded, and entries of before deleted."""
    index = Index(store.backend, clock=store.clock.moment)
    assert fold(index, force=True).outcome == "folded"
    return index


def shown(store: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Index(store.backend, clock=store.clock.moment).refresh().table.to_pylist()
    return found


def test_an_empty_store_shows_an_empty_table(store: Any) -> None:
    view = Index(store.backend).refresh()
    assert view.table.schema.equals(VIEW)
    assert (len(view), view.seq, view.unfolded, view.ids) == (0, 0, 0, [])
    assert view.row("iris_1700000000000-abcde") is None


def test_a_run_looks_the_same_before_and_after_folding(store: Any) -> None:
    store.run(1)
    before = shown(store)
    folded(store)
    assert shown(store) == before
    folded(store)
    assert store.keys(layout.LOG) == []
    assert shown(store) == before
    record = record_of(before[0])
    assert (record.run_number, record.status, record.duration_seconds) == (2, "Completed", 60.0)
    assert record.params == {"lr": 0.1, "layers": 3}
    assert record.metrics["loss"].value == 0.25
    assert record.summary == {"best": 7}
    assert record.properties == {"python": "3.11"}
    assert record.attachments == ("outputs/m.pkl",)


def test_newest_runs_come_first(store: Any) -> None:
    for number in (5, 1, 9):
        store.run(number)
    folded(store)
    for number in (7, 2):
        store.run(number)
    ids = [store.documents.run_id(number) for number in (9, 7, 5, 2, 1)]
    assert [one["run_id"] for one in shown(store)] == ids


def test_edits_are_shown_and_the_row_keeps_what_was_there(store: Any) -> None:
    run_id = store.run(1)
    documents = store.documents
    store.write(
        documents.edit(run_id, "name", "better", 2),
        documents.edit(run_id, "name", "older", 1),
        documents.edit(run_id, "tag:sota", value=True),
        documents.edit(run_id, "tag:prod", value=False),
        documents.edit(run_id, "archived", value=True),
        documents.edit(run_id, "note", None, 3),
    )
    for _ in range(2):
        (one,) = shown(store)
        assert (one["name"], one["tags"], one["hidden"], one["note"]) == ("better", ["sota"], True, None)
        folded(store)
    row = Index(store.backend).refresh().row(run_id)
    assert row is not None
    assert row["edits"]["name"] == {"value": "better", "who": "ada", "stamp": 2, "token": "aa", **CREATED}
    assert row["start"]["tags"] == ["prod"]


CREATED = {"created": "2026-01-01T00:00:00.000000+00:00"}


def test_a_deleted_run_is_gone_for_good(store: Any) -> None:
    run_id = store.run(1)
    other = store.run(2)
    folded(store)
    store.log(store.documents.delete(run_id))
    assert Index(store.backend).refresh().ids == [other]
    folded(store)
    store.log(store.documents.end(run_id, "rank1.0000000000000009"))
    folded(store)
    view = Index(store.backend).refresh()
    assert view.ids == [other]
    assert view.is_deleted(run_id)
    assert set(view.row(run_id) or ()) == {"deleted", "changed"}


def test_a_row_without_start_is_kept_but_not_shown(store: Any) -> None:
    documents = store.documents
    run_id = documents.run_id(1)
    store.log(documents.end(run_id))
    folded(store)
    assert Index(store.backend).refresh().ids == []
    store.log(documents.start(run_id))
    view = Index(store.backend).refresh()
    assert view.ids == [run_id]
    assert view.status(run_id) == "Completed"


def test_summaries_of_several_writers_are_combined_for_display_only(store: Any) -> None:
    documents = store.documents
    run_id, rank = store.run(1), "rank1.00000000000000aa"
    metrics = {"loss": documents.summary(5, 9.0, -1.0, 20.0), "own": documents.summary(1, 4.0)}
    store.write(documents.end(run_id, rank, metrics=metrics, rows=5, files=2, summary={"rank": 1}, status="Failed"))
    for _ in range(2):
        (one,) = shown(store)
        loss, own = (next(item for item in one["metrics"] if item["name"] == name) for name in ("loss", "own"))
        assert (loss["count"], loss["last"], loss["min"], loss["max"]) == (8, 0.25, -1.0, 20.0)
        assert own["last"] == 4.0
        assert (one["rows"], one["files"], one["status"]) == (8, 3, "Completed")
        assert {item["name"]: item["value"] for item in one["summary"]} == {"best": 7.0, "rank": 1.0}
        folded(store)
    row = Index(store.backend).refresh().row(run_id)
    assert row is not None
    assert {writer: end["rows"] for writer, end in row["ends"].items()} == {store.documents.writer(run_id): 3, rank: 5}


def test_a_metric_the_main_writer_lacks_takes_the_latest_end(store: Any) -> None:
    documents = store.documents
    run_id = store.run(1)
    for rank, ended, value in ((1, "2026-01-01T00:00:02", 1.0), (2, "2026-01-01T00:00:01", 2.0)):
        metrics = {"own": documents.summary(1, value)}
        store.write(documents.end(run_id, f"rank{rank}.{rank:016x}", metrics=metrics, ended=f"{ended}.000000+00:00"))
    (one,) = shown(store)
    assert {item["name"]: item["last"] for item in one["metrics"]}["own"] == 1.0


def test_status_is_that_of_the_highest_attempt(store: Any) -> None:
    documents = store.documents
    run_id, again = store.run(1, status="Failed"), "main.00000000000000bb"
    store.write(documents.attempt(run_id, 2, again))
    assert [one["status"] for one in shown(store)] == ["Running"]
    store.write(documents.end(run_id, again, attempt=2, status="Completed"))
    for _ in range(2):
        assert [one["status"] for one in shown(store)] == ["Completed"]
        folded(store)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53 + 1, 10**400, True, "text", "", [1, "a", math.nan], []])
def test_the_kind_of_a_metric_comes_back(store: Any, value: Any) -> None:
    kind = "empty" if value == [] else type(value[-1] if isinstance(value, list) else value).__name__
    summary = {"kind": kind, "count": 1, "last": value, "last_step": 0}
    store.run(1, metrics={"m": summary | ({"list": True} if isinstance(value, list) else {})})
    folded(store)
    found = record_of(shown(store)[0]).metrics["m"].value
    assert repr(found) == repr(value)


def test_unreadable_entries_are_neither_applied_nor_held(store: Any) -> None:
    run_id = store.run(1)
    documents = store.documents
    rubbish = store.log(documents.edit(run_id, "name", "x"))
    store.backend.put(rubbish, b"{ not json")
    newer = store.log({**documents.edit(run_id, "note", "x"), "format": 2})
    foreign = store.log(documents.edit(run_id, "note", "y"))
    store.backend.put(
        foreign, store.backend.get(newer).replace(b'"format":2', b'"format":1').replace(b'"stamp":1', b'"stamp":"1"')
    )
    store.backend.put("log/.DS_Store", b"x")
    folded(store)
    folded(store)
    view = Index(store.backend).refresh()
    assert sorted(view.unreadable) == sorted([rubbish, newer, foreign])
    assert {rubbish, newer, foreign} <= set(store.keys(layout.LOG))
    assert view.table.column("name").to_pylist() == [None]


# Requests.


@pytest.mark.clouds_on_request("hundreds of requests in one test")
def test_a_list_takes_four_requests_and_five_while_the_base_is_not_cached(store: Any) -> None:
    for number in range(40):
        store.run(number)
    folded(store)
    store.run(40)
    folded(store)
    folded(store)
    counting = CountingBackend(store.backend)
    index = Index(counting)
    view = index.refresh()
    assert view.base_seq == 1
    assert counting.counts() == {"list": 3, "get": 2}
    store.run(41)
    folded(store)
    folded(store)
    counting.reset()
    assert len(index.refresh()) == 42
    assert counting.counts() == {"list": 3, "get": 1}
    counting.reset()
    index.refresh()
    assert counting.counts() == {"list": 3}


@pytest.mark.clouds_on_request("hundreds of requests in one test")
def test_requests_do_not_grow_with_unfolded_entries_but_for_one_get_each(store: Any) -> None:
    for number in range(750):
        store.run(number)
    counting = CountingBackend(store.backend)
    index = Index(counting)
    assert index.refresh().unfolded == 1500
    entries = [one for one in counting.requests if one.operation == "get" and one.key.startswith(layout.LOG)]
    assert len(entries) == 1500
    assert len(counting) - len(entries) <= 8
    counting.reset()
    index.refresh()
    assert counting.counts()["get"] == 0, "what was read before is not asked for again"


@pytest.mark.clouds_on_request("hundreds of requests in one test")
def test_a_folder_keeps_checkpoints_between_processes(store: Any, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for number in range(20):
        store.run(number)
    folded(store)
    store.run(20)
    folded(store)
    folded(store)
    before = Index(store.backend, cache=cache).refresh()
    counting = CountingBackend(store.backend)
    after = Index(counting, cache=cache).refresh()
    assert counting.counts() == {"list": 3}
    assert after.table.equals(before.table)
    for path in cache.rglob("*.parquet"):
        path.write_bytes(b"rubbish")
    assert Index(store.backend, cache=cache).refresh().table.equals(before.table)


@pytest.mark.memory_only("the clock of its storage is the test's")
def test_a_cached_checkpoint_is_not_taken_for_another_of_the_same_name(store: Any, tmp_path: Path) -> None:
    """An index that was deleted and rebuilt uses its numbers again."""
    store.run(1)
    folded(store)
    index = Index(store.backend, cache=tmp_path)
    assert len(index.refresh()) == 1
    store.backend.delete([*store.keys(layout.INDEX), *store.keys(layout.LOG)])
    store.clock.now += 1
    store.run(2)
    folded(store)
    for one in (index, Index(store.backend, cache=tmp_path)):
        assert one.refresh().ids == [store.documents.run_id(2)]


# Gone, damaged.


class Interfering(WrappedBackend):
    """Does something else just before a request."""

    def __init__(self, inner: Backend, when: Callable[[str, str], bool], then: Callable[[], object]) -> None:
        super().__init__(inner)
        self.when, self.then, self.done = when, then, 0

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        if self.when("get", key) and not self.done:
            self.done += 1
            self.then()
        return self.inner.get(key, start, end)


def test_a_newest_checkpoint_that_is_gone_is_looked_for_again(store: Any) -> None:
    store.run(1)
    folded(store)

    def overtake() -> None:
        for number in range(2, 7):
            store.run(number)
            folded(store)

    backend = Interfering(store.backend, lambda _, key: key == layout.checkpoint(1), overtake)
    assert len(Index(backend).refresh()) == 6
    assert layout.checkpoint(1) not in store.keys(layout.INDEX)


def test_an_entry_that_is_gone_is_found_in_the_newer_checkpoint(store: Any) -> None:
    store.run(1)
    backend = Interfering(
        store.backend, lambda _, key: key.startswith(layout.LOG), lambda: [folded(store), folded(store)]
    )
    assert Index(backend).refresh().table.column("status").to_pylist() == ["Completed"]
    assert backend.done == 1


def damage(store: Any, seq: int) -> None:
    key = layout.checkpoint(seq)
    data = bytearray(store.backend.get(key))
    data[len(data) // 3 : len(data) // 3 + 20] = bytes(20)
    store.backend.put(key, bytes(data[:-30]))


def test_a_damaged_newest_checkpoint_is_done_without(store: Any) -> None:
    for number in range(4):
        store.run(number)
        folded(store)
    store.run(4)
    expected = shown(store)
    damage(store, 4)
    view = Index(store.backend, clock=store.clock.moment).refresh()
    assert view.table.to_pylist() == expected
    assert (view.skipped, view.seq) == (4, 3)
    # The next fold heals it and takes nothing out of the log before that is safe.
    folded(store)
    view = Index(store.backend, clock=store.clock.moment).refresh()
    assert (view.skipped, view.seq, view.table.to_pylist()) == (0, 5, expected)
    folded(store)
    assert shown(store) == expected


def test_two_damaged_checkpoints_are_never_an_older_view(store: Any) -> None:
    for number in range(4):
        store.run(number)
        folded(store)
    damage(store, 4)
    damage(store, 3)
    with pytest.raises(IndexDamagedError, match="repair"):
        Index(store.backend).refresh()


def test_a_gap_before_a_damaged_checkpoint_is_damage_too(store: Any) -> None:
    for number in range(4):
        store.run(number)
        folded(store)
    damage(store, 4)
    store.backend.delete([layout.checkpoint(3)])
    with pytest.raises(IndexDamagedError):
        Index(store.backend).refresh()


@pytest.mark.clouds_on_request("hundreds of requests in one test")
def test_a_base_that_is_gone_for_good_is_damage(store: Any) -> None:
    for number in range(20):
        store.run(number)
    folded(store)
    store.run(20)
    folded(store)
    store.backend.delete([layout.checkpoint(1)])
    with pytest.raises(IndexDamagedError, match="gone"):
        Index(store.backend).refresh()


@pytest.mark.clouds_on_request("hundreds of requests in one test")
def test_another_base_under_the_same_name_is_damage(store: Any) -> None:
    for number in range(20):
        store.run(number)
    folded(store)
    store.run(20)
    folded(store)
    other = store.backend.get(layout.checkpoint(2))
    store.backend.put(layout.checkpoint(1), other)
    with pytest.raises(IndexDamagedError):
        Index(store.backend).refresh()


def test_a_checkpoint_of_a_newer_format_is_refused_not_skipped(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.run(1)
    folded(store)
    monkeypatch.setattr("runfolio.index.checkpoint.FORMAT", 2)
    folded(store)
    monkeypatch.undo()
    with pytest.raises(FormatError, match="upgrade") as caught:
        Index(store.backend).refresh()
    assert not isinstance(caught.value, IndexDamagedError)


def test_strangers_files_in_the_index_do_not_hide_it(store: Any) -> None:
    store.run(1)
    folded(store)
    for name in ("index/.DS_Store", "index/.other", "index/0.parquet", "index/~x"):
        store.backend.put(name, b"x")
    assert len(Index(store.backend).refresh()) == 1


def test_a_view_stays_as_it_was(store: Any) -> None:
    store.run(1)
    index = Index(store.backend)
    view = index.refresh()
    store.run(2)
    assert len(index.refresh()) == 2
    assert len(view) == 1
    with pytest.raises(NotFoundError):
        store.backend.get(layout.checkpoint(1))
