"""Reading rows while their writer flushes, merges, sweeps and ends."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runfolio import layout
from runfolio.errors import NotFoundError
from runfolio.layout import Segment
from runfolio.store import flushing, segments
from runfolio.store.ending import Ending
from runfolio.store.flushing import merged_first, visible
from runfolio.store.pushing import Pusher
from runfolio.store.segments import RowFile, cover, read_rows
from runfolio.store.wrapping import WrappedBackend
from runfolio.testing.scenarios import read_positions
from runfolio.testing.scheduling import DOGGED, Schedule, World
from runfolio.testing.spooling import MemorySpool
from runfolio_backends.memory import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runfolio.backend import Backend, ObjectInfo
    from runfolio.testing import CountingBackend

_spaces = count()
RUN = "iris_1700000000000-00000"


def _disturbed(seed: int, read: Any = read_rows) -> list[object]:
    """One writer flushes and sweeps as often as it can, readers read meanwhile; return what they saw wrong."""
    backend = MemoryBackend(f"memory://rows-{next(_spaces)}")
    schedule = Schedule(backend, seed)
    spool = MemorySpool(RUN, "iris", "main.0000000000000000")
    stored: list[tuple[int, int]] = [(0, 0)]
    wrong: list[object] = []

    def write(world: World) -> None:
        pusher = Pusher(world.backend, spool, environment=world.environment, patience=DOGGED)
        pusher.intend_join("uid")
        for _ in range(14):
            spool.log("x", 1.0)
            stored.append((pusher.flush(), world.step()))
        pusher.end(Ending(status="Completed"))

    def look(world: World) -> None:
        for _ in range(6):
            began = world.step()
            found = read(world.backend, RUN, read_positions, environment=world.environment)
            rows = sorted(position for _, part in found.parts for position in part)
            least = max(rows_stored for rows_stored, step in stored if step < began or not step)
            if rows != list(range(len(rows))) or len(rows) < least:
                wrong.append((rows, least))

    schedule.actor("writer", write)
    for at in range(3):
        schedule.actor(f"reader{at}", look)
    schedule.run()
    backend.clear()
    return wrong + [actor.error for actor in schedule.actors if actor.error]


def test_readers_beside_a_sweeping_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flushing, "SWEEP_EVERY", 1)
    for seed in range(60):
        assert _disturbed(seed) == []


def test_a_gone_segment_must_not_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with readers that pass over what is gone: the scenario notices."""
    monkeypatch.setattr(flushing, "SWEEP_EVERY", 1)

    def skipping(backend: Backend, run_id: str, read: Any, **options: Any) -> Any:
        def pass_over(store: Backend, file: RowFile) -> Any:
            try:
                return read(store, file)
            except NotFoundError:
                return []

        return read_rows(backend, run_id, pass_over, **options)

    assert any(_disturbed(seed, skipping) for seed in range(20))


class _EndsBetween(WrappedBackend):
    """Lets the writer end after the first listing."""

    def __init__(self, inner: Backend, pusher: Pusher) -> None:
        super().__init__(inner)
        self._pusher = pusher

    def list(self, prefix: str = "", **options: Any) -> Iterator[ObjectInfo]:
        found = [*self.inner.list(prefix, **options)]
        if not self._pusher.ledger.state.ended:
            self._pusher.end(Ending(status="Completed"))
        yield from found


@pytest.mark.parametrize("live_first", [True, False])
def test_live_is_listed_first(
    make_spool: Callable[..., MemorySpool],
    make_pusher: Callable[..., Pusher],
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
    live_first: bool,
) -> None:
    """A writer that ends while they are listed: with the order turned round its rows are in neither."""
    spool = make_spool()
    pusher = make_pusher(backend, spool)
    pusher.intend_join("uid")
    for _ in range(5):
        spool.log("x", 1.0)
    pusher.flush()
    if not live_first:

        def turned_round(backend: Backend, run_id: str) -> list[ObjectInfo]:
            merged = [*backend.list(layout.metrics(run_id))]
            return [*backend.list(layout.live(run_id)), *merged]

        monkeypatch.setattr(segments, "_row_objects", turned_round)
    found = read_rows(_EndsBetween(backend, pusher), spool.run_id, read_positions)
    rows = [position for _, part in found.parts for position in part]
    assert rows == (list(range(5)) if live_first else [])


def test_missing_rows_are_reported(
    make_spool: Callable[..., MemorySpool], make_pusher: Callable[..., Pusher], backend: Backend
) -> None:
    """A merged file was destroyed: said, not hidden."""
    spool = make_spool()
    pusher = make_pusher(backend, spool)
    pusher.intend_join("uid")
    spool.log("x", 1.0)
    pusher.end(Ending(status="Completed"))
    backend.delete([info.key for info in backend.list(layout.metrics(spool.run_id))])
    found = read_rows(backend, spool.run_id, read_positions, expected={spool.writer: 1})
    assert found.missing == {spool.writer: 1}


def test_chosen_writers_and_strangers_files(
    make_spool: Callable[..., MemorySpool], make_pusher: Callable[..., Pusher], backend: Backend
) -> None:
    first, spool = (make_spool(0, name=f"rank{at}") for at in range(2))
    for each in (first, spool):
        pusher = make_pusher(backend, each)
        pusher.intend_join("uid")
        each.log("x", 1.0)
        pusher.flush()
    backend.put(f"{layout.live(spool.run_id)}notes.txt", b"a stranger's")
    backend.put(f"{layout.live(spool.run_id)}deep/x.parquet", b"a stranger's")
    assert len(read_rows(backend, spool.run_id, read_positions).parts) == 2
    only = read_rows(backend, spool.run_id, read_positions, writers=[spool.writer])
    assert [file.part.writer for file, _ in only.parts] == [spool.writer]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=120))
def test_merging_keeps_every_row(flushes: list[int]) -> None:
    """Whatever the flushes hold: boundaries fit together, few remain, and each row is read from exactly one file."""
    parts: list[Segment] = []
    after = 0
    for rows in flushes:
        cut = after
        after += rows
        parts.append(Segment("w", merged_first(parts, cut, after), after))
    kept = visible(parts)
    assert [one.first for one in kept] == [0, *(one.after for one in kept[:-1])]
    assert kept[-1].after == after
    assert len(kept) <= 3 * (after.bit_length() // 2 + 2)
    taken = cover(RowFile(str(one), 0, one) for one in parts)
    assert [file.part for file in taken] == kept


def test_covered_segments_go_head_first(
    make_spool: Callable[..., MemorySpool],
    make_pusher: Callable[..., Pusher],
    counted: CountingBackend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader that still lists the head finds it gone before the rest can be: it starts again."""
    monkeypatch.setattr(flushing, "SWEEP_EVERY", 4)
    spool = make_spool()
    pusher = make_pusher(counted, spool)
    pusher.intend_join("uid")
    for _ in range(8):
        spool.log("x", 1.0)
        pusher.flush()
    deleted = [one.key.rsplit("/", 1)[1] for one in counted.requests if one.operation == "delete"]
    stem = spool.writer
    assert deleted[:2] == [f"{stem}-0-1.parquet", f"{stem}-1-2.parquet"]
    found = read_rows(counted, spool.run_id, read_positions)
    assert [position for _, part in found.parts for position in part] == list(range(8))
