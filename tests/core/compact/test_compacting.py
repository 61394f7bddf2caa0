"""Compaction through the public API: what is read afterwards, with how many requests, and what it costs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest

import runfolio as rf
from runfolio import layout
from runfolio.compact import compacting
from runfolio.compact.compacting import compact
from runfolio.compact.manifest import newest_manifest
from runfolio.compact.part import OpenPart
from runfolio.errors import ReadOnlyError
from runfolio.plugins import Plugins
from runfolio.testing import CountingBackend

NO_MACHINE = Plugins(disabled=["system_metrics"])
MANY_RUNS = pytest.mark.clouds_on_request("many runs or rows in one test")


@pytest.fixture
def store(store_url: str) -> str:
    """Where the store of this test is, on each kind in turn."""
    return store_url


@pytest.fixture
def history(store: str) -> Iterator[rf.History]:
    with rf.open_history(store, project="p", plugins=NO_MACHINE) as opened:
        yield opened


def add(history: rf.History, count: int, project: str = "p", points: int = 10) -> list[str]:
    """Make ended runs of many kinds of rows."""
    ids = []
    for _ in range(count):
        with history.start_run(project) as run:
            for step in range(points):
                run.log({"loss": random.random(), "acc": step}, step=step)
            run.log("text", "é")
            run.log("list", [1, 2, 3])
        ids.append(run.id)
    return ids


def rows(history: rf.History, names: list[str] | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = history.metrics(history.runs("*"), names).to_pylist()
    return found


def parts_of(history: rf.History) -> list[OpenPart]:
    backend = history._connection.raw
    return [OpenPart(backend, part) for part in newest_manifest(backend).parts]


def counting(store: str) -> tuple[rf.History, CountingBackend]:
    history = rf.open_history(store, project="p", plugins=NO_MACHINE)
    backend = CountingBackend(history._connection.raw)
    history._connection._raw = backend
    return history, backend


@MANY_RUNS
def test_the_same_rows_are_read_with_fewer_requests(history: rf.History, store: str) -> None:
    for project in ("2024", "a #1 b", "p"):
        add(history, 10, project)
    before, curve = rows(history), rows(history, ["loss"])
    report = history.compact()
    assert report.ok
    assert report.figures["runs copied"] == report.figures["runs with a copy"] == 30
    reader, requests = counting(store)
    runs = reader.runs("*")
    assert len(runs) == 30
    requests.reset()
    assert reader.metrics(runs).to_pylist() == before
    # A listing a run; then the newest list, itself, a footer and the rows.
    assert requests.counts() == {"list": 30 + 1, "get": 3}
    requests.reset()
    assert reader.metrics(runs, ["loss"]).to_pylist() == curve
    assert requests.counts() == {"list": 30 + 1, "get": 1}
    assert rows(history) == before


@MANY_RUNS
def test_folders_of_many_runs_are_listed_together(
    history: rf.History, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runfolio.store import many_runs

    add(history, 40)
    before = rows(history)
    history.compact()
    monkeypatch.setattr(many_runs, "_SWEPT", 20)
    monkeypatch.setattr(many_runs, "_STRETCHES", 4)
    reader, requests = counting(store)
    runs = reader.runs()
    assert len(runs) == 40
    requests.reset()
    assert reader.metrics(runs).to_pylist() == before
    assert requests.counts() == {"list": 4 + 1, "get": 3}


@MANY_RUNS
def test_one_run_of_many_writers_is_read_from_its_copy(history: rf.History, store: str) -> None:
    with history.start_run() as run:
        run.log("loss", 0.0)
        for rank in range(12):
            with history.attach(run.id, f"rank{rank}") as other:
                other.log("loss", float(rank), step=rank)
    add(history, 1)
    before = rf.Run(history, run.id).metrics().to_pylist()
    assert len(before) == 13
    history.compact()
    reader, requests = counting(store)
    reader.check_exists()
    requests.reset()
    assert rf.Run(reader, run.id).metrics().to_pylist() == before
    assert requests.counts() == {"list": 2, "get": 3}


def test_few_files_are_read_where_they_lie(history: rf.History, store: str) -> None:
    add(history, 3)
    history.compact()
    reader, requests = counting(store)
    runs = reader.runs()
    assert len(runs) == 3
    requests.reset()
    reader.metrics(runs)
    assert requests.counts() == {"list": 3, "get": 3}


@pytest.mark.local_only("other programs open the files of the store by their paths")
def test_the_exact_glob_stays_exact(history: rf.History, store: str) -> None:
    ids = add(history, 3)
    query = f"select run_id, count(*) from read_parquet('{store}/runs/*/*/metrics/*.parquet') group by all"
    with duckdb.connect() as connection:
        before = sorted(connection.execute(query).fetchall())
        history.compact()
        assert sorted(connection.execute(query).fetchall()) == before
        assert sorted(run_id for run_id, _ in before) == sorted(ids)
        copies = f"select run_id, count(*) from read_parquet('{store}/compact/*.parquet') group by all"
        assert sorted(connection.execute(copies).fetchall()) == before


@MANY_RUNS
def test_runs_that_go_on_and_late_writers_are_read_from_their_folders(history: rf.History) -> None:
    ids = add(history, 12)
    running = history.start_run()
    running.log("loss", 1.0)
    assert running.flush(60)
    assert history.compact().figures["runs copied"] == 12
    late = history.attach(ids[0], "late")
    late.log("loss", 99.0, step=99)
    assert late.flush(60)
    assert any(row["value"] == 99.0 and row["run_id"] == ids[0] for row in rows(history))
    assert len(rows(history)) == 12 * 24 + 2
    late.finish()
    running.finish()
    assert len(rows(history)) == 12 * 24 + 2
    report = history.compact()
    assert (report.figures["runs copied"], report.figures["copies dropped"]) == (2, 1)
    assert len(rows(history)) == 12 * 24 + 2
    assert [run_id for part in parts_of(history) for run_id in part.runs if run_id == ids[0]] == [ids[0]]


@MANY_RUNS
def test_deleted_runs_are_dropped_with_their_bytes(history: rf.History) -> None:
    ids = add(history, 12)
    history.compact()
    before = {one.part.key for one in parts_of(history)}
    history.run(ids[5]).delete()
    assert {row["run_id"] for row in rows(history)} == {*ids} - {ids[5]}
    assert history.compact().figures["copies dropped"] == 1
    left = {one.part.key for one in parts_of(history)}
    backend = history._connection.raw
    there = {info.key for info in backend.list(layout.COMPACT) if info.key.endswith(".parquet")}
    assert there == left, "nobody waits for the next compaction"
    assert left.isdisjoint(before)
    assert not any(ids[5].encode() in backend.get(key) for key in left)


def test_nothing_to_do_writes_nothing(history: rf.History) -> None:
    add(history, 2)
    history.compact()
    before = [*history._connection.raw.list(layout.COMPACT)]
    report = history.compact()
    assert report.figures["bytes written"] == 0
    assert report.figures["runs with a copy"] == 2
    assert [*history._connection.raw.list(layout.COMPACT)] == before


@MANY_RUNS
def test_files_are_sorted_and_row_groups_tell_which_runs(history: rf.History, monkeypatch: pytest.MonkeyPatch) -> None:
    """By project, run and name; and readers fetch the row groups of the runs that they want, no others."""
    from runfolio.compact import part, reading

    monkeypatch.setattr(part, "GROUP", 100)
    for project in ("b", "a"):
        add(history, 10, project)
    history.compact()
    (one,) = parts_of(history)
    assert [*one.runs] == sorted(one.runs)
    assert one._footer.metadata.num_row_groups == 5
    backend = CountingBackend(history._connection.raw)
    chosen = [*one.runs][7:9]
    table = one.read(backend, chosen)
    assert [row["run_id"] for row in table.to_pylist()] == [chosen[0]] * 24 + [chosen[1]] * 24
    names = table.slice(0, 24)["name"].to_pylist()
    assert names == sorted(names)
    assert len(backend) == 1
    assert sum(request.size for request in backend.requests) < one.part.size / 2
    assert reading.FEW > 1


@MANY_RUNS
def test_compacting_often_writes_each_row_a_few_times(history: rf.History, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded: a file is written again when it at least doubles, up to half of a full one; files stay few."""
    monkeypatch.setattr(history._connection, "_index", None)
    index = history._connection.index
    target, written, most = 16_000, 0, 0
    for _ in range(24):
        add(history, 2, points=60)
        report = compact(index, target=target)
        assert report.added == 2
        written += report.written
        most = max(most, report.files)
    size = sum(one.part.size for one in parts_of(history))
    assert size > target
    assert written / size <= 4, "each doubling writes a row once: at most log2(half a full file / first file) + 1"
    assert most <= 2 * size / target + 6
    assert sum(len(one.runs) for one in parts_of(history)) == 48
    assert len(rows(history)) == 48 * 124


@MANY_RUNS
def test_runs_with_many_rows_stay_where_they_are(history: rf.History, monkeypatch: pytest.MonkeyPatch) -> None:
    add(history, 2)
    long = add(history, 1, points=5000)
    report = compact(history._connection.index, large=20_000)
    assert report.added == 2
    assert long[0] not in [run_id for part in parts_of(history) for run_id in part.runs]


@MANY_RUNS
@pytest.mark.parametrize("spoil", ["list", "part", "part gone", "newer list"])
def test_damage_costs_time_and_no_row(history: rf.History, spoil: str, store: str) -> None:
    add(history, 12)
    before = rows(history)
    history.compact()
    (part,) = [one.part for one in parts_of(history)]
    manifest, backend = layout.compaction(1), history._connection.raw
    if spoil == "list":
        backend.put(manifest, b"spoilt")
    elif spoil == "newer list":
        backend.put(manifest, backend.get(manifest).replace(b'"format":1', b'"format":2').replace(b": 1", b": 2"))
    elif spoil == "part":
        backend.put(part.key, b"x" * part.size)
    else:
        backend.delete([part.key])
    with rf.open_history(store, project="p", plugins=NO_MACHINE) as other:
        assert rows(other) == before
        assert other.compact().figures["runs with a copy"] == 12
        assert rows(other) == before
        assert newest_manifest(other._connection.raw).seq == 2


def test_a_damaged_file_of_rows_is_told_and_its_run_left_out(history: rf.History) -> None:
    ids = add(history, 3)
    (file,) = history._backend.list(layout.metrics(ids[1]))
    history._backend.put(file.key, b"spoilt")
    report = history.compact()
    assert report.figures["runs with a copy"] == 2
    assert len(report.problems) == 1
    assert ids[1] in report.problems[0]


def test_two_at_once_and_the_slower_one_gives_way(history: rf.History, monkeypatch: pytest.MonkeyPatch) -> None:
    """The faster one comes in just before the slower one publishes its list."""
    add(history, 4)
    real = compacting._publish
    calls: list[Callable[..., Any]] = []

    def publish(index: Any, manifest: Any) -> bool:
        if not calls:
            calls.append(publish)
            assert compact(index).outcome == "written"
        return real(index, manifest)

    monkeypatch.setattr(compacting, "_publish", publish)
    report = history.compact()
    assert not report.ok
    assert "faster" in report.problems[0]
    assert len(parts_of(history)) == 1
    assert len(list(history._connection.raw.list(layout.COMPACT))) == 2


@MANY_RUNS
def test_one_that_was_very_slow_takes_its_list_back(history: rf.History, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number was used and is free again, as older lists are removed: it must not believe that it won."""
    real = compacting._publish
    calls: list[Callable[..., Any]] = []

    def publish(index: Any, manifest: Any) -> bool:
        if not calls:
            calls.append(publish)
            for _ in range(4):
                add(history, 1)
                assert compact(index).outcome == "written"
        return real(index, manifest)

    add(history, 4)
    monkeypatch.setattr(compacting, "_publish", publish)
    assert not history.compact().ok
    backend = history._connection.raw
    assert newest_manifest(backend).seq == 4
    assert {one.key for one in backend.list(layout.COMPACT)} >= {one.part.key for one in parts_of(history)}
    assert layout.compaction(1) not in {one.key for one in backend.list(layout.COMPACT)}
    assert len(rows(history)) == 8 * 24


def test_gc_finds_what_killed_compactions_left(history: rf.History, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    from runfolio.compact import sweeping

    add(history, 2)
    history.compact()
    backend = history._connection.raw
    backend.put(layout.compacted("orphan"), b"x")
    assert history.gc().figures["left by compactions"] == 0, "it may belong to one that is under way"
    monkeypatch.setattr(sweeping, "KEPT", timedelta(seconds=-60))
    assert history.gc().figures["left by compactions"] == 1
    assert history.gc(dry_run=False).figures["left by compactions"] == 1
    assert history.gc().figures["left by compactions"] == 0
    assert len(rows(history)) == 2 * 24
    assert len(parts_of(history)) == 1


def test_a_read_only_history_refuses(history: rf.History, store: str) -> None:
    add(history, 1)
    with rf.open_history(store, read_only=True) as reader, pytest.raises(ReadOnlyError):
        reader.compact()
