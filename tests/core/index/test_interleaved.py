"""The index under a deterministic scheduler: real folds, repairs and readers among writers that are killed at any time.

The rules of the protocol are also taken out one by one, to show that these scenarios notice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from runfolio import layout
from runfolio.errors import FormatError, IndexDamagedError, TransientStorageError
from runfolio.index import folding, repairing
from runfolio.index.folding import fold
from runfolio.index.repairing import repair
from runfolio.index.row import Row, apply, identical, join
from runfolio.index.scanning import scan
from runfolio.index.state import State
from runfolio.index.view import Index
from runfolio.store.created import create_document
from runfolio.store.documents import encode, entry_document
from runfolio.store.editing import sweep_folder
from runfolio.store.retrying import RetryingBackend
from runfolio.testing.scheduling import DOGGED, Schedule, World
from runfolio_backends.memory import MemoryBackend

if TYPE_CHECKING:
    from runfolio.store.environment import Environment

pytestmark = pytest.mark.memory_only("a scheduler decides which request comes next")

_names = count()
Entry = tuple[str, dict[str, Any]]


@dataclass
class Acknowledged:
    """What was acknowledged, at which step, and what readers saw, from which step on."""

    entries: list[tuple[int, Entry]] = field(default_factory=list)
    views: list[tuple[int, dict[str, Row]]] = field(default_factory=list)
    damaged: int = 0


def retrying(world: World) -> RetryingBackend:
    return RetryingBackend(world.backend, DOGGED, world.environment)


def folder_key(kind: str, document: dict[str, Any]) -> str:
    run_id = document["run"]
    if kind == "start":
        return layout.start(run_id)
    if kind == "attempt":
        return layout.attempt(run_id, document["attempt"])
    if kind == "end":
        return layout.end(run_id, document["writer"])
    return layout.edit(run_id, document["stamp"], document["token"])


def write(backend: Any, environment: Environment, kind: str, document: dict[str, Any], at: int) -> None:
    """Create in the folder, put the log entry: acknowledged. A replay writes the same entry."""
    create_document(backend, folder_key(kind, document), document, environment, DOGGED)
    who = document.get("writer") or document.get("token") or str(document.get("attempt") or document["main"])
    backend.put(layout.entry(layout.EntryName(at, document["run"], kind, who)), encode(entry_document(document)))


@dataclass
class Scenario:
    """Writers of a few runs, folders, readers, perhaps a repair, and perhaps damage."""

    documents: Any
    seed: int
    index: type[Index] = Index
    repairs: bool = False
    damages: bool = False
    done: Acknowledged = field(default_factory=Acknowledged)

    def plan(self, number: int) -> list[Entry]:
        made, run_id = self.documents, self.documents.run_id(number)
        plan: list[Entry] = [("start", made.start(run_id)), ("edit", made.edit(run_id, "name", "a", 5 + number, "aa"))]
        if number % 2:
            plan.append(("attempt", made.attempt(run_id, 2, "main.00000000000000bb")))
        plan += [("end", made.end(run_id)), ("edit", made.edit(run_id, "name", "b", 5, "bb"))]
        if number % 4 == 1:
            plan.append(("delete", made.delete(run_id)))
        plan.append(("end", made.end(run_id, "rank1.00000000000000cc")))
        return plan

    def run(self, writers: int = 5) -> Acknowledged:
        now: list[Schedule] = []
        memory = MemoryBackend(f"memory://interleaved-{next(_names)}", clock=lambda: now[0]._now if now else 0.0)
        schedule = Schedule(memory, self.seed, kill=0.004, lose=0.02, fail=0.01)
        now.append(schedule)
        for number in range(writers):
            schedule.actor(f"writer{number}", self.writer(number))
        for number in range(2):
            schedule.actor(f"folder{number}", self.folder)
            schedule.actor(f"reader{number}", self.reader, mortal=False)
        if self.repairs:
            schedule.actor("repair", self.repairer)
        if self.damages:
            schedule.actor("damage", self.damage, mortal=False)
        schedule.run()
        for actor in schedule.actors:
            if actor.error is not None:
                raise actor.error
        self.finish(schedule, memory, writers)
        return self.done

    def writer(self, number: int) -> Callable[[World], None]:
        def body(world: World) -> None:
            backend = retrying(world)
            for place, (kind, document) in enumerate(self.plan(number)):
                write(backend, world.environment, kind, document, number * 100 + place)
                self.done.entries.append((world.step(), (kind, document)))
                if kind == "delete":
                    sweep_folder(backend, document["run"], world.environment)

        return body

    def folder(self, world: World) -> None:
        index = Index(retrying(world), environment=world.environment)
        for turn in range(7):
            try:
                fold(index, threshold=3, force=turn % 2 == 0)
            except IndexDamagedError:
                self.done.damaged += 1

    def reader(self, world: World) -> None:
        index = self.index(retrying(world), environment=world.environment)
        for _ in range(5):
            step = world.step()
            try:
                view = index.refresh()
            except IndexDamagedError:
                self.done.damaged += 1
                continue
            self.done.views.append((step, view.rows()))

    def repairer(self, world: World) -> None:
        repair(Index(retrying(world), environment=world.environment))

    def damage(self, world: World) -> None:
        """Spoil one checkpoint, once."""
        backend = retrying(world)
        for _ in range(40):
            newest = next(iter(backend.list(layout.INDEX, limit=1)), None)
            if newest is not None and layout.sequence_of(newest.key) > 1:
                world.backend.put(newest.key, b"spoilt")
                return

    def finish(self, schedule: Schedule, memory: MemoryBackend, writers: int) -> None:
        """I1 for all readers; then sync everything and compare with the folders (I4), and rebuild from nothing (I8)."""
        for began, rows in self.done.views:
            check_seen([entry for step, entry in self.done.entries if step < began], rows)
        with schedule.calm() as world:
            for number in range(writers):
                for place, (kind, document) in enumerate(self.plan(number)):
                    write(world.backend, world.environment, kind, document, number * 100 + place)
                    if kind == "delete":
                        sweep_folder(world.backend, document["run"], world.environment)
            index = Index(world.backend, environment=world.environment)
            try:
                rows = index.refresh().rows()
            except FormatError:
                if not self.damages:
                    raise
                self.done.damaged += 1
                return
            check_seen([entry for _, entry in self.done.entries], rows)
            truth = scanned(memory, world.environment)
            assert_same(rows, truth)
            for _ in range(2):
                fold(index, force=True)
            assert_same(Index(world.backend, environment=world.environment).refresh().rows(), truth)
            memory.delete([info.key for prefix in (layout.INDEX, layout.LOG) for info in memory.list(prefix)])
            repair(Index(world.backend, environment=world.environment))
            assert_same(Index(world.backend, environment=world.environment).refresh().rows(), truth)


def check_seen(acknowledged: list[Entry], rows: dict[str, Row]) -> None:
    """Whatever was acknowledged adds nothing to what is seen."""
    for kind, document in acknowledged:
        row = rows.get(document["run"], Row())
        assert identical(bare(apply(row, kind, document)), bare(row)), f"{kind} of {document['run']} is not in the view"


def bare(row: Row) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "changed"}


def scanned(memory: MemoryBackend, environment: Environment) -> dict[str, Row]:
    return {folder.run_id: folder.row for batch in scan(memory, environment.gather) for folder in batch}


def assert_same(rows: dict[str, Row], truth: dict[str, Row]) -> None:
    assert rows.keys() == truth.keys()
    for run_id, row in rows.items():
        assert identical(bare(row), bare(truth[run_id])), run_id


def violations(scenarios: list[Scenario]) -> int:
    found = 0
    for scenario in scenarios:
        try:
            scenario.run()
        except (AssertionError, TransientStorageError):
            found += 1
            return found
    return found


@pytest.mark.parametrize("seed", range(12))
def test_what_was_acknowledged_is_seen_and_index_and_folders_agree(documents: Any, seed: int) -> None:
    """I1, I4 and I8."""
    done = Scenario(documents, seed).run()
    assert done.damaged == 0
    assert len(done.views) == 10


@pytest.mark.parametrize("seed", range(8))
def test_repairs_lose_nothing_that_happens_meanwhile(documents: Any, seed: int) -> None:
    done = Scenario(documents, seed, repairs=True).run()
    assert done.damaged == 0


@pytest.mark.parametrize("seed", range(8))
def test_one_spoilt_checkpoint_loses_nothing(documents: Any, seed: int) -> None:
    """Readers either see everything or are told that the index is damaged."""
    Scenario(documents, seed, damages=True).run()


# Rules taken out. Each scenario is one that holds with the rule in.

FORGETFUL = [56, 73, 84, *range(50)]
"""Seeds that showed it when this was written, and more, should the steps have shifted since."""


@pytest.mark.slow
def test_a_repair_that_does_not_join_what_changed_is_caught(documents: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    joined = repairing._joined

    def forgetful(scanned: Any, state: State, since: int, entries: Any, seq: int) -> Any:
        del state
        return joined(scanned, State(), since, entries, seq)

    monkeypatch.setattr(repairing, "_joined", forgetful)
    assert violations([Scenario(documents, seed, repairs=True) for seed in FORGETFUL])


@pytest.mark.slow
def test_removing_what_only_the_new_checkpoint_holds_is_caught(documents: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fold 6 with held(N+1): with one spoilt checkpoint, acknowledged entries are lost."""
    monkeypatch.setattr(folding, "_folded_before", lambda keys, state: [*keys])
    assert violations([Scenario(documents, seed, damages=True) for seed in range(100)])


@pytest.mark.slow
def test_counts_per_entry_are_no_sums(documents: Any) -> None:
    """Applying everything twice, split at any place, changes nothing."""
    plan = Scenario(documents, 0).plan(3)
    whole = reduce(lambda row, entry: apply(row, *entry), plan, Row())
    for place in range(len(plan)):
        parts = [
            reduce(lambda row, entry: apply(row, *entry), part, Row()) for part in (plan[:place], plan[place // 2 :])
        ]
        assert identical(join(*parts), whole)
