"""Promotions beside deletes and gc under a deterministic scheduler: what was promoted keeps its bytes.

Both sides publish and then check. Each check is also taken out once, to show that these scenarios notice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runfolio import layout
from runfolio.errors import NotFoundError, RunfolioError, RunStateError, TransientStorageError
from runfolio.index import sweeping
from runfolio.index.sweeping import sweep
from runfolio.index.view import Index
from runfolio.store import editing, promoting
from runfolio.store.asset_records import AssetReader, list_assets
from runfolio.store.desk import Desk
from runfolio.store.documents import encode, entry_document
from runfolio.store.editing import edit, intend_edit
from runfolio.store.ledger import Ledger
from runfolio.store.promoting import Promoter
from runfolio.store.retrying import RetryingBackend
from runfolio.store.spooled import MemoryNotes
from runfolio.testing.scheduling import DOGGED, Schedule, World
from runfolio_backends.memory import MemoryBackend

pytestmark = pytest.mark.memory_only("a scheduler decides which request comes next")

_names = count()
_FILES = {"outputs/m.pkl": b"a model", "outputs/tree/a": b"a", "outputs/tree/b/c": b"bc"}


@dataclass
class Scenario:
    """Two runs with the same files; promotions of both under two names, deletes of the first one, gc, readers."""

    documents: Any
    seed: int
    kill: float = 0.02
    acknowledged: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    journals: list[MemoryNotes] = field(default_factory=list)

    def run(self) -> list[str]:
        """Play it, finish what the killed began, and return what is wrong."""
        memory = MemoryBackend(f"memory://promotions-{next(_names)}")
        schedule = Schedule(memory, self.seed, kill=self.kill, lose=0.05, fail=0.03)
        self.runs = [self.documents.run_id(number) for number in range(2)]
        for run_id in self.runs:
            self.store(memory, run_id)
        for number in range(5):
            body = partial(self.promote, name=("iris", "other")[number % 2], run_id=self.runs[number % 3 == 2])
            schedule.actor(f"promote{number}", body)
        for number in range(2):
            schedule.actor(f"delete{number}", self.delete)
            schedule.actor(f"gc{number}", self.collect)
            schedule.actor(f"reader{number}", self.read, mortal=False)
        schedule.run()
        self.problems += [f"{one.name}: {one.error!r}" for one in schedule.actors if one.error is not None]
        with schedule.calm() as world:
            self.settle(world)
        memory.clear()
        return self.problems

    def store(self, memory: MemoryBackend, run_id: str) -> None:
        start, end = self.documents.start(run_id), self.documents.end(run_id)
        memory.put(layout.start(run_id), encode(start))
        memory.put(layout.end(run_id, end["writer"]), encode(end))
        for at, document in enumerate((start, end)):
            name = layout.EntryName(at, run_id, document["kind"], self.documents.writer(run_id))
            memory.put(layout.entry(name), encode(entry_document(document)))
        for path, data in _FILES.items():
            memory.put(layout.artifact(run_id, path), data)

    def promote(self, world: World, name: str, run_id: str) -> None:
        backend = RetryingBackend(world.backend, DOGGED, world.environment)
        self.idle(world)
        files = []
        for path in _FILES:
            try:
                data = backend.get(layout.artifact(run_id, path))
            except NotFoundError:
                return  # deleted: nothing to promote
            files.append({"path": path, "key": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()})
        fields = {"path": "outputs", "files": files, "sha256": "0" * 64, "evidence": {}}
        try:
            made = Promoter(world.backend, world.environment, patience=DOGGED).promote(name, run_id, fields)
        except RunStateError:
            return  # refused: the run was deleted meanwhile
        self.acknowledged.append((world.step(), name, made))

    def delete(self, world: World) -> None:
        self.idle(world)
        notes = MemoryNotes()
        self.journals.append(notes)
        desk = Desk(world.backend, Ledger(notes), world.environment, DOGGED)
        edit(desk, intend_edit(desk, run_id=self.runs[0], project="iris", field=None, kind="delete"))

    def collect(self, world: World) -> None:
        for _ in range(3):
            self.idle(world)
            backend = RetryingBackend(world.backend, DOGGED, world.environment)
            with suppress(TransientStorageError):  # another one goes on
                sweep(Index(backend, environment=world.environment))

    def read(self, world: World) -> None:
        for _ in range(3):
            self.idle(world)
            self.look(world, world.step())

    def idle(self, world: World) -> None:
        for _ in range(world.environment.chance.randrange(30)):
            world.pause()

    def look(self, world: World, began: float) -> None:
        """Each promotion that was acknowledged before is there, with all its bytes."""
        backend = RetryingBackend(world.backend, DOGGED, world.environment)
        for step, name, made in self.acknowledged:
            if step < began:
                reader = AssetReader(backend, list_assets(backend, name)[name], world.environment)
                document, retracted = reader.version(made["version"])
                if document != made or retracted:
                    self.problems.append(f"{name}@{made['version']} was promoted and is not there")
                self.problems += self.missing(backend, made)

    def missing(self, backend: Any, document: dict[str, Any]) -> list[str]:
        found = []
        for file in document["files"]:
            try:
                assert backend.get(layout.artifact(document["run"], file["key"])) == _FILES[file["path"]]
            except NotFoundError:
                found.append(f"{document['asset']}@{document['version']} lacks {file['path']}")
        return found

    def settle(self, world: World) -> None:
        """The killed deletes are replayed and gc runs: then no version that stands lacks a byte."""
        for notes in self.journals:
            desk = Desk(world.backend, Ledger(notes), world.environment)
            for token in [*desk.ledger.pending_deletes]:
                edit(desk, token)
        for _ in range(2):
            sweep(Index(world.backend, environment=world.environment))
        self.look(world, float("inf"))
        for listing in list_assets(world.backend).values():
            for document in AssetReader(world.backend, listing, world.environment).standing():
                self.problems += self.missing(world.backend, document)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), kill=st.sampled_from([0.0, 0.01, 0.05]))
def test_what_was_promoted_keeps_its_bytes(documents: Any, seed: int, kill: float) -> None:
    assert Scenario(documents, seed, kill).run() == []


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), kill=st.sampled_from([0.0, 0.01, 0.05]))
def test_what_was_promoted_keeps_its_bytes_in_many_scenarios(documents: Any, seed: int, kill: float) -> None:
    assert Scenario(documents, seed, kill).run() == []


def _promotion_without_its_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promoting, "is_deleted", lambda backend, run_id: False)


def _delete_without_its_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editing, "pinned_files", lambda backend, environment: {})


def _gc_without_its_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "pinned_files", lambda backend, environment: {})


def _nothing_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Promoter, "retract", lambda *arguments: {})


@pytest.mark.parametrize(
    "rule",
    [_promotion_without_its_check, _delete_without_its_check, _gc_without_its_check, _nothing_is_taken_back],
    ids=lambda rule: rule.__name__.strip("_"),
)
def test_each_check_is_needed(
    documents: Any, rule: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one check taken out, one of the first few seeds shows it."""
    assert not any(Scenario(documents, seed).run() for seed in range(5))
    rule(monkeypatch)
    for seed in range(60):
        try:
            if Scenario(documents, seed).run():
                return
        except RunfolioError:
            return
    pytest.fail("no scenario noticed that the check is missing")
