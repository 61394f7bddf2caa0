"""A mixed scenario on one store and the invariants that must hold whatever happens in it.

A `Trial` lets main writers, additional writers, resumed attempts, editors, deleters, readers and replays of the
journals of the killed work on a few runs at once, in an order and with faults that a seed decides
(`runfolio.testing.scheduling`). It notes what was acknowledged at which step, and what each reader saw::

    trial = Trial(MemoryBackend("memory://trial-7"), seed=7)
    trial.play()                         # interleaved, with kills and lost answers
    trial.settle()                       # afterwards every journal is replayed, calmly
    assert trial.violations() == []

Readers are functions ``(world, run_ids) -> {run_id: Seen}``. `read_folders` is the one used by default; a reader of the
index is given as ``Trial(..., readers=[read_folders, read_index])`` and is held to the same: what was acknowledged
before it began is in its view. Its `Seen` leaves `rows` None where a view has no rows. More actors, such as folds and
repairs, are given as ``extra``: each gets its world, and is mortal.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from runfolio import layout
from runfolio.errors import NotFoundError, RunStateError
from runfolio.store.desk import Desk
from runfolio.store.documents import decode
from runfolio.store.editing import edit, intend_edit
from runfolio.store.ending import Ending
from runfolio.store.ledger import Ledger
from runfolio.store.pushing import Pusher
from runfolio.store.retrying import RetryingBackend
from runfolio.store.run_folder import open_run
from runfolio.store.segments import RowFile, read_rows
from runfolio.store.spooled import MemoryNotes
from runfolio.testing.scheduling import DOGGED, Actor, Schedule, World
from runfolio.testing.spooling import MemorySpool

if TYPE_CHECKING:
    from runfolio.backend import Backend
    from runfolio.store.environment import Environment

PROJECT: Final = "iris"
_FIELDS: Final = ("name", "note")


@dataclass(slots=True)
class Seen:
    """What a reader saw of one run.

    Attributes:
        uid: of its start; None for a run whose start was not seen.
        number: its number.
        ends: writer -> rows that its end record counts.
        edits: field -> token of the edit that won.
        deleted: it was seen as deleted.
        rows: positions by writer, each as often as it was read; None where the view has no rows.
    """

    uid: str | None = None
    number: int | None = None
    ends: dict[str, int] = field(default_factory=dict)
    edits: dict[str, str] = field(default_factory=dict)
    deleted: bool = False
    rows: dict[str, list[int]] | None = None


Reader = Callable[[World, Sequence[str]], dict[str, Seen]]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Something that a caller was told is in the store.

    Attributes:
        began: the step at which the call began.
        step: the step at which it was acknowledged.
        kind: ``start``, ``rows``, ``end``, ``edit``, ``delete`` or ``attempt``.
        run_id: the run.
        who: writer key or token.
        what: uid, number of rows, or field.
    """

    began: int
    step: int
    kind: str
    run_id: str
    who: str
    what: Any


@dataclass(slots=True)
class _View:
    began: int
    seen: dict[str, Seen]


@dataclass(slots=True)
class _Life:
    """A journal, the actor that owns it, and what a replay needs to know."""

    spool: MemorySpool
    owner: Actor | None = None


def read_folders(world: World, run_ids: Sequence[str]) -> dict[str, Seen]:
    """Read runs from their folders."""
    backend = RetryingBackend(world.backend, DOGGED, world.environment)
    seen = {run_id: _read_folder(backend, run_id, world.environment) for run_id in run_ids}
    return {run_id: one for run_id, one in seen.items() if one is not None}


def _read_folder(backend: Backend, run_id: str, environment: Environment) -> Seen | None:
    while True:
        try:
            folder = open_run(backend, run_id, environment=environment)
        except NotFoundError:
            return None
        seen = Seen(
            ends=folder.rows, deleted=folder.deleted, edits={one["field"]: one["token"] for one in folder.edits}
        )
        if folder.start is not None:
            seen.uid, seen.number = folder.start["uid"], folder.start["number"]
        if folder.deleted:
            return seen
        rows = read_rows(backend, run_id, read_positions, expected=folder.rows, environment=environment)
        if open_run(backend, run_id, environment=environment).deleted:
            continue  # its rows were swept after its folder was read: look again
        seen.rows = {}
        for file, positions in rows.parts:
            seen.rows.setdefault(file.part.writer, []).extend(positions)
        return seen


def read_positions(backend: Backend, file: RowFile) -> list[int]:
    """Return the steps in a Parquet file made by `MemorySpool`, and check whose they are."""
    import pyarrow as pa  # noqa: PLC0415 (loaded on use)
    import pyarrow.parquet as pq  # noqa: PLC0415 (loaded on use)

    table = pq.read_table(pa.BufferReader(backend.get(file.key)))
    writers = set(table["writer"].to_pylist())
    if writers != {file.part.writer}:
        raise AssertionError(f"{file.key} holds rows of {writers}")
    positions: list[int] = table["step"].to_pylist()
    return positions


@final
class Trial:
    """A mixed scenario.

    Args:
        backend: an empty store.
        seed: decides everything.
        runs: how many runs there are.
        kill: probability that an actor dies at a request.
        lose: probability that an answer is lost.
        readers: functions that read; see the module.
        extra: more actors.
        deletes: somebody deletes one of the runs.
    """

    def __init__(
        self,
        backend: Backend,
        seed: int,
        *,
        runs: int = 2,
        kill: float = 0.01,
        lose: float = 0.05,
        readers: Sequence[Reader] = (read_folders,),
        extra: Sequence[Callable[[World], object]] = (),
        deletes: bool = True,
    ) -> None:
        self.schedule = Schedule(backend, seed, kill=kill, lose=lose, fail=0.03)
        self.acknowledged: list[Acknowledged] = []
        self.views: list[_View] = []
        self.lives: list[_Life] = []
        self.editors: list[MemoryNotes] = []
        self._random = random.Random(seed)
        self._readers = readers
        self._problems: list[str] = []
        for number in range(runs):
            self._add_run(number, deletes=deletes and number == 0)
        self.run_ids = sorted({life.spool.run_id for life in self.lives})
        for at in range(3):
            self.schedule.actor(f"reader{at}", self._read, mortal=False)
        for at, body in enumerate(extra):
            self.schedule.actor(f"extra{at}", body)

    def play(self) -> None:
        """Let everybody work."""
        self.schedule.run()
        for actor in self.schedule.actors:
            if actor.error is not None and not isinstance(actor.error, RunStateError):
                self._problems.append(f"{actor.name} ended with {actor.error!r}")

    def settle(self) -> None:
        """Replay every journal once more, without faults, as the machines come back one day."""
        with self.schedule.calm() as world:
            for life in self.lives:
                self._pusher(world, life.spool).replay()
            for notes in self.editors:
                desk = Desk(world.backend, Ledger(notes), world.environment, DOGGED)
                for token in desk.ledger.pending_edits:
                    edit(desk, token)
            self._look(world)

    def violations(self) -> list[str]:
        """Return what is wrong, in words. Empty when all invariants held."""
        found = list(self._problems)
        for view in self.views:
            found += self._against_acknowledged(view)
            found += self._against_rows(view)
        return found + self._identities() + self._folder_rows() + self._announcements()

    # The actors.

    def _add_run(self, number: int, *, deletes: bool) -> None:
        chance, run_id = self._random, f"{PROJECT}_1700000000000-{number:05d}"
        uid = f"{chance.getrandbits(128):032x}"
        main = self._life(run_id, "main")
        main.owner = self.schedule.actor(f"main{number}", lambda world: self._main(world, main.spool, uid))
        for name in ("rank1",) if chance.random() < 0.7 else ():
            other = self._life(run_id, name)
            other.owner = self.schedule.actor(f"{name}.{number}", partial(self._join, spool=other.spool, uid=uid))
        if chance.random() < 0.4:
            for at in range(2):
                again = self._life(run_id, "main")
                again.owner = self.schedule.actor(
                    f"again{at}.{number}", partial(self._resume, spool=again.spool, uid=uid)
                )
        for at in range(2):
            self.schedule.actor(f"editor{at}.{number}", lambda world: self._edit(world, run_id))
        if deletes:
            self.schedule.actor(f"deleter.{number}", lambda world: self._delete(world, run_id))
        for life in [one for one in self.lives if one.spool.run_id == run_id]:
            for at in range(2):
                self.schedule.actor(f"sync{at}.{life.spool.writer}", partial(self._sync, life=life))

    def _life(self, run_id: str, name: str) -> _Life:
        life = _Life(MemorySpool(run_id, PROJECT, f"{name}.{self._random.getrandbits(64):016x}"))
        self.lives.append(life)
        return life

    def _pusher(self, world: World, spool: MemorySpool) -> Pusher:
        return Pusher(world.backend, spool, environment=world.environment, patience=DOGGED)

    def _main(self, world: World, spool: MemorySpool, uid: str) -> None:
        pusher = self._pusher(world, spool)
        began = world.step()
        pusher.intend_start({"run": spool.run_id, "uid": uid, "project": PROJECT, "main": spool.writer})
        number = pusher.start()
        self._tell(world, began, "start", spool.run_id, spool.writer, (uid, number))
        self._write(world, spool, pusher)

    def _join(self, world: World, spool: MemorySpool, uid: str) -> None:
        pusher = self._pusher(world, spool)
        pusher.intend_join(uid)
        self._write(world, spool, pusher)

    def _resume(self, world: World, spool: MemorySpool, uid: str) -> None:
        self._await_start(world, spool.run_id)
        pusher = self._pusher(world, spool)
        began = world.step()
        pusher.intend_attempt({"run": spool.run_id, "project": PROJECT, "main": spool.writer}, uid)
        number = pusher.attempt()
        self._tell(world, began, "attempt", spool.run_id, spool.writer, number)
        self._write(world, spool, pusher)

    def _write(self, world: World, spool: MemorySpool, pusher: Pusher) -> None:
        chance = world.environment.chance
        for _ in range(chance.randrange(6)):
            for _ in range(1 + chance.randrange(3)):
                spool.log("loss", 1.0)
            began = world.step()
            stored = pusher.flush()
            self._tell(world, began, "rows", spool.run_id, pusher.writer, stored)
            if chance.random() < 0.3:
                pusher.beat()
        spool.log("loss", 0.0)
        began = world.step()
        pusher.end(Ending(status="Completed"))
        self._tell(world, began, "end", spool.run_id, pusher.writer, spool.cut())

    def _sync(self, world: World, life: _Life) -> None:
        owner = life.owner
        while owner is not None and owner.ended is None:
            world.pause()
        if owner is not None and owner.killed:
            self._pusher(world, life.spool).replay()

    def _edit(self, world: World, run_id: str) -> None:
        self._await_start(world, run_id)
        for _ in range(2):
            self._change(world, run_id, world.environment.chance.choice(_FIELDS))

    def _delete(self, world: World, run_id: str) -> None:
        self._await_start(world, run_id)
        for _ in range(world.environment.chance.randrange(60)):
            world.pause()
        self._change(world, run_id, None)

    def _change(self, world: World, run_id: str, name: str | None) -> None:
        notes = MemoryNotes()
        self.editors.append(notes)
        desk = Desk(world.backend, Ledger(notes), world.environment, DOGGED)
        began = world.step()
        kind: Any = "edit" if name else "delete"
        token = intend_edit(desk, run_id=run_id, project=PROJECT, field=name, value=began, kind=kind)
        edit(desk, token)
        self._tell(world, began, kind, run_id, token, name)

    def _await_start(self, world: World, run_id: str) -> None:
        main = next(life.owner for life in self.lives if life.spool.run_id == run_id)
        while not any(one.kind == "start" and one.run_id == run_id for one in self.acknowledged):
            if main is not None and main.ended is not None:
                raise RunStateError("the run was killed before its start was acknowledged")
            world.pause()

    def _read(self, world: World) -> None:
        for _ in range(4):
            for _ in range(world.environment.chance.randrange(20)):
                world.pause()
            self._look(world)

    def _look(self, world: World) -> None:
        for reader in self._readers:
            began = world.step()
            self.views.append(_View(began, reader(world, self.run_ids)))

    def _tell(self, world: World, began: int, kind: str, run_id: str, who: str, what: Any) -> None:
        self.acknowledged.append(Acknowledged(began, world.step(), kind, run_id, who, what))

    # The invariants.

    def _against_acknowledged(self, view: _View) -> list[str]:
        """I1: what was acknowledged before a reader began is in its view."""
        found: list[str] = []
        for one in self.acknowledged:
            if one.step >= view.began:
                continue
            seen = view.seen.get(one.run_id)
            if seen is None:
                found.append(f"I1: {one} is not seen at all")
            elif one.kind == "delete" and not seen.deleted:
                found.append(f"I1: {one} is not seen")
            elif seen.deleted:
                continue
            elif one.kind == "start" and (seen.uid, seen.number) != one.what:
                found.append(f"I1: {one} is seen as {seen.uid} {seen.number}")
            elif one.kind == "end" and one.who not in seen.ends:
                found.append(f"I1: {one} is not seen")
            elif one.kind == "edit" and not self._edit_seen(one, seen):
                found.append(f"I1: {one} lost against {seen.edits.get(one.what)}")
        return found

    def _edit_seen(self, one: Acknowledged, seen: Seen) -> bool:
        winner = seen.edits.get(one.what)
        if winner is None or winner == one.who:
            return winner is not None
        other = next((ack for ack in self.acknowledged if ack.who == winner), None)
        return other is None or other.step >= one.began  # it did not end before this one began

    def _against_rows(self, view: _View) -> list[str]:
        """I2: no row lost, doubled or foreign; acknowledged rows are readable."""
        found: list[str] = []
        for run_id, seen in view.seen.items():
            if seen.rows is None or seen.deleted:
                continue
            for writer, positions in seen.rows.items():
                if sorted(positions) != list(range(len(positions))):
                    found.append(f"I2: the rows of {writer} are read as {sorted(positions)}")
            for writer, rows in seen.ends.items():
                if len(seen.rows.get(writer, ())) < rows:
                    found.append(f"I2: {writer} ended with {rows} rows and {len(seen.rows.get(writer, ()))} are read")
            for one in self.acknowledged:
                if one.kind == "rows" and one.run_id == run_id and one.step < view.began:
                    have = len(seen.rows.get(one.who, ()))
                    if have < one.what:
                        found.append(f"I2: {one}, and {have} are read")
        return found

    def _identities(self) -> list[str]:
        """I3: one uid per id, one id per uid, one id per number; also one main writer per attempt."""
        found: list[str] = []
        numbers: dict[int, str] = {}
        uids: dict[str, set[str]] = {}
        attempts: dict[tuple[str, int], set[str]] = {}
        gone = {one.run_id for one in self.acknowledged if one.kind == "delete"}
        for key, document in self._documents(layout.RUNS):
            if key.endswith("/start.json"):
                uids.setdefault(document["run"], set()).add(document["uid"])
                holder = numbers.setdefault(document["number"], document["run"])
                if holder != document["run"]:
                    found.append(f"I3: {holder} and {document['run']} share the number {document['number']}")
        for one in self.acknowledged:
            if one.kind == "start":
                uids.setdefault(one.run_id, set()).add(one.what[0])
                if numbers.get(one.what[1]) != one.run_id:
                    found.append(f"I3: {one}, but {numbers.get(one.what[1])} has that number")
            if one.kind == "attempt" and one.run_id not in gone:  # a delete takes the attempts with it
                attempts.setdefault((one.run_id, one.what), set()).add(one.who)
        found += [f"I3: {run_id} has the uids {have}" for run_id, have in uids.items() if len(have) > 1]
        return found + [f"I3: {name} has the writers {have}" for name, have in attempts.items() if len(have) > 1]

    def _folder_rows(self) -> list[str]:
        """I2, for other engines: the merged files hold each row of each ended writer once, and counts are their sum."""
        found: list[str] = []
        gone = {document["run"] for _, document in self._documents(layout.RUNS) if document.get("kind") == "delete"}
        for life in self.lives:
            run_id, writer = life.spool.run_id, life.spool.writer
            if run_id in gone:
                continue
            parts = [layout.segment_of(info.key) for info in self.schedule.backend.list(layout.metrics(run_id))]
            mine = [(one.first, one.after) for one in parts if one is not None and one.writer == writer]
            expected = [(0, life.spool.cut())] if life.spool.cut() else []
            if mine != expected and life.owner is not None and not life.owner.error:
                found.append(f"I2: {writer} has the merged files {mine}, not {expected}")
        return found

    def _announcements(self) -> list[str]:
        """Part of I4: each log entry has exactly the document of the folder, and each document was announced."""
        found: list[str] = []
        stored: dict[tuple[str, str, str], dict[str, Any]] = {}
        gone: set[str] = set()
        for _, document in self._documents(layout.RUNS):
            if "kind" in document:
                stored[document["run"], document["kind"], document["wid"]] = document
                if document["kind"] == "delete":
                    gone.add(document["run"])
        announced: set[tuple[str, str, str]] = set()
        for key, entry in self._documents(layout.LOG):
            body = entry["body"]
            name = (body["run"], entry["kind"], body["wid"])
            announced.add(name)
            if stored.get(name) != body and body["run"] not in gone:
                found.append(f"I4: {key} announces {body}, and {stored.get(name)} is stored")
        return found + [f"I4: {name} was never announced" for name in stored.keys() - announced if name[0] not in gone]

    def _documents(self, prefix: str) -> list[tuple[str, dict[str, Any]]]:
        return [
            (info.key, decode(self.schedule.backend.get(info.key), info.key))
            for info in self.schedule.backend.list(prefix)
            if info.key.endswith(".json") and info.key != layout.FOLD_ADVICE
        ]
