"""I2 with compaction: real compactors among writers, late writers, deleters, readers and kills.

And proof that the scenarios can fail: each rule taken out.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runfolio import layout
from runfolio.compact import compacting, reading
from runfolio.compact.compacting import CompactReport, compact
from runfolio.compact.part import Copied
from runfolio.compact.reading import RowsReader
from runfolio.errors import NotFoundError, RunfolioError, TransientStorageError
from runfolio.index.view import Index
from runfolio.rows.parquet import decode
from runfolio.rows.schema import SCHEMA
from runfolio.rows.view import view_many
from runfolio.store.retrying import RetryingBackend
from runfolio.store.run_folder import open_run
from runfolio.testing.scenarios import Seen, Trial
from runfolio.testing.scheduling import DOGGED, World
from runfolio_backends.memory import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runfolio.backend import Backend
    from runfolio.testing.spooling import MemorySpool

pytestmark = pytest.mark.memory_only("a scheduler decides which request comes next")

_spaces = count()


class Compacted:
    """Compactors and readers of one trial, and what they did."""

    def __init__(self) -> None:
        self.reports: list[CompactReport] = []
        self.copies = 0
        self._readers: dict[World, RowsReader] = {}  # by the actor's own world, which each call is given

    def compactor(self, world: World) -> None:
        """Compact again and again while others work, into files so small that they are many."""
        busy = [one for one in world.schedule.actors if not one.name.startswith(("extra", "reader", "sync"))]
        for _ in range(12):
            for _ in range(world.environment.chance.randrange(20)):
                world.pause()
            index = Index(RetryingBackend(world.backend, DOGGED, world.environment), environment=world.environment)
            target = world.environment.chance.choice([1, 20_000, 10**9])
            try:
                self.reports.append(compact(index, target=target))
            except TransientStorageError as error:
                if error.operation != "create":
                    raise
                # Its patience with a failing store is at its end: it leaves what a kill leaves.
            if all(one.ended is not None for one in busy):
                return

    def await_copies(self, world: World, times: int) -> None:
        """Wait until rows were copied so many times, as long as somebody may do it."""
        compactors = [one for one in world.schedule.actors if one.name.startswith("extra")]
        while sum(one.outcome == "written" for one in self.reports) < times:
            if all(one.ended is not None for one in compactors):
                return
            world.pause()

    def add_late_ones(self, trial: Trial) -> None:
        """Writers that join runs, readers, and somebody who deletes a run, after copies were made."""

        def write(world: World, spool: MemorySpool, times: int) -> None:
            self.await_copies(world, times)
            trial._join(world, spool, "f" * 32)

        def delete(world: World) -> None:
            self.await_copies(world, 3)
            trial._change(world, trial.run_ids[0], None)

        for times in (1, 2):
            for run_id in trial.run_ids:
                life = trial._life(run_id, f"late{times}")
                body = partial(write, spool=life.spool, times=times)
                life.owner = trial.schedule.actor(f"late{times}.{run_id}", body)

        def look(world: World) -> None:
            self.await_copies(world, 1)
            trial._read(world)

        trial.schedule.actor("late deleter", delete)
        for number in range(2):
            trial.schedule.actor(f"reader late{number}", look, mortal=False)

    def read(self, world: World, run_ids: Sequence[str]) -> dict[str, Seen]:
        """Read all runs in one go, as `History.metrics` does, by a reader that remembers what it read before."""
        backend = RetryingBackend(world.backend, DOGGED, world.environment)
        reader = self._readers.setdefault(world, RowsReader(backend, world.environment))
        seen: dict[str, Seen] = {}
        for run_id in run_ids:
            try:
                folder = open_run(backend, run_id, environment=world.environment)
            except NotFoundError:
                continue
            edits = {one["field"]: one["token"] for one in folder.edits}
            seen[run_id] = Seen(ends=folder.rows, deleted=folder.deleted, edits=edits)
            if folder.start is not None:
                seen[run_id].uid, seen[run_id].number = folder.start["uid"], folder.start["number"]
        chosen = [run_id for run_id, one in seen.items() if not one.deleted]
        tables = reader.read(chosen, lambda backend, file: decode(backend.get(file.key)))
        self.copies += bool(reader._manifest.parts)
        rows: dict[str, dict[str, list[int]]] = {run_id: {} for run_id in chosen}
        for table in tables:
            for row in table.select(["run_id", "writer", "step"]).to_pylist():
                rows[row["run_id"]].setdefault(row["writer"], []).append(row["step"])
        for run_id in chosen:
            # Deleted, and swept, while its rows were read: what was read of it does not count.
            if open_run(backend, run_id, environment=world.environment).deleted:
                seen[run_id].deleted = True
            seen[run_id].rows = rows[run_id]
        return seen


def _play(seed: int, **options: Any) -> tuple[list[str], Compacted, MemoryBackend]:
    backend = MemoryBackend(f"memory://compacted-{next(_spaces)}")
    cast = Compacted()
    trial = Trial(backend, seed, readers=[cast.read], extra=[cast.compactor] * 6, deletes=False, **options)
    cast.add_late_ones(trial)
    trial.play()
    trial.settle()
    with trial.schedule.calm() as world:  # and whatever they left, the next one deals with
        compact(Index(world.backend, environment=world.environment))
        trial._look(world)
    return trial.violations(), cast, backend


def _violations(seed: int, **options: Any) -> list[str]:
    found, _, backend = _play(seed, **options)
    backend.clear()
    return found


@pytest.fixture(autouse=True)
def copies_serve_whenever_they_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only where they save requests."""
    monkeypatch.setattr(reading, "FEW", 0)
    monkeypatch.setattr(reading, "_WORTH", 0)


_mixed = given(
    seed=st.integers(0, 2**32), kill=st.sampled_from([0.0, 0.005, 0.02, 0.05]), lose=st.sampled_from([0.0, 0.05, 0.3])
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@_mixed
def test_a_few_mixed_scenarios(seed: int, kill: float, lose: float) -> None:
    """Compactors beside writers, late writers, attempts, deletes, readers and replays, with kills and lost answers."""
    assert _violations(seed, kill=kill, lose=lose) == []


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@_mixed
def test_mixed_scenarios(seed: int, kill: float, lose: float) -> None:
    """The same, more often."""
    assert _violations(seed, kill=kill, lose=lose) == []


def test_the_scenarios_do_what_they_are_for() -> None:
    """Lists are published, compactors are overtaken, runs are copied and dropped, and readers use the copies."""
    outcomes, added, dropped, copies = set(), 0, 0, 0
    for seed in range(12):
        found, cast, backend = _play(seed)
        assert found == []
        outcomes |= {report.outcome for report in cast.reports}
        added += sum(report.added for report in cast.reports)
        dropped += sum(report.dropped for report in cast.reports)
        copies += cast.copies
        backend.clear()
    assert outcomes == {"written", "nothing", "overtaken"}
    assert added >= 20
    assert dropped >= 2
    assert copies >= 20


def test_what_killed_ones_left_is_swept_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last, calm compaction the last two lists and what they name remain, and nothing else."""
    from runfolio.compact.manifest import newest_first, read_manifest

    for seed in range(4):
        _, _, backend = _play(seed, kill=0.05)
        index = Index(backend)
        for _ in range(2):  # each makes the one before it the last but one
            backend.put(layout.compacted("orphan"), b"left by a killed one")
            run_id = f"late_1700000000000-{next(_spaces):05d}"
            _add_run(backend, run_id)
            assert compact(index).outcome == "written"
        keys = {info.key for info in backend.list(layout.COMPACT)}
        numbers = newest_first(backend.list(layout.COMPACT))
        named = {layout.compaction(number) for number in numbers}
        for number in numbers:
            key = layout.compaction(number)
            named |= {part.key for part in read_manifest(backend.get(key), key).parts}
        assert len(numbers) == 2
        assert keys <= named
        backend.clear()


def _add_run(backend: Backend, run_id: str) -> None:
    from runfolio.store.ending import Ending
    from runfolio.store.pushing import Pusher
    from runfolio.testing.spooling import MemorySpool

    spool = MemorySpool(run_id, run_id.split("_", maxsplit=1)[0], "main.0123456789abcdef")
    pusher = Pusher(backend, spool)
    pusher.intend_start({"run": run_id, "uid": f"{next(_spaces):032x}", "project": spool.project, "main": spool.writer})
    pusher.start()
    spool.log("loss", 1.0)
    pusher.end(Ending(status="Completed"))


def _by_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy serves whatever the folder holds by now."""

    class Anything(frozenset[str]):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return isinstance(other, frozenset)

        __hash__ = frozenset.__hash__

    real = reading.exact_names
    monkeypatch.setattr(reading, "exact_names", lambda objects: Anything(real(objects)))


def _live_rows_overlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that has not ended yet is no reason not to use a copy."""
    real = reading.exact_names
    monkeypatch.setattr(
        reading, "exact_names", lambda objects: real([one for one in objects if "/metrics/" in one.key])
    )


def _half_read_runs_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could be read of a run's files is copied under the names of all of them."""

    def from_folders(index: Index, sources: Any, report: CompactReport) -> dict[str, Any]:
        found = {}
        for one in sources:
            tables = [compacting._fetch(index.backend, file, report) for file in one.files]
            half = [table for table in tables[: len(tables) // 2] if table is not None]
            rows = view_many(half, [one.run_id], columns=SCHEMA.names)
            found[one.run_id] = Copied(rows.num_rows, one.names), rows
        return found

    monkeypatch.setattr(compacting, "_from_folders", from_folders)


@pytest.mark.parametrize(
    ("rule", "within"),
    [(_by_run_alone, 30), (_live_rows_overlooked, 30), (_half_read_runs_are_copied, 10)],
    ids=lambda value: value.__name__.strip("_") if callable(value) else None,
)
def test_each_rule_is_needed(
    rule: Callable[[pytest.MonkeyPatch], None], within: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one rule taken out, one of the first few seeds shows it."""
    rule(monkeypatch)
    for seed in range(within):
        try:
            if _violations(seed):
                return
        except (RunfolioError, AssertionError):
            return
    pytest.fail("no scenario noticed that the rule is missing")
