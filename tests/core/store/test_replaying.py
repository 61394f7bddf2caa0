"""I7 and what replays are for: whatever prefix of a life is in the journal, replays bring it to the store once."""

from __future__ import annotations

import copy
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runfolio import layout
from runfolio.errors import RunStateError, StorageError
from runfolio.store.ending import Ending
from runfolio.store.environment import Environment, serially
from runfolio.store.pushing import Pusher
from runfolio.store.run_folder import open_run
from runfolio.store.segments import read_rows
from runfolio.testing import CountingBackend, FaultyBackend
from runfolio.testing.scenarios import read_positions
from runfolio.testing.scheduling import DOGGED, Killed, Schedule, World
from runfolio.testing.spooling import MemorySpool
from runfolio_backends.memory import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from runfolio.backend import Backend

_spaces = count()
RUN = "iris_1700000000000-00000"


def _store() -> MemoryBackend:
    return MemoryBackend(f"memory://replay-{next(_spaces)}")


def _life(backend: Backend, spool: MemorySpool, environment: Environment) -> None:
    pusher = Pusher(backend, spool, environment=environment, patience=DOGGED)
    pusher.intend_start({"run": RUN, "uid": "uid-1", "project": "iris", "main": spool.writer})
    pusher.start()
    for _ in range(5):
        spool.log("x", 1.0)
        pusher.flush()
    pusher.edit("name", "baseline")
    pusher.beat()
    pusher.end(Ending(status="Completed"))


def _contents(backend: Backend) -> dict[str, Any]:
    """What a store holds, apart from what may differ: live segments, gaps in the numbers, times.

    Replays side by side without the journal's lock may stamp one edit twice: it has one token and one value, so it
    counts once.
    """
    found: dict[str, Any] = {}
    folder = open_run(backend, RUN)
    found["start"] = None if folder.start is None else folder.start["uid"]
    found["ends"] = {writer: (end["status"], end["rows"]) for writer, end in folder.ends.items()}
    found["edits"] = {(one["token"], one["field"], one["value"]) for one in folder.edits}  # a token may have two stamps
    found["metrics"] = sorted(folder.listing.metrics)
    found["rows"] = [position for _, part in read_rows(backend, RUN, read_positions).parts for position in part]
    found["entries"] = {(name.kind, name.who) for name in map(layout.entry_of, _keys(backend, layout.LOG)) if name}
    return found


def _keys(backend: Backend, prefix: str = "") -> list[str]:
    return [info.key for info in backend.list(prefix)]


def _killed_at(steps: int) -> tuple[MemoryBackend, MemorySpool]:
    """A life that was killed at its request number `steps`, before or after it took effect."""
    backend, spool = _store(), MemorySpool(RUN, "iris", "main.0000000000000000")
    schedule = Schedule(backend, steps, jump=0.0)
    left = [steps]

    def order(actor: object) -> str:
        left[0] -= 1
        return "kill" if left[0] < 0 else "go"

    schedule._draw_order = order  # type: ignore[method-assign]  # kill at a chosen request, not at a drawn one
    schedule.actor("life", lambda world: _life(world.backend, spool, world.environment))
    schedule.run()
    return backend, spool


def _copy(backend: Backend) -> MemoryBackend:
    twin = _store()
    for key in _keys(backend):
        twin.put(key, backend.get(key))
    return twin


def _replay(backend: Backend, spool: MemorySpool) -> str:
    clock = [1_800_000_000.0]
    environment = Environment(wall=lambda: clock[0], monotonic=lambda: clock[0], sleep=lambda _: None, gather=serially)
    return Pusher(backend, spool, environment=environment, patience=DOGGED).replay().outcome


@pytest.mark.memory_only("a scheduler decides which request comes next")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(killed=st.integers(0, 40), seed=st.integers(0, 2**16))
def test_any_prefix_any_number_of_times(killed: int, seed: int) -> None:
    """One calm replay, and many that run side by side, are killed, lose answers and come back late: the same store."""
    backend, spool = _killed_at(killed)
    twin, twin_spool = _copy(backend), copy.deepcopy(spool)
    outcome = _replay(backend, spool)
    if outcome == "empty":
        assert _keys(backend) == []
        return
    once = _contents(backend)

    schedule = Schedule(twin, seed, kill=0.03, lose=0.1, fail=0.05)
    stale = copy.deepcopy(twin_spool)

    def sync(world: World, journal: MemorySpool) -> None:
        Pusher(world.backend, journal, environment=world.environment, patience=DOGGED).replay()

    for at in range(3):
        schedule.actor(f"sync{at}", lambda world: sync(world, twin_spool))
    schedule.run()
    assert [actor.error for actor in schedule.actors if actor.error] == []
    assert _replay(twin, twin_spool) == "stored"
    assert _contents(twin) == once
    # A copy of the journal from before all this, restored from a backup days later.
    assert _replay(twin, stale) == "stored"
    assert _contents(twin) == once
    assert once["rows"] == list(range(len(spool.rows)))
    assert next(iter(once["ends"].values()))[1] == len(spool.rows)


@pytest.mark.memory_only("a scheduler decides which request comes next")
@pytest.mark.parametrize("killed", range(32))
def test_after_every_kill(killed: int) -> None:
    """Killed at each request in turn, before or after it took effect: one replay stores the whole life."""
    backend, spool = _killed_at(killed)
    outcome = _replay(backend, spool)
    assert outcome == "stored"
    assert spool.discarded
    found = _contents(backend)
    assert found["rows"] == list(range(spool.cut()))
    assert [info.key for info in backend.list(layout.BEATS)] == []
    end = open_run(backend, RUN).ends[spool.writer]
    promised = any(kind == "end" for kind, _ in spool.noted)
    assert (end["status"], end["reason"]) == (("Completed", None) if spool_ended(spool) else ("Failed", "killed"))
    assert promised


def spool_ended(spool: MemorySpool) -> bool:
    intent = next(body for kind, body in spool.noted if kind == "end")
    return bool(intent["document"]["status"] == "Completed")


def test_a_journal_without_anything(backend: Backend, make_spool: Callable[..., MemorySpool]) -> None:
    counted, spool = CountingBackend(backend), make_spool()
    assert Pusher(counted, spool).replay().outcome == "empty"
    assert len(counted) == 0
    assert spool.discarded


def test_a_deleted_run_stays_deleted(
    backend: Backend, make_spool: Callable[..., MemorySpool], make_pusher: Callable[..., Pusher]
) -> None:
    """Somebody deleted the run of a dead process: its journal is kept, nothing is sent."""
    spool = MemorySpool(RUN, "iris", "main.0000000000000000")
    pusher = make_pusher(backend, spool)
    pusher.intend_start({"run": RUN, "uid": "u", "project": "iris", "main": spool.writer})
    pusher.start()
    spool.log("x", 1.0)
    pusher.flush()
    other = make_pusher(backend, MemorySpool(RUN, "iris", "other.0000000000000001"))
    other.edit(None, kind="delete")
    assert {key.rsplit("/", 2)[-2] for key in _keys(backend, layout.RUNS)} == {RUN, "edits"}
    spool.log("x", 2.0)
    assert make_pusher(backend, spool).replay().outcome == "deleted"
    assert not spool.discarded
    assert len(_keys(backend, layout.RUNS)) == 2
    assert open_run(backend, RUN).deleted


@pytest.mark.parametrize("lost", ["list", "create", "put"])
def test_an_own_delete_is_finished(backend: Backend, make_pusher: Callable[..., Pusher], lost: str) -> None:
    """The process died while it deleted its run: the replay announces the delete, and sends nothing else."""
    spool = MemorySpool(RUN, "iris", "main.0000000000000000")
    faulty = FaultyBackend(backend)
    pusher = make_pusher(faulty, spool)
    pusher.intend_start({"run": RUN, "uid": "u", "project": "iris", "main": spool.writer})
    pusher.start()
    faulty.fail(lost, error=StorageError("gone"))  # type: ignore[arg-type]  # one of the operations
    with pytest.raises(StorageError):
        pusher.edit(None, kind="delete")
    assert make_pusher(backend, spool).replay().outcome == "deleted"
    assert {name.kind for name in map(layout.entry_of, _keys(backend, layout.LOG)) if name} == {"start", "delete"}


def test_a_damaged_edit_does_not_keep_rows_from_the_store(backend: Backend, make_pusher: Callable[..., Pusher]) -> None:
    spool = MemorySpool(RUN, "iris", "main.0000000000000000")
    make_pusher(backend, spool).intend_start({"run": RUN, "uid": "u", "project": "iris", "main": spool.writer})
    backend.put(layout.edit(RUN, 5, "0" * 16), b"{")
    assert make_pusher(backend, spool).replay().outcome == "stored"
    assert list(open_run(backend, RUN).damaged) == [layout.edit(RUN, 5, "0" * 16)]


def test_a_live_process_is_only_flushed(backend: Backend, make_pusher: Callable[..., Pusher]) -> None:
    spool = MemorySpool(RUN, "iris", "main.0000000000000000")
    pusher = make_pusher(backend, spool)
    pusher.intend_start({"run": RUN, "uid": "u", "project": "iris", "main": spool.writer})
    spool.log("x", 1.0)
    assert pusher.replay(dead=False).outcome == "flushed"
    assert not spool.discarded
    found = open_run(backend, RUN)
    assert (found.ends, len(found.listing.live)) == ({}, 1)


def test_an_id_of_another_run(backend: Backend, make_pusher: Callable[..., Pusher]) -> None:
    for uid, expected in (("u1", None), ("u2", RunStateError)):
        pusher = make_pusher(backend, MemorySpool(RUN, "iris", f"main.000000000000000{uid[1]}"))
        pusher.intend_start({"run": RUN, "uid": uid, "project": "iris", "main": "m"})
        if expected is None:
            pusher.start()
        else:
            with pytest.raises(expected):
                pusher.start()
    assert open_run(backend, RUN).start["uid"] == "u1"  # type: ignore[index]  # it has a start


def test_a_clone_takes_a_new_key(backend: Backend, make_pusher: Callable[..., Pusher]) -> None:
    """Another process writes under our key: it is not overwritten, and our rows are stored once, under a new key."""
    mine, theirs = (MemorySpool(RUN, "iris", "rank1.0000000000000000") for _ in range(2))
    ours, other = make_pusher(backend, mine), make_pusher(backend, theirs)
    ours.intend_join("uid-ours")
    other.intend_join("uid-theirs")
    mine.log("x", 1.0)
    ours.flush()
    for _ in range(2):
        mine.log("x", 1.0)
        theirs.log("y", 2.0)
    theirs.log("y", 2.0)
    backend.put(
        layout.segment(layout.live(RUN), layout.Segment(mine.writer, 1, 3)), b""
    )  # unreadable: an error, no success
    with pytest.raises(Exception, match="Parquet"):
        ours.flush()
    key = layout.segment(layout.live(RUN), layout.Segment(mine.writer, 1, 3))
    backend.put(key, theirs.encode(1, 3, {"runfolio.writer": theirs.writer, "runfolio.wid": "theirs"}))
    before = backend.get(key)
    assert ours.flush() == 3
    assert backend.get(key) == before
    assert ours.writer != mine.writer
    assert ours.writer.startswith("rank1.")
    ours.end(Ending(status="Completed"))
    end = open_run(backend, RUN).ends[ours.writer]
    assert (end["rows"], end["main"]) == (2, False)
    again = make_pusher(backend, mine)  # a replay knows the new key
    assert again.writer == ours.writer


def test_killed_is_not_an_exception() -> None:
    """Code under test cannot catch a kill by accident."""
    assert not issubclass(Killed, Exception)
