"""The way of a snapshot into the store: what it costs, what is sent, and what happens when something is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runfolio import layout
from runfolio.errors import FormatError, NotFoundError, PermissionDeniedError
from runfolio.index.packs import collect_packs
from runfolio.index.view import Index
from runfolio.snapshot import look_through
from runfolio.snapshot.known import Known
from runfolio.snapshot.reading import open_source
from runfolio.snapshot.taking import Rules, take_snapshot
from runfolio.store.documents import encode
from runfolio.store.ending import Ending
from runfolio.store.pushing import Pusher
from runfolio.store.wrapping import WrappedBackend
from runfolio.testing import CountingBackend

if TYPE_CHECKING:
    from runfolio.backend import Backend
    from runfolio.snapshot import Snapshot
    from runfolio.store.environment import Environment
    from runfolio.testing.spooling import MemorySpool


@dataclass
class Machine:
    """A machine with a project on it, which starts runs."""

    root: Path
    aside: Path
    backend: Backend
    environment: Environment
    make_spool: Callable[..., MemorySpool]
    start_fields: Callable[..., dict[str, Any]]
    numbers: Iterator[int]
    known: Known

    def take(self) -> Snapshot:
        folder = self.aside / f"taken{next(self.numbers)}"
        folder.mkdir(parents=True)
        return take_snapshot(look_through(self.root), Rules(), self.known, folder)

    def begin(self, backend: Backend | None = None) -> tuple[Pusher, Snapshot]:
        """Start a run; its source is not sent yet."""
        snapshot = self.take()
        spool = self.make_spool(next(self.numbers))
        pusher = Pusher(backend or self.backend, spool, environment=self.environment)
        fields = self.start_fields(spool, snapshot=snapshot.commit)
        if snapshot.unchanged:
            fields.update(packs=[layout.pack(one) for one in snapshot.packs], listed_by=snapshot.listed_by)
        pusher.intend_source(snapshot)
        pusher.intend_start(fields)
        pusher.start()
        return pusher, snapshot

    def push(self, pusher: Pusher, snapshot: Snapshot, *, last: bool = False) -> None:
        """Send the source, and remember what the store has now."""
        homes = pusher.push_source(last=last)
        if homes is not None:
            self.known.store_id = "store"
            for sha, stem in homes.items():
                self.known.holds([sha], stem, self.environment.wall())
            if not snapshot.unchanged:
                self.known.commits[snapshot.commit] = pusher.spooled.run_id

    def finish(self, pusher: Pusher, snapshot: Snapshot) -> dict[str, Any]:
        """Send the source, and end the run. Returns the end record."""
        self.push(pusher, snapshot, last=True)
        return pusher.end(Ending(status="Completed"))

    def run(self) -> str:
        """A whole run."""
        pusher, snapshot = self.begin()
        end = self.finish(pusher, snapshot)
        assert end["snapshot"] == {"complete": True, "commit": snapshot.commit}
        return pusher.spooled.run_id

    def contents(self, run_id: str) -> dict[str, bytes]:
        """The stored files of a run."""
        with open_source(self.backend, self.environment, run_id) as source:
            return {entry.path: source.read(entry) for entry in source.entries}


@pytest.fixture
def make_machine(
    backend: Backend,
    environment: Environment,
    make_spool: Callable[..., MemorySpool],
    start_fields: Callable[..., dict[str, Any]],
    tmp_path: Path,
) -> Callable[..., Machine]:
    from itertools import count

    numbers = count(1)

    def make(name: str = "here", reached: Backend | None = None) -> Machine:
        root = tmp_path / name / "proj"
        root.mkdir(parents=True)
        aside = tmp_path / name / "aside"
        return Machine(root, aside, reached or backend, environment, make_spool, start_fields, numbers, Known())

    return make


def write(root: Path, files: int) -> None:
    for number in range(files):
        folder = root / f"pkg{number % 10}"
        folder.mkdir(exist_ok=True)
        (folder / f"m{number}.py").write_text(f"x = {number}\n")


@pytest.mark.clouds_on_request("thousands of files in one test")
def test_the_budgets(backend: Backend, make_machine: Callable[..., Machine]) -> None:
    """5,000 new files / one edit / unchanged: at most 10 / 5 / 0 requests beyond those of a start and an end."""
    counted = CountingBackend(backend)
    machine = make_machine(reached=counted)
    write(machine.root, 5000)

    def requests() -> list[str]:
        counted.reset()
        pusher, snapshot = machine.begin()
        machine.push(pusher, snapshot)
        started = [f"{one.operation} {one.key.split('/')[0]}" for one in counted.requests]
        counted.reset()
        machine.finish(pusher, snapshot)
        assert len(counted) <= 6
        return started

    start = ["list numbers", "create numbers", "create runs", "put log"]
    first, second = requests(), requests()
    assert first == [*start, "create runs", "list gc", "put objects", "put objects"]
    assert second == start
    (machine.root / "pkg3" / "m3.py").write_text("x = -3\n")
    edited = requests()
    assert edited[: len(start)] == start
    assert edited[len(start) :] == ["create runs", "list gc", "put objects", "put objects"]


def test_what_is_stored_is_what_was_there(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    write(machine.root, 12)
    run_id = machine.run()
    assert machine.contents(run_id) == {f"pkg{n % 10}/m{n}.py": b"x = %d\n" % n for n in range(12)}


def test_nothing_is_uploaded_when_nothing_changed(backend: Backend, make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    write(machine.root, 3)
    first = machine.run()
    packs = [info.key for info in backend.list(layout.OBJECTS)]
    second = machine.run()
    assert [info.key for info in backend.list(layout.OBJECTS)] == packs
    assert machine.contents(first) == machine.contents(second)
    with pytest.raises(NotFoundError):
        backend.get(layout.source(second))


def test_a_pack_holds_only_what_is_new(backend: Backend, make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    write(machine.root, 3)
    machine.run()
    before = {info.key for info in backend.list(layout.OBJECTS)}
    (machine.root / "pkg1" / "m1.py").write_text("edited\n")
    run_id = machine.run()
    new = [info.key for info in backend.list(layout.OBJECTS) if info.key not in before]
    assert len(new) == 2
    document = json.loads(backend.get(layout.source(run_id)))
    assert len(document["packs"]) == 2
    assert machine.contents(run_id)["pkg1/m1.py"] == b"edited\n"


def test_another_machine_learns_what_the_store_has(backend: Backend, make_machine: Callable[..., Machine]) -> None:
    """A machine without backend, as in a container that is new each time."""
    here, there = make_machine("here"), make_machine("there")
    write(here.root, 5)
    write(there.root, 5)
    here.run()
    here.run()  # unchanged: it leads to the list of the first
    before = {info.key for info in backend.list(layout.OBJECTS)}
    (there.root / "pkg2" / "m2.py").write_text("edited elsewhere\n")
    counted = CountingBackend(backend)
    there.backend = counted
    run_id = there.run()
    new = [info for info in backend.list(layout.OBJECTS) if info.key not in before]
    assert len(new) == 2
    with open_source(backend, there.environment, run_id) as source:
        smallest = min(source.packs.values(), key=lambda pack: len(pack.places))
        assert len(smallest.places) == 4
    assert there.contents(run_id)["pkg2/m2.py"] == b"edited elsewhere\n"


def test_a_machine_without_memory_sends_nothing_that_is_there(
    backend: Backend, make_machine: Callable[..., Machine]
) -> None:
    here, there = make_machine("here"), make_machine("there")
    for machine in (here, there):
        write(machine.root, 5)
    here.run()
    before = [info.key for info in backend.list(layout.OBJECTS)]
    run_id = there.run()
    assert [info.key for info in backend.list(layout.OBJECTS)] == before
    assert there.contents(run_id) == here.contents(run_id)


@pytest.mark.parametrize(
    "damage",
    [
        b"nonsense",
        b'{"format":1,"wid":"x","commit":"c","packs":[1,2],"files":[["a"]],"trees":5}',
        b'{"format":1,"wid":"x","commit":"c","packs":["../../etc/passwd"],"files":[["a","100644",1,"b",0]],"trees":[]}',
    ],
)
def test_what_is_learned_is_not_trusted(backend: Backend, make_machine: Callable[..., Machine], damage: bytes) -> None:
    here, there = make_machine("here"), make_machine("there")
    for machine in (here, there):
        write(machine.root, 2)
    backend.put(layout.source(here.run()), damage)
    assert there.contents(there.run()) == {"pkg0/m0.py": b"x = 0\n", "pkg1/m1.py": b"x = 1\n"}


def collect(backend: Backend, deleted: set[str]) -> None:
    """gc."""
    collect_packs(Index(backend), lambda: deleted)


class BeforeLookingAtGarbage(WrappedBackend):
    """Lets a collection happen just before a reference is published."""

    def __init__(self, inner: Backend, deleted: set[str], when: str) -> None:
        super().__init__(inner)
        self._deleted, self._when = deleted, when

    def create(self, key: str, data: bytes) -> None:
        if key.endswith(self._when):
            collect(self.inner, self._deleted)
        self.inner.create(key, data)


def test_what_a_collection_has_condemned_is_sent_again(backend: Backend, make_machine: Callable[..., Machine]) -> None:
    """The run that it relied on is deleted and collected just before it publishes its reference."""
    machine = make_machine()
    write(machine.root, 4)
    first = machine.run()
    (machine.root / "pkg1" / "m1.py").write_text("edited\n")
    pusher, snapshot = machine.begin(BeforeLookingAtGarbage(backend, {first}, "source.json"))
    end = machine.finish(pusher, snapshot)
    assert end["snapshot"]["complete"]
    names = [info.key for info in backend.list(layout.OBJECTS)]
    assert all(len(name.split(".")) == 3 for name in names)  # all of it stands in for what was condemned
    expected = {"pkg0/m0.py": b"x = 0\n", "pkg1/m1.py": b"edited\n", "pkg2/m2.py": b"x = 2\n", "pkg3/m3.py": b"x = 3\n"}
    assert machine.contents(pusher.spooled.run_id) == expected
    collect(backend, {first})  # and the next collection keeps it
    assert machine.contents(pusher.spooled.run_id) == expected
    assert machine.contents(machine.run()) == expected


def test_an_unchanged_source_that_was_condemned_is_sent_again(
    backend: Backend, make_machine: Callable[..., Machine]
) -> None:
    machine = make_machine()
    write(machine.root, 4)
    first = machine.run()
    expected = machine.contents(first)
    pusher, snapshot = machine.begin(BeforeLookingAtGarbage(backend, {first}, "start.json"))
    assert snapshot.unchanged
    assert machine.finish(pusher, snapshot)["snapshot"]["complete"]
    assert machine.contents(pusher.spooled.run_id) == expected
    collect(backend, {first})
    assert machine.contents(pusher.spooled.run_id) == expected


def test_what_is_gone_from_store_and_project_is_told(backend: Backend, make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    write(machine.root, 4)
    first = machine.run()
    pusher, snapshot = machine.begin(BeforeLookingAtGarbage(backend, {first}, "start.json"))
    (machine.root / "pkg1" / "m1.py").write_text("the only other copy is gone\n")
    end = machine.finish(pusher, snapshot)
    assert end["snapshot"]["complete"] is False
    assert "pkg1/m1.py" in end["snapshot"]["reason"]
    with pytest.raises(FormatError):
        machine.contents(pusher.spooled.run_id)


def test_a_pack_that_was_not_seen_for_weeks_is_looked_for(
    backend: Backend, make_machine: Callable[..., Machine], clock: Any
) -> None:
    """Condemned lists are gone after 30 days: then only a listing shows what is there."""
    machine = make_machine()
    write(machine.root, 4)
    first = machine.run()
    expected = machine.contents(first)
    collect(backend, {first})
    backend.delete([info.key for info in backend.list(layout.GC)])
    clock.now += 40 * 86_400
    run_id = machine.run()
    assert machine.contents(run_id) == expected


def test_another_store_at_the_same_place_is_noticed(backend: Backend, make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    write(machine.root, 4)
    expected = machine.contents(machine.run())
    backend.delete([info.key for info in backend.list()])
    pusher, _ = machine.begin()
    pusher.push_source(store_id="another", last=True)
    assert machine.contents(pusher.spooled.run_id) == expected


def test_a_kill_anywhere_is_finished_by_a_replay(backend: Backend, make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    write(machine.root, 2)
    machine.run()

    class DyingError(Exception):
        pass

    class Mortal(WrappedBackend):
        """Dies before or after the n-th request."""

        def __init__(self, inner: Backend, left: int) -> None:
            super().__init__(inner)
            self.left = left

        def _count(self, call: Callable[[], Any]) -> Any:
            self.left -= 1
            if self.left == 0:
                raise DyingError
            found = call()
            self.left -= 1
            if self.left == 0:
                raise DyingError
            return found

        def create(self, key: str, data: bytes) -> None:
            self._count(lambda: self.inner.create(key, data))

        def list(self, prefix: str = "", *, start_after: str = "", limit: int | None = None) -> Any:
            return self._count(lambda: iter([*self.inner.list(prefix, start_after=start_after, limit=limit)]))

        def put_file(self, key: str, path: Path, progress: Any = None) -> None:
            self._count(lambda: self.inner.put_file(key, path, progress))

    died = 0
    for left in range(1, 12):
        (machine.root / "pkg1" / "m1.py").write_text(f"edited {left}\n")
        pusher, _ = machine.begin()
        spool: Any = pusher.spooled
        dying = Pusher(Mortal(backend, left), spool, environment=machine.environment)
        try:
            dying.push_source()
        except DyingError:
            died += 1
        replayed = Pusher(backend, spool, environment=machine.environment).replay()
        assert replayed.outcome == "stored"
        assert machine.contents(spool.run_id)["pkg1/m1.py"] == b"edited %d\n" % left
    assert died == 8


def test_a_place_that_refuses_packs_leaves_an_incomplete_source(
    backend: Backend, make_machine: Callable[..., Machine]
) -> None:
    class Refusing(WrappedBackend):
        def put_file(self, key: str, path: Path, progress: Any = None) -> None:
            raise PermissionDeniedError(f"{key} is refused")

    machine = make_machine()
    write(machine.root, 1)
    pusher, _ = machine.begin(Refusing(backend))
    with pytest.raises(PermissionDeniedError):
        pusher.push_source()
    pusher.push_source(last=True)
    end = pusher.end(Ending(status="Completed"))
    assert end["snapshot"]["complete"] is False


def test_names_that_are_no_text_are_spelled_in_hex(backend: Backend, make_machine: Callable[..., Machine]) -> None:
    machine = make_machine()
    (machine.root / "a\udcff.py").write_text("x\n")
    run_id = machine.run()
    document = json.loads(backend.get(layout.source(run_id)))
    assert document["files"][0][0] == {"hex": b"a\xff.py".hex()}
    assert machine.contents(run_id) == {"a\udcff.py": b"x\n"}


@pytest.mark.parametrize(
    "change",
    [
        {"snapshot": "0" * 39 + "g"},
        {"packs": ["objects/../../x.pack"]},
        {"packs": "objects"},
        {"packs": []},
    ],
)
def test_a_hostile_start_is_refused(
    backend: Backend, make_machine: Callable[..., Machine], change: dict[str, Any]
) -> None:
    machine = make_machine()
    write(machine.root, 1)
    machine.run()
    run_id = machine.run()
    start = json.loads(backend.get(layout.start(run_id)))
    backend.put(layout.start(run_id), encode({**start, **change}))
    with pytest.raises((FormatError, NotFoundError)):
        machine.contents(run_id)
