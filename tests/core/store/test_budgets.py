"""How many requests each actor makes. Pinned: they are what a cloud bills and what a user waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from runfolio import layout
from runfolio.store.documents import decode
from runfolio.store.ending import Ending
from runfolio.store.opening import open_store
from runfolio.store.run_folder import open_run
from runfolio.store.segments import read_rows
from runfolio.testing import CountingBackend
from runfolio.testing.spooling import MemorySpool, SpooledRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from runfolio.backend import Backend
    from runfolio.store.pushing import Pusher
    from runfolio.store.segments import RowFile
    from runfolio.testing.scheduling import World


class Clock(Protocol):
    now: float


def _fetch(backend: Backend, file: RowFile) -> bytes:
    return backend.get(file.key)


def test_a_life_within_its_budgets(
    counted: CountingBackend,
    make_spool: Callable[..., MemorySpool],
    start_fields: Callable[..., dict[str, Any]],
    make_pusher: Callable[..., Pusher],
) -> None:
    """Start 4, flush 1, beat 1, end at most 6 (with the listing of the log), edit 3, open 5, rows then 1 + 1."""
    spool = make_spool()
    pusher = make_pusher(counted, spool, after_end=lambda backend: list(backend.list(layout.LOG)))
    pusher.intend_start(start_fields(spool))
    assert len(counted) == 0

    assert pusher.start() == 1
    assert [one.operation for one in counted.requests] == ["list", "create", "create", "put"]

    counted.reset()
    spool.log("loss", 1.0)
    pusher.flush()
    assert [one.operation for one in counted.requests] == ["create"]

    counted.reset()
    pusher.beat()
    assert [one.operation for one in counted.requests] == ["put"]

    counted.reset()
    running = open_run(counted, spool.run_id)
    assert len(counted) == 4
    assert running.main == spool.writer
    assert running.beats[spool.writer].document["rows"] == 1

    counted.reset()
    pusher.edit("name", "baseline")
    assert [one.operation for one in counted.requests] == ["list", "create", "put"]

    counted.reset()
    spool.log("loss", 0.5)
    pusher.end(Ending(status="Completed"))
    assert [one.operation for one in counted.requests] == ["create", "create", "put", "delete", "list"]

    counted.reset()
    ended = open_run(counted, spool.run_id)
    assert len(counted) == 4 + 1  # one more for the edit
    assert ended.ends[spool.writer]["rows"] == 2

    counted.reset()
    rows = read_rows(counted, spool.run_id, _fetch, expected=ended.rows, writers=ended.rows)
    assert [one.operation for one in counted.requests] == ["list", "get"]
    assert [file.part[1:] for file, _ in rows.parts] == [(0, 2)]


def test_open_with_files_takes_five(
    counted: CountingBackend,
    make_spool: Callable[..., MemorySpool],
    start_fields: Callable[..., dict[str, Any]],
    make_pusher: Callable[..., Pusher],
    tmp_path: Path,
) -> None:
    """Two listings, start, end and manifest."""
    (tmp_path / "a.txt").write_text("a")
    spool = make_spool()
    pusher = make_pusher(counted, spool)
    pusher.intend_start(start_fields(spool))
    pusher.start()
    from runfolio.store.artifacts import StagedFile

    pusher.stage(StagedFile(path="outputs/a.txt", source=tmp_path / "a.txt"))
    pusher.end(Ending(status="Completed"))
    counted.reset()
    found = open_run(counted, spool.run_id)
    assert len(counted) == 5
    assert [row["path"] for row in found.manifests[spool.writer]] == ["outputs/a.txt"]


def test_attempt_takes_three(
    counted: CountingBackend,
    make_spool: Callable[..., MemorySpool],
    start_fields: Callable[..., dict[str, Any]],
    make_pusher: Callable[..., Pusher],
) -> None:
    spool = make_spool()
    first = make_pusher(counted, spool)
    first.intend_start(start_fields(spool))
    first.start()
    again = make_spool(name="again")
    counted.reset()
    second = make_pusher(counted, again)
    document: dict[str, Any] = {
        "run": spool.run_id,
        "project": "iris",
        "main": again.writer,
        "host": None,
        "argv": [],
        "reason": None,
    }
    second.intend_attempt(document, start_fields(spool)["uid"])
    assert second.attempt() == 2
    assert [one.operation for one in counted.requests] == ["list", "create", "put"]
    assert open_run(counted, spool.run_id).main == again.writer


def test_opening_takes_one_and_making_five(counted: CountingBackend) -> None:
    made = open_store(counted, create=True)
    assert made.created
    assert [one.operation for one in counted.requests] == ["get", "create", "create", "delete", "create"]
    counted.reset()
    opened = open_store(counted, create=False)
    assert len(counted) == 1
    assert opened.store_id == made.store_id


@pytest.mark.clouds_on_request("hundreds of requests in one test")
@pytest.mark.slow
def test_a_day_at_a_point_a_second(
    counted: CountingBackend,
    make_spool: Callable[..., MemorySpool],
    start_fields: Callable[..., dict[str, Any]],
    make_pusher: Callable[..., Pusher],
    clock: Clock,
) -> None:
    """At most 500 requests for flushes and heartbeats, and the live segments stay few."""
    spool = make_spool()
    pusher = make_pusher(counted, spool)
    pusher.intend_start(start_fields(spool))
    pusher.start()
    counted.reset()
    most = 0
    for _ in range(86_400):
        clock.now += 1.0
        spool.log("loss", 1.0)
        if pusher.flush_due:
            pusher.flush()
            most = max(most, len(list(counted.inner.list(layout.live(spool.run_id)))))
        if pusher.beat_due:
            pusher.beat()
    counts = counted.counts()
    assert counts["create"] + counts["put"] <= 500
    assert len(counted) <= 500
    assert counts["create"] > 100  # it does flush
    assert counts["put"] > 200  # and beat
    assert most <= 45
    assert pusher.ledger.rows_stored > 86_400 - 1000


@pytest.mark.clouds_on_request("hundreds of requests in one test")
@pytest.mark.parametrize(
    "shape", [[1] * 400, [(i % 7) + 1 for i in range(400)], list(range(400, 0, -1)), [1, 1000] * 200]
)
def test_live_segments_stay_few(
    backend: Backend,
    make_spool: Callable[..., MemorySpool],
    start_fields: Callable[..., dict[str, Any]],
    make_pusher: Callable[..., Pusher],
    shape: list[int],
) -> None:
    """Whatever the flushes hold, readers need logarithmically many segments, and each row is sent a few times."""
    from runfolio.store.segments import cover, row_files

    spool = make_spool()
    spool.encode = lambda first, after, metadata: _tiny(metadata)  # type: ignore[method-assign]
    counted = CountingBackend(backend)
    pusher = make_pusher(counted, spool)
    pusher.intend_start(start_fields(spool))
    pusher.start()
    for rows in shape:
        spool.rows.extend([SpooledRow("x", 0, 0.0)] * rows)
        pusher.flush()
        files = cover(row_files(backend.list(layout.live(spool.run_id))))
        assert len(files) <= 3 * 10
        assert sum(one.part.after - one.part.first for one in files) == len(spool.rows)
    sent = sum(part.after - part.first for part in pusher.ledger.segments)
    assert sent <= 10 * len(spool.rows)


def _tiny(metadata: Mapping[str, str]) -> bytes:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata(dict(metadata)), out)
    return out.getvalue()


@pytest.mark.memory_only("a scheduler decides which request comes next")
def test_sixty_four_starts_at_once(
    backend: Backend, make_spool: Callable[..., MemorySpool], start_fields: Callable[..., dict[str, Any]]
) -> None:
    """About ten requests each on average, though all of them want the next number at one instant."""
    from runfolio.store.pushing import Pusher
    from runfolio.testing.scheduling import DOGGED, Schedule

    schedule = Schedule(backend, seed=3)
    for number in range(64):
        spool = make_spool(number)

        def body(world: World, spool: MemorySpool = spool) -> int:
            pusher = Pusher(world.backend, spool, environment=world.environment, patience=DOGGED)
            pusher.intend_start(start_fields(spool))
            return pusher.start()

        schedule.actor(str(number), body)
    schedule.run()
    numbers = [actor.outcome for actor in schedule.actors if isinstance(actor.outcome, int)]
    assert len(set(numbers)) == 64
    assert sum(actor.requests for actor in schedule.actors) / 64 <= 14
    assert max(numbers) <= 300
    starts = [decode(backend.get(one.key), one.key) for one in backend.list("runs/") if one.key.endswith("start.json")]
    assert sorted(one["number"] for one in starts) == sorted(numbers)
