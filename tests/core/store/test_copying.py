"""Copy between two stores under the scheduler: kills, lost answers, writers, readers, deletes and gc at once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runfolio import layout
from runfolio.backend import Backend
from runfolio.errors import RunStateError
from runfolio.index.packs import collect_packs
from runfolio.index.scanning import scan
from runfolio.index.view import Index
from runfolio.store import copying
from runfolio.store.artifacts import StagedFile
from runfolio.store.copying import copy_run
from runfolio.store.copying_snapshots import Snapshots
from runfolio.store.created import create_document
from runfolio.store.desk import Desk
from runfolio.store.documents import FORMAT, decode
from runfolio.store.editing import edit, intend_edit
from runfolio.store.ending import Ending
from runfolio.store.ledger import Ledger
from runfolio.store.pushing import Pusher
from runfolio.store.retrying import RetryingBackend
from runfolio.store.spooled import MemoryNotes
from runfolio.testing import CountingBackend
from runfolio.testing.scenarios import read_folders
from runfolio.testing.scheduling import DOGGED, Schedule, World
from runfolio.testing.spooling import MemorySpool
from runfolio_backends.memory import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from runfolio.backend import ObjectInfo
    from runfolio.store.copying import RunCopy

pytestmark = pytest.mark.memory_only("a scheduler decides which request comes next")

_spaces = count()
PROJECT = "iris"
UID = "0123456789abcdef0123456789abcde"


class Below(Backend):
    """A store below a prefix of another one, so that one schedule decides about two stores."""

    name = "below"

    def __init__(self, inner: Backend, prefix: str) -> None:
        self._inner, self._prefix = inner, prefix

    @property
    def url(self) -> str:
        return f"{self._inner.url}/{self._prefix.rstrip('/')}"

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        return self._inner.get(self._prefix + key, start, end)

    def put(self, key: str, data: bytes) -> None:
        self._inner.put(self._prefix + key, data)

    def create(self, key: str, data: bytes) -> None:
        self._inner.create(self._prefix + key, data)

    def list(self, prefix: str = "", *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        after = self._prefix + start_after if start_after else ""
        for info in self._inner.list(self._prefix + prefix, start_after=after, limit=limit):
            yield replace(info, key=info.key.removeprefix(self._prefix))

    def stat(self, key: str) -> ObjectInfo:
        return replace(self._inner.stat(self._prefix + key), key=key)

    def delete(self, keys: Iterable[str]) -> None:
        self._inner.delete([self._prefix + key for key in keys])

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:
        assert isinstance(source, Below)
        return self._inner.copy_from(source._inner, source._prefix + source_key, self._prefix + key)

    def close(self) -> None:
        pass


def below(world: World, prefix: str) -> World:
    return replace(world, backend=Below(world.backend, prefix))


def pusher(world: World, spool: MemorySpool) -> Pusher:
    return Pusher(world.backend, spool, environment=world.environment, patience=DOGGED)


def spool_of(number: int, name: str = "main") -> MemorySpool:
    return MemorySpool(f"{PROJECT}_1700000000000-{number:05d}", PROJECT, f"{name}.{number:016x}")


def start(world: World, spool: MemorySpool, uid: str) -> Pusher:
    begun = pusher(world, spool)
    begun.intend_start({"run": spool.run_id, "uid": uid, "project": PROJECT, "main": spool.writer})
    begun.start()
    return begun


def change(world: World, run_id: str, field: str | None, value: object = None) -> None:
    desk = Desk(world.backend, Ledger(MemoryNotes()), world.environment, DOGGED)
    kind: Any = "edit" if field else "delete"
    edit(desk, intend_edit(desk, run_id=run_id, project=PROJECT, field=field, value=value, kind=kind))


def fill(world: World, folder: Path) -> list[str]:
    """Five runs: whole, with a second attempt, with files and a snapshot, deleted, and still running."""
    spools = [spool_of(number) for number in range(5)]
    for number, spool in enumerate(spools):
        main = start(world, spool, f"{UID}{number}")
        for _ in range(3):
            spool.log("loss", 1.0)
            main.flush()
        if number == 4:
            continue
        rank = spool_of(number, "rank1")
        other = pusher(world, rank)
        other.intend_join(f"{UID}{number}")
        rank.log("loss", 2.0)
        if number == 2:
            for name, data in (("a", b"one"), ("b", b"")):
                (folder / name).write_bytes(data)
                main.stage(StagedFile(path=f"outputs/{name}", source=folder / name))
            snapshot(world, spool.run_id)
        main.end(Ending(status="Failed" if number == 1 else "Completed"))
        other.end(Ending(status="Completed"))
        if number == 1:
            again = spool_of(number, "again")
            second = pusher(world, again)
            second.intend_attempt({"run": again.run_id, "project": PROJECT, "main": again.writer}, f"{UID}1")
            second.attempt()
            again.log("loss", 3.0)
            second.end(Ending(status="Completed"))
        change(world, spool.run_id, "name", f"run {number}")
        change(world, spool.run_id, "name", f"run {number} again")
        if number == 3:
            change(world, spool.run_id, None)
    return [spool.run_id for spool in spools]


def snapshot(world: World, run_id: str) -> None:
    packs = ["a" * 40, "b" * 40]
    document = {"format": FORMAT, "wid": f"{run_id}:source", "commit": "c" * 40, "packs": packs, "files": []}
    create_document(world.backend, layout.source(run_id), document, world.environment)
    for pack in packs:
        for suffix in (".pack", ".idx"):
            world.backend.put(f"{layout.OBJECTS}{pack}{suffix}", f"{pack}{suffix}".encode())


def copy(world: World, run_id: str, into: str = "b/") -> RunCopy:
    source = RetryingBackend(Below(world.backend, "a/"), DOGGED, world.environment)
    desk = Desk(Below(world.backend, into), Ledger(MemoryNotes()), world.environment, DOGGED)
    return copy_run(source, desk, run_id, snapshots=Snapshots())


def copy_all(world: World, run_ids: list[str], into: str = "b/") -> list[RunCopy]:
    chosen = list(run_ids)
    world.environment.chance.shuffle(chosen)
    return sorted((copy(world, run_id, into) for run_id in chosen), key=lambda one: one.run_id)


def contents(backend: Backend, prefix: str) -> dict[str, bytes]:
    return {info.key.removeprefix(prefix): backend.get(info.key) for info in backend.list(prefix)}


def complete(backend: Backend, run_id: str, expected: dict[str, bytes]) -> list[str]:
    """What a reader finds lacking of a run whose main writer has ended, as the target shows it."""
    folder = layout.run_folder(run_id)
    there = {info.key for info in backend.list(folder)}
    attempts = [key for key in there if "/attempt-" in key]
    main = decode(backend.get(max(attempts)), "")["main"] if attempts else None
    if main is None and layout.start(run_id) in there:
        main = decode(backend.get(layout.start(run_id)), "")["main"]
    if main is None or layout.end(run_id, main) not in there:
        return []
    again = {info.key for info in backend.list(folder)}
    packs = {info.key for info in backend.list(layout.OBJECTS)} if layout.source(run_id) in again else set()
    return [
        key
        for key in expected
        if (key.startswith(folder) and key not in again)
        or (packs and key.startswith(layout.OBJECTS) and key not in packs)
    ]


def violations(seed: int, folder: Path, *, kill: float = 0.02, lose: float = 0.1, copiers: int = 2) -> list[str]:
    """Copy a store that stands still, by killed copiers beside readers; afterwards once more, calmly."""
    both = MemoryBackend(f"memory://copies-{next(_spaces)}")
    schedule = Schedule(both, seed, kill=kill, lose=lose, fail=0.03)
    with schedule.calm() as world:
        ids = fill(below(world, "a/"), folder)
        copy_all(world, ids, "once/")
    source, once = contents(both, "a/"), contents(both, "once/")
    expected = {key: data for key, data in source.items() if "/live/" not in key}
    found: list[str] = []

    def read(world: World) -> None:
        backend = RetryingBackend(Below(world.backend, "b/"), DOGGED, world.environment)
        for _ in range(6):
            for _ in range(world.environment.chance.randrange(30)):
                world.pause()
            for run_id in ids[:3]:
                found.extend(
                    f"{run_id} is shown as complete without {key}" for key in complete(backend, run_id, expected)
                )

    for at in range(copiers):
        schedule.actor(f"copier{at}", partial(copy_all, run_ids=ids))
    for at in range(2):
        schedule.actor(f"reader{at}", read, mortal=False)
    schedule.run()
    found += [f"{one.name} ended with {one.error!r}" for one in schedule.actors if one.error is not None]
    with schedule.calm() as world:
        last = copy_all(world, ids)
        before = contents(both, "b/")
        again = copy_all(world, ids)
    found += [f"{one.run_id}: {one.problems}" for one in (*last, *again) if one.problems]
    found += [f"{one.run_id} was copied again" for one in again if one.outcome != "there" or one.objects]
    if contents(both, "b/") != before:
        found.append("a copy of what is there changed something")
    found += [f"{key} is not as one copy leaves it" for key in once.keys() ^ before.keys()]
    found += [f"{key} has other bytes" for key in once if before.get(key) not in (None, once[key])]
    found += [f"{key} was not copied" for key in expected if not key.startswith("log/") and key not in before]
    return found + _index_differs(Below(both, "b/"))


def _index_differs(backend: Backend) -> list[str]:
    """I4: the view of index and log is the view of the folders."""
    index = Index(backend)
    shown = index.refresh(live=False).rows()
    scanned = {folder.run_id: folder.row for batch in scan(backend, index.environment.gather) for folder in batch}
    strip = [{run_id: {**row, "changed": 0} for run_id, row in rows.items()} for rows in (shown, scanned)]
    return [] if strip[0] == strip[1] else [f"I4: the index shows {strip[0]}, and the folders say {strip[1]}"]


_faults = given(
    seed=st.integers(0, 2**32), kill=st.sampled_from([0.0, 0.01, 0.05]), lose=st.sampled_from([0.0, 0.1, 0.3])
)
_LAX = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(max_examples=10, deadline=None, suppress_health_check=_LAX)
@_faults
def test_copy_twice_is_copy_once(tmp_path: Path, seed: int, kill: float, lose: float) -> None:
    """However often copies were killed, the next leaves what one copy leaves; no reader saw half a run as complete."""
    assert violations(seed, tmp_path, kill=kill, lose=lose) == []


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=_LAX)
@_faults
def test_copy_twice_is_copy_once_more_often(tmp_path: Path, seed: int, kill: float, lose: float) -> None:
    """The same, more often."""
    assert violations(seed, tmp_path, kill=kill, lose=lose) == []


def _main_end_early(monkeypatch: pytest.MonkeyPatch) -> None:
    real = copying._Copy._edits

    def edits(self: Any) -> None:
        main = self._folder.main
        if not self._folder.deleted and main in self._folder.ends:
            self._document(layout.end(self._run_id, main), self._folder.ends[main])
        real(self)

    monkeypatch.setattr(copying._Copy, "_edits", edits)


def _without_announcing_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    real = copying._Copy._announce

    def announce(self: Any, stored: Any) -> None:
        if layout.start(self._run_id) not in self._there:
            real(self, stored)

    monkeypatch.setattr(copying._Copy, "_announce", announce)


@pytest.mark.parametrize("rule", [_main_end_early, _without_announcing_what_is_there])
def test_each_rule_of_a_copy_is_needed(
    rule: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one rule taken out, one of the first few seeds shows it."""
    rule(monkeypatch)
    assert any(violations(seed, tmp_path, kill=0.03) for seed in range(20))


def _write(world: World, spool: MemorySpool, uid: str) -> None:
    main = start(world, spool, uid)
    for _ in range(4):
        spool.log("loss", 1.0)
        main.flush()
    spool.log("loss", 0.0)
    main.end(Ending(status="Completed"))


def _write_source(world: World, spool: MemorySpool, uid: str) -> None:
    _write(below(world, "a/"), spool, uid)


def _read_rows(world: World, run_ids: list[str], found: list[str]) -> None:
    """Look at the target now and then: each row once, and all that an end counts."""
    for _ in range(6):
        for _ in range(world.environment.chance.randrange(20)):
            world.pause()
        for run_id, seen in read_folders(below(world, "b/"), run_ids).items():
            rows = seen.rows or {}
            found += [f"{run_id}: {rows}" for have in rows.values() if sorted(have) != list(range(len(have)))]
            found += [f"{run_id}: {rows}" for writer, many in seen.ends.items() if len(rows[writer]) != many]


def _replay(world: World, spools: list[MemorySpool]) -> None:
    for spool in spools:
        pusher(world, spool).replay()


@settings(max_examples=10, deadline=None, suppress_health_check=_LAX)
@_faults
def test_a_live_run_is_copied_as_far_as_it_is_and_completed_later(seed: int, kill: float, lose: float) -> None:
    """Writers write, and are killed, while copies run; readers of the target see each row once, and what is ended."""
    both = MemoryBackend(f"memory://copies-{next(_spaces)}")
    schedule = Schedule(both, seed, kill=kill, lose=lose, fail=0.03)
    spools = [spool_of(number) for number in range(2)]
    ids = [spool.run_id for spool in spools]
    found: list[str] = []

    def copy_again_and_again(world: World) -> None:
        for _ in range(4):
            for run_id in ids:
                if any(both.list(f"a/{layout.start(run_id)[: -len('start.json')]}")):
                    copy(world, run_id)
            world.pause()

    for number, spool in enumerate(spools):
        schedule.actor(spool.writer, partial(_write_source, spool=spool, uid=f"{UID}{number}"))
    schedule.actor("editor", lambda world: change(below(world, "a/"), ids[0], "note", "x"))
    for at in range(2):
        schedule.actor(f"copier{at}", copy_again_and_again)
        schedule.actor(f"reader{at}", partial(_read_rows, run_ids=ids, found=found), mortal=False)
    schedule.run()
    assert found == []
    with schedule.calm() as world:
        _replay(below(world, "a/"), spools)
        assert all(one.ended and not one.problems for one in copy_all(world, ids))
        mine, theirs = (read_folders(below(world, prefix), ids) for prefix in ("a/", "b/"))
        assert mine == theirs
        assert not [info.key for info in both.list("b/") if "/live/" in info.key]
    assert _index_differs(Below(both, "b/")) == []


@pytest.mark.parametrize("seed", range(12))
def test_a_delete_in_the_target_is_final(seed: int) -> None:
    """Whatever a copy does at the same time: the run stays deleted there, and its data do not come back."""
    both = MemoryBackend(f"memory://copies-{next(_spaces)}")
    schedule = Schedule(both, seed)
    spool = spool_of(0)
    with schedule.calm() as world:
        _write(below(world, "a/"), spool, f"{UID}0")
        begun = start(below(world, "b/"), spool_of(0), f"{UID}0")
    assert begun.ledger.state.started
    schedule.actor("copier", partial(copy, run_id=spool.run_id))
    schedule.actor("deleter", lambda world: change(below(world, "b/"), spool.run_id, None))
    schedule.run()
    with schedule.calm() as world:
        assert copy(world, spool.run_id).outcome == "deleted there"
        assert read_folders(below(world, "b/"), [spool.run_id])[spool.run_id].deleted
    rest = [key for key in contents(both, f"b/{layout.run_folder(spool.run_id)}") if not key.startswith("edits/")]
    assert rest == ["start.json"]


@pytest.mark.parametrize("seed", range(25))
def test_packs_survive_a_collection_in_the_target(seed: int, tmp_path: Path) -> None:
    """I5: gc in the target condemns and deletes packs of the very names that a copy is about to rely on."""
    both = MemoryBackend(f"memory://copies-{next(_spaces)}")
    schedule = Schedule(both, seed, kill=0.02)
    with schedule.calm() as world:
        ids = fill(below(world, "a/"), tmp_path)
        for pack in ("a" * 40, "b" * 40):
            world.backend.put(f"b/{layout.OBJECTS}{pack}.pack", f"{pack}.pack".encode())

    def collect(world: World) -> None:
        index = Index(Below(world.backend, "b/"), environment=world.environment)
        collect_packs(index, set)

    for at in range(2):
        schedule.actor(f"gc{at}", collect)
        schedule.actor(f"copier{at}", partial(copy, run_id=ids[2]))
    schedule.run()
    with schedule.calm() as world:
        assert copy(world, ids[2]).problems == []
        collect(world)
    packs = decode(both.get(f"b/{layout.source(ids[2])}"), "")["packs"]
    stored = contents(both, f"b/{layout.OBJECTS}")
    assert [stored[f"{name}.pack"] for name in packs] == [f"{'a' * 40}.pack".encode(), f"{'b' * 40}.pack".encode()]


def test_another_run_of_the_same_id_is_named_and_left() -> None:
    both = MemoryBackend(f"memory://copies-{next(_spaces)}")
    with Schedule(both).calm() as world:
        _write(below(world, "a/"), spool_of(0), f"{UID}0")
        _write(below(world, "b/"), spool_of(0, "other"), f"{UID}9")
        before = contents(both, "b/")
        with pytest.raises(RunStateError, match=spool_of(0).run_id):
            copy(world, spool_of(0).run_id)
    assert contents(both, "b/") == before


def test_a_taken_number_is_claimed_anew_and_stays_so() -> None:
    both = MemoryBackend(f"memory://copies-{next(_spaces)}")
    with Schedule(both).calm() as world:
        for number in range(3):
            _write(below(world, "a/"), spool_of(number), f"{UID}{number}")
        _write(below(world, "b/"), spool_of(9), f"{UID}9")
        for _ in range(2):
            copy_all(world, [spool_of(number).run_id for number in range(3)])
        seen = read_folders(below(world, "b/"), [spool_of(number).run_id for number in (0, 1, 2, 9)])
    numbers = [seen[spool_of(number).run_id].number for number in (9, 0, 1, 2)]
    assert numbers == [1, 4, 2, 3]


def test_what_is_damaged_in_the_source_is_named_and_copied_as_it_is(tmp_path: Path) -> None:
    """A file with other bytes than its record promises, one that is gone, and an end that cannot be read."""
    both = MemoryBackend(f"memory://copies-{next(_spaces)}")
    with Schedule(both).calm() as world:
        ids = fill(below(world, "a/"), tmp_path)
        both.put(f"a/{layout.artifact(ids[2], 'outputs/a')}", b"rot")
        both.delete([f"a/{layout.artifact(ids[2], 'outputs/b')}"])
        end = layout.end(ids[0], spool_of(0).writer)
        both.put(f"a/{end}", b"{")
        done = {one.run_id: one for one in copy_all(world, ids)}
    assert sorted("damaged" in text for text in done[ids[2]].problems) == [False, True]
    assert any("outputs/b is missing" in text for text in done[ids[2]].problems)
    assert both.get(f"b/{layout.artifact(ids[2], 'outputs/a')}") == b"rot"
    assert any(end in text for text in done[ids[0]].problems)
    assert both.get(f"b/{end}") == b"{"
    assert done[ids[1]].problems == []


def test_a_copy_back_gives_up_nothing_that_the_target_has(tmp_path: Path) -> None:
    """The target is further than the source: its writer's end, files and rows stay."""
    both = MemoryBackend(f"memory://copies-{next(_spaces)}")
    (tmp_path / "f").write_bytes(b"data")
    spool = spool_of(0)
    with Schedule(both).calm() as world:
        main = start(below(world, "b/"), spool, f"{UID}0")
        spool.log("loss", 1.0)
        main.flush()
        desk = Desk(Below(world.backend, "a/"), Ledger(MemoryNotes()), world.environment, DOGGED)
        source = RetryingBackend(Below(world.backend, "b/"), DOGGED, world.environment)
        copy_run(source, desk, spool.run_id, snapshots=Snapshots())
        spool.log("loss", 2.0)
        main.stage(StagedFile(path="outputs/f", source=tmp_path / "f"))
        main.end(Ending(status="Completed"))
        before = contents(both, f"b/{layout.RUNS}")
        assert copy(world, spool.run_id).ended
    assert contents(both, f"b/{layout.RUNS}") == before


def test_what_a_copy_costs() -> None:
    """Pinned: what ``docs/design/006-copy.md`` says."""
    both = MemoryBackend(f"memory://copies-{next(_spaces)}")
    with Schedule(both).calm() as world:
        _write(below(world, "a/"), spool_of(0), f"{UID}0")
        for new, requests in ((True, (5, 8)), (False, (4, 4))):
            source, target = CountingBackend(Below(both, "a/")), CountingBackend(Below(both, "b/"))
            desk = Desk(target, Ledger(MemoryNotes()), world.environment)
            hears = (lambda _kind, _body: True) if new else (lambda _kind, _body: False)
            copy_run(source, desk, spool_of(0).run_id, snapshots=Snapshots(), unannounced=hears)
            assert (len(source), len(target)) == requests
