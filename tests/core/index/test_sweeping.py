"""gc: what nobody needs goes, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from runfolio import layout
from runfolio.index.folding import fold
from runfolio.index.packs import LIST_KEPT, collect_packs
from runfolio.index.sweeping import deleted_runs, info, sweep
from runfolio.index.view import Index
from runfolio.store.documents import encode
from runfolio.store.environment import Environment
from runfolio.store.promoting import Promoter
from runfolio.store.wrapping import WrappedBackend


def index_of(store: Any, **options: Any) -> Index:
    return Index(store.backend, clock=store.clock.moment, **options)


def source(store: Any, run_id: str, *packs: str) -> None:
    document = {"format": 1, "wid": run_id, "commit": "c", "packs": [f"objects/{pack}.pack" for pack in packs]}
    store.backend.put(layout.source(run_id), encode(document))


def pack(store: Any, *names: str) -> list[str]:
    keys = [f"objects/{name}.{suffix}" for name in names for suffix in ("idx", "pack")]
    for key in keys:
        store.backend.put(key, b"x")
    return keys


def test_leftovers_of_deleted_runs_go_and_the_claim_on_the_id_stays(store: Any) -> None:
    run_id, other = store.run(1), store.run(2)
    store.write(store.documents.delete(run_id))
    late = [layout.artifact(one, "outputs/m.pkl") for one in (run_id, other)]
    for key in late:
        store.backend.put(key, b"x")
    before = store.keys(layout.RUNS)
    dry = sweep(index_of(store), dry_run=True)
    assert store.keys(layout.RUNS) == before
    report = sweep(index_of(store))
    assert report.leftovers == dry.leftovers == [layout.end(run_id, store.documents.writer(run_id)), late[0]]
    folder = layout.run_folder(run_id)
    assert [key.removeprefix(folder) for key in store.keys(folder)] == [f"edits/{1:017d}-dd.json", "start.json"]
    assert late[1] in store.keys(layout.RUNS)


def promote(store: Any, run_id: str, *paths: str) -> int:
    """Make a version of the asset "iris" of files of a run, and return its number."""
    files = [{"path": path, "key": path, "size": 1, "sha256": "0" * 64} for path in paths]
    fields = {"path": "outputs", "files": files, "sha256": "0" * 64, "evidence": {}}
    return int(Promoter(store.backend, Environment()).promote("iris", run_id, fields)["version"])


def test_pinned_files_of_deleted_runs_stay_until_their_version_is_taken_back(store: Any) -> None:
    run_id = store.run(1)
    keys = [layout.artifact(run_id, path) for path in ("outputs/m.pkl", "outputs/other")]
    for key in keys:
        store.backend.put(key, b"x")
    version = promote(store, run_id, "outputs/m.pkl")
    store.write(store.documents.delete(run_id))
    report = sweep(index_of(store))
    assert report.pinned == keys[:1]
    assert keys[1] in report.leftovers
    assert store.keys(f"{layout.run_folder(run_id)}outputs/") == keys[:1]
    Promoter(store.backend, Environment()).retract("iris", version)
    assert sweep(index_of(store)).leftovers == keys[:1]
    assert store.keys(f"{layout.run_folder(run_id)}outputs/") == []


def test_a_version_whose_files_are_gone_is_taken_back(store: Any) -> None:
    """As a promotion leaves it that is killed right after it was published, of a run deleted before."""
    run_id = store.run(1)
    version = promote(store, run_id, "outputs/m.pkl")
    store.write(store.documents.delete(run_id))
    assert sweep(index_of(store), dry_run=True).broken == [("iris", version)]
    before = store.keys(layout.ASSETS)
    assert sweep(index_of(store)).broken == [("iris", version)]
    assert len(store.keys(layout.ASSETS)) == len(before) + 1
    assert sweep(index_of(store)).broken == []


def test_beats_of_writers_that_ended_and_of_deleted_runs_go(store: Any) -> None:
    made = store.documents
    ended, deleted, running = store.run(1), store.run(2), made.run_id(3)
    store.write(made.delete(deleted), made.start(running))
    for run_id, writer in ((ended, None), (ended, "rank1.00000000000000aa"), (deleted, None), (running, None)):
        store.beat(made.beat(run_id, writer))
    report = sweep(index_of(store))
    assert len(report.beats) == 2
    assert {layout.beat_of(key) for key in store.keys(layout.BEATS)} == {
        (ended, "rank1.00000000000000aa"), (running, made.writer(running))
    }  # fmt: skip


def test_packs_that_no_run_needs_are_condemned_and_go(store: Any) -> None:
    kept, deleted = store.run(1), store.run(2)
    source(store, kept, "aa", "bb.1234")
    source(store, deleted, "bb.1234", "cc")
    store.write(store.documents.delete(deleted))
    needed = pack(store, "aa", "bb.1234")
    doomed = pack(store, "cc", "dd")
    dry = sweep(index_of(store), dry_run=True)
    assert dry.packs.unreachable == doomed
    assert store.keys(layout.GC) == []
    report = sweep(index_of(store)).packs
    assert (report.unreachable, report.deleted, report.spared) == (doomed, 4, [])
    assert store.keys(layout.OBJECTS) == needed
    assert len(store.keys(layout.GC)) == 1


def test_what_is_published_before_the_list_is_spared(store: Any) -> None:
    """The runs are read again after the condemned list was created."""
    run_id = store.run(1)
    keys = pack(store, "aa")

    class Publishing(WrappedBackend):
        def create(self, key: str, data: bytes) -> None:
            if key.startswith(layout.GC):
                source(store, run_id, "aa")
            self.inner.create(key, data)

    report = collect_packs(Index(Publishing(store.backend)), set)
    assert (report.unreachable, report.spared, report.deleted) == (keys, keys, 0)
    assert store.keys(layout.OBJECTS) == keys


def test_an_unreadable_source_record_stops_the_collection(store: Any) -> None:
    run_id = store.run(1)
    keys = pack(store, "aa")
    store.backend.put(layout.source(run_id), b'{"format": 9, "wid": "x"}')
    report = sweep(index_of(store)).packs
    assert report.unreadable == [layout.source(run_id)]
    assert report.deleted == 0
    assert store.keys(layout.OBJECTS) == keys


def test_a_collection_that_was_suspended_for_more_than_a_day_stops(store: Any) -> None:
    store.run(1)
    keys = pack(store, "aa")
    ticks = iter(range(0, 10_000_000, 90_000))
    report = collect_packs(Index(store.backend, environment=Environment(monotonic=lambda: float(next(ticks)))), set)
    assert (report.stopped, report.deleted) == (True, 0)
    assert store.keys(layout.OBJECTS) == keys


@pytest.mark.memory_only("the clock of its storage is the test's")
@pytest.mark.parametrize(("days", "left"), [(29, 1), (31, 0)])
def test_condemned_lists_stay_for_thirty_days(store: Any, days: int, left: int) -> None:
    store.backend.put("gc/0123.json", encode({"format": 1, "wid": "x", "condemned": []}))
    store.clock.now += days * 86_400
    sweep(index_of(store))
    assert LIST_KEPT.days == 30
    assert len(store.keys(layout.GC)) == left


def test_temporaries_are_swept_where_the_backend_has_them(store: Any) -> None:
    calls: list[int] = []

    def temporaries() -> int:
        calls.append(1)
        return 7

    assert sweep(index_of(store), temporaries=temporaries, dry_run=True).temporaries == 0
    assert sweep(index_of(store), temporaries=temporaries).temporaries == 7
    assert calls == [1]


def test_a_sweep_of_a_clean_store_changes_nothing(store: Any) -> None:
    for number in range(3):
        store.run(number)
    for _ in range(2):
        fold(Index(store.backend), force=True)
    before = store.keys()
    sweep(index_of(store))
    assert store.keys() == before


def test_info_counts(store: Any) -> None:
    made = store.documents
    for number in range(3):
        store.run(number)
    fold(Index(store.backend), force=True)
    store.write(made.start(made.run_id(4)), made.delete(made.run_id(1)))
    found = info(index_of(store))
    assert (found.seq, found.base, found.runs, found.deleted, found.running, found.lost) == (1, None, 3, 1, 1, 0)
    assert (found.unfolded, found.checkpoints, found.damaged) == (2, 1, None)
    assert found.bytes > 0
    assert deleted_runs(index_of(store).refresh()) == {made.run_id(1)}
