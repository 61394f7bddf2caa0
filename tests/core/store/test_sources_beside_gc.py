"""I5: whatever is deleted and collected meanwhile, each complete snapshot of a run not deleted has all its objects.

Real snapshots are sent through the real protocol, and real collections run among them, one request at a time in an
order that a seed decides, with kills, lost answers and jumps of time. The rule is also taken out, to show that this
notices.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runfolio import layout
from runfolio.errors import FormatError, NotFoundError
from runfolio.index.packs import collect_packs
from runfolio.index.view import Index
from runfolio.snapshot import look_through
from runfolio.snapshot.known import Known
from runfolio.snapshot.reading import open_source
from runfolio.snapshot.taking import Rules, take_snapshot
from runfolio.store import sourcing
from runfolio.store.documents import decode
from runfolio.store.ending import Ending
from runfolio.store.pushing import Pusher
from runfolio.store.retrying import RetryingBackend
from runfolio.testing.scheduling import DOGGED, Schedule, World
from runfolio.testing.spooling import MemorySpool
from runfolio_backends.memory import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.memory_only("a scheduler decides which request comes next")

_names = count()
STARTS = 8


class Scenario:
    """Machines that start runs of ever changing projects, deleters, collections, and somebody who looks."""

    def __init__(self, folder: Path, seed: int, start_fields: Callable[..., dict[str, Any]]) -> None:
        self.folder, self.start_fields = folder, start_fields
        self.deleted: set[str] = set()
        self.complete: dict[str, dict[str, bytes]] = {}
        self.taken: dict[str, dict[str, bytes]] = {}
        self.spools: dict[str, MemorySpool] = {}
        self.violations: list[str] = []
        self.incomplete = self.looked = 0
        now: list[Schedule] = []
        name = f"memory://sources-{next(_names)}"
        self.memory = MemoryBackend(name, clock=lambda: now[0]._now if now else 0.0)
        self.schedule = Schedule(self.memory, seed, kill=0.003, lose=0.02, fail=0.01, jump=0.01)
        now.append(self.schedule)

    def run(self) -> None:
        for number in range(2):
            self.schedule.actor(f"run {number} 0", self.machine(number, 0, Known(store_id="store")))
            self.schedule.actor(f"collector{number}", self.collector)
        self.schedule.actor("deleter", self.deleter)
        self.schedule.actor("looker", self.looker, mortal=False)
        self.schedule.run()
        for actor in self.schedule.actors:
            if actor.error is not None:
                raise actor.error
        self.settle()

    def machine(self, number: int, turn: int, known: Known) -> Callable[[World], None]:
        """One run of a machine; the next one begins when it has ended or was killed."""

        def body(world: World) -> None:
            try:
                self.start(world, number, turn, known)
            finally:
                if turn + 1 < STARTS:
                    world.spawn(f"run {number} {turn + 1}", self.machine(number, turn + 1, known))

        return body

    def start(self, world: World, number: int, turn: int, known: Known) -> None:
        root = self.folder / f"{number}-{turn}"
        root.mkdir()
        files = {f"f{one}.py": b"%d of %d" % (one, turn // 2 if one == 0 else 0) for one in range(3)}
        for name, content in files.items():
            (root / name).write_bytes(content)
        aside = self.folder / f"taken-{number}-{turn}"
        aside.mkdir()
        snapshot = take_snapshot(look_through(root), Rules(), known, aside)
        spool = MemorySpool(f"iris_1700000000000-{number}{turn:04d}", "iris", f"main.{number * 100 + turn:016x}")
        self.spools[spool.run_id], self.taken[spool.run_id] = spool, files
        fields = self.start_fields(spool, snapshot=snapshot.commit)
        if snapshot.unchanged:
            fields.update(packs=[layout.pack(one) for one in snapshot.packs], listed_by=snapshot.listed_by)
        pusher = Pusher(world.backend, spool, environment=world.environment, patience=DOGGED)
        pusher.intend_source(snapshot)
        pusher.intend_start(fields)
        pusher.start()
        homes = pusher.push_source(last=True)
        if homes is not None:
            for sha, stem in homes.items():
                known.holds([sha], stem, world.environment.wall())
            if not snapshot.unchanged:
                known.commits[snapshot.commit] = spool.run_id
        self.note(spool.run_id, pusher.end(Ending(status="Completed")))

    def note(self, run_id: str, end: dict[str, Any]) -> None:
        if end["snapshot"]["complete"]:
            self.complete[run_id] = self.taken[run_id]
        else:
            self.incomplete += 1

    def deleter(self, world: World) -> None:
        """Deletes what is complete, often all of it, so that packs become garbage while others rely on them."""
        backend = RetryingBackend(world.backend, DOGGED, world.environment)
        chance = world.environment.chance
        for _ in range(20):
            for _ in range(chance.randrange(1, 20)):
                world.pause()
            alive = sorted(run_id for run_id in self.complete if run_id not in self.deleted)
            doomed = alive if chance.random() < 0.4 else alive[:1]
            self.deleted.update(doomed)  # the tombstones
            for run_id in doomed:
                backend.delete([layout.source(run_id)])

    def collector(self, world: World) -> None:
        backend = RetryingBackend(world.backend, DOGGED, world.environment)
        for _ in range(12):
            index = Index(backend, environment=world.environment)
            collect_packs(index, lambda: set(self.deleted))

    def looker(self, world: World) -> None:
        for _ in range(30):
            for run_id in sorted(self.complete):
                self.look(world, run_id)
            world.pause()

    def look(self, world: World, run_id: str) -> None:
        if run_id in self.deleted:
            return
        self.looked += 1
        backend = RetryingBackend(world.backend, DOGGED, world.environment)
        try:
            with open_source(backend, world.environment, run_id) as source:
                found = {entry.path: source.read(entry) for entry in source.entries}
        except (FormatError, NotFoundError) as error:
            found = {"error": str(error).encode()}
        if found != self.complete[run_id] and run_id not in self.deleted:
            self.violations.append(f"{run_id}: {found}")

    def settle(self) -> None:
        """Every journal is replayed, garbage is collected twice more, and everything is looked at."""
        with self.schedule.calm() as world:
            for run_id, spool in self.spools.items():
                pusher = Pusher(world.backend, spool, environment=world.environment, patience=DOGGED)
                pusher.replay()
                key = layout.end(run_id, pusher.writer)
                if run_id not in self.deleted:
                    self.note(run_id, decode(self.memory.get(key), key))
            for _ in range(2):
                collect_packs(Index(world.backend, environment=world.environment), lambda: set(self.deleted))
            for run_id in self.complete:
                self.look(world, run_id)


@pytest.mark.parametrize("seed", range(12))
def test_complete_sources_stay_complete(tmp_path: Path, seed: int, start_fields: Callable[..., dict[str, Any]]) -> None:
    scenario = Scenario(tmp_path, seed, start_fields)
    scenario.run()
    assert scenario.violations == []
    assert len(scenario.complete) >= 6
    assert scenario.looked > 0


def violations(folder: Path, start_fields: Callable[..., dict[str, Any]], seeds: range) -> int:
    for seed in seeds:
        (folder / str(seed)).mkdir()
        scenario = Scenario(folder / str(seed), seed, start_fields)
        scenario.run()
        if scenario.violations:
            return len(scenario.violations)
    return 0


@pytest.mark.slow
def test_not_looking_at_garbage_is_caught(
    tmp_path: Path, start_fields: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sourcing._Sourcing, "_condemned", lambda _: sourcing._Condemned())
    assert violations(tmp_path, start_fields, range(40))
