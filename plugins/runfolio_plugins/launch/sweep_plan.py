"""A sweep on this machine: what is to be run, written down before anything is, and how far it is.

::

    <state>/sweeps/<id>/plan.json       what is to be run; the folder gets its name when all of it is there
                        source/         the project as it was: every run has a copy of this
                        snapshot/       the same as Git objects, on their way to the store
                        lock            held by the queue while it lives
                        log             what the queue and the launchers of its runs had to say
                        canceled        its presence says that somebody asked the sweep to end
                        tasks/<n>.lock  held by the launcher of run n while it lives
                              <n>.json  how often it was begun, and the id of the run when it has one
                              <n>.canceled, <n>.end   somebody asked it to end; how it ended

Who finds a task that was begun, has no end and whose lock is free knows that its launcher was killed. Nothing here is
decided by process numbers or clocks.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runfolio.config import Places
from runfolio.ids import new_token
from runfolio_plugins.launch import processes
from runfolio_plugins.launch.json_files import read_json, write_json
from runfolio_plugins.launch.request import LaunchRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runfolio_plugins.launch.sweep_arguments import Arguments

_PLAN: Final = "plan.json"
_NEW: Final = ".new-"
_DAY: Final = 86_400.0
KEPT: Final = 7 * _DAY
"""Seconds that the folder of a sweep stays after its end."""
CANCELED: Final = 143
"""Exit code of a run that did not begin, as if SIGTERM had ended it."""
MOST_BEGINNINGS: Final = 3
"""So often a task is begun at most whose launcher is killed each time."""


class TaskState(StrEnum):
    """How far one run of a sweep is. The words are those of runs."""

    QUEUED = "Queued"
    RUNNING = "Running"
    ENDED = "Ended"
    KILLED = "Lost"
    """Its launcher was killed. The queue begins it again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run.

    Attributes:
        request: what all runs share.
        tasks: words and params of each run.
        jobs: how many run at a time.
        store: where they are recorded, without credentials.
        project: the project.
        title: the command line, for people.
        created: in seconds since the epoch.
    """

    request: LaunchRequest
    tasks: list[tuple[list[str], dict[str, Any]]]
    jobs: int
    store: str
    project: str
    title: str
    created: float

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Plan:
        """Make a plan of what JSON had."""
        known = {one.name for one in fields(LaunchRequest)}
        own: dict[str, Any] = {name: value for name, value in plain.items() if name in cls.__dataclass_fields__}
        request: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in plain["request"].items()
            if name in known
        }
        tasks = [(list(words), dict(params)) for words, params in plain["tasks"]]
        own["request"], own["tasks"] = LaunchRequest(**request), tasks
        return cls(**own)


class Sweep:
    """One sweep on this machine.

    Args:
        path: its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._plan: Plan | None = None

    @property
    def id(self) -> str:
        """Its name, which all of its runs have as a tag."""
        return self.path.name

    @property
    def plan(self) -> Plan:
        """What is to be run."""
        if self._plan is None:
            self._plan = Plan.of(read_json(self.path / _PLAN))
        return self._plan

    @property
    def source(self) -> Path:
        """The project as it was."""
        return self.path / "source"

    @property
    def snapshot(self) -> Path:
        """The same as Git objects; absent where no source is stored."""
        return self.path / "snapshot"

    @property
    def log(self) -> Path:
        """What its processes had to say."""
        return self.path / "log"

    @property
    def lock(self) -> Path:
        """Held by the queue."""
        return self.path / "lock"

    @property
    def tasks(self) -> Sequence[Task]:
        """Its runs, in order."""
        return [Task(self, number) for number in range(len(self.plan.tasks))]

    @property
    def canceled(self) -> bool:
        """Whether somebody asked it to end."""
        return (self.path / "canceled").exists()

    @property
    def ended(self) -> bool:
        """Whether nothing is left to be done."""
        return not self.source.exists()

    def cancel(self) -> None:
        """Ask it to end: nothing more begins, and the queue tells what runs."""
        (self.path / "canceled").touch(mode=0o600)

    def has_queue(self) -> bool:
        """Whether a queue works on it."""
        return processes.is_held(self.lock)

    def queue(self) -> int | None:
        """The process that works on it; None when there is none."""
        try:
            return int(self.lock.read_bytes()) if self.has_queue() else None
        except (OSError, ValueError):
            return None  # it has only just begun, or has just gone

    def finish(self) -> None:
        """Remove what only its runs needed. From then on it has ended."""
        shutil.rmtree(self.snapshot, ignore_errors=True)
        aside = self.path / f"{_NEW}{new_token()}"
        self.source.rename(aside)  # at once: a half removed source would look like one that is there
        shutil.rmtree(aside, ignore_errors=True)


class Task:
    """One run of a sweep.

    Args:
        sweep: the sweep.
        number: its place in the plan, from 0.
    """

    def __init__(self, sweep: Sweep, number: int) -> None:
        self.sweep: Final = sweep
        self.number: Final = number
        self.words, self.params = sweep.plan.tasks[number]
        self._stem: Final = sweep.path / "tasks" / str(number)

    @property
    def lock(self) -> Path:
        """Held by its launcher."""
        return self._stem.with_suffix(".lock")

    @property
    def begun(self) -> dict[str, Any]:
        """How often it was begun (`times`) and the id of its run (`run`), both as far as they are there."""
        return read_json(self._stem.with_suffix(".json")) or {}

    @property
    def run_id(self) -> str | None:
        """The id of its run."""
        found: str | None = self.begun.get("run")
        return found

    @property
    def end(self) -> dict[str, Any] | None:
        """How it ended: `code`, and `reason` where no run says more. None while it has not."""
        found: dict[str, Any] | None = read_json(self._stem.with_suffix(".end"))
        return found

    @property
    def canceled(self) -> bool:
        """Whether somebody asked it to end."""
        return self.sweep.canceled or self._stem.with_suffix(".canceled").exists()

    @property
    def state(self) -> TaskState:
        """How far it is."""
        # In this order: a launcher writes the end before it lets go of the lock.
        held = processes.is_held(self.lock)
        if self.end is not None:
            return TaskState.ENDED
        if held:
            return TaskState.RUNNING
        return TaskState.KILLED if self.begun else TaskState.QUEUED

    def cancel(self) -> None:
        """Ask it not to begin."""
        self._stem.with_suffix(".canceled").touch(mode=0o600)

    def note_begun(self, run_id: str | None, times: int) -> None:
        """Write down that it begins, and its run when there is one."""
        write_json(self._stem.with_suffix(".json"), {"run": run_id, "times": times})

    def note_end(self, code: int, reason: str | None = None) -> None:
        """Write down how it ended."""
        write_json(self._stem.with_suffix(".end"), {"code": code, "reason": reason})

    def note_canceled(self) -> None:
        """Write down that it ended because somebody asked for it, while nothing of it ran."""
        self.note_end(CANCELED, "canceled" if self.begun else "canceled before it began")

    @property
    def shown(self) -> str:
        """What is special about it, for people."""
        return " ".join(f"{name}={value}" for name, value in self.params.items()) or " ".join(self.words)


def sweeps_folder() -> Path:
    """Return the folder of all sweeps of this user on this machine."""
    return Places.of(os.environ).user_state / "sweeps"


def draft_folder() -> Path:
    """Make the folder of a sweep that is about to be planned."""
    folder = sweeps_folder() / f"{_NEW}{new_token()}"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "tasks").mkdir()
    return folder


def publish(draft: Path, sweep_id: str, plan: Plan) -> Sweep:
    """Write the plan into the folder that was drafted, and give the folder its name: from then on the sweep exists."""
    write_json(draft / _PLAN, asdict(plan))
    path = draft.with_name(sweep_id)
    draft.rename(path)
    return Sweep(path)


def task_list(arguments: Sequence[Arguments]) -> list[tuple[list[str], dict[str, Any]]]:
    """Return arguments as a plan holds them."""
    return [(list(one.words), dict(one.params)) for one in arguments]


def all_sweeps() -> Iterator[Sweep]:
    """Yield the sweeps of this user on this machine, oldest first. Those whose time is over are removed."""
    try:
        paths = sorted(sweeps_folder().iterdir(), key=lambda path: path.stat().st_mtime)
    except OSError:
        return
    for path in paths:
        age = time.time() - path.stat().st_mtime if path.exists() else 0.0
        if path.name.startswith(_NEW):
            if age > _DAY:
                shutil.rmtree(path, ignore_errors=True)
            continue
        sweep = Sweep(path)
        if sweep.ended and age > KEPT:
            shutil.rmtree(path, ignore_errors=True)
        else:
            yield sweep


def find_sweep(word: str) -> Sweep | None:
    """Return the sweep of this name; None when there is none on this machine."""
    return next((sweep for sweep in all_sweeps() if sweep.id == word), None)


def find_task(run_id: str) -> Task | None:
    """Return the task that a run is; None when it belongs to no sweep of this machine."""
    return next((task for sweep in all_sweeps() for task in sweep.tasks if task.run_id == run_id), None)
