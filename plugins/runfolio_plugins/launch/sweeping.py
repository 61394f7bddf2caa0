"""Sweeps: planned, handed to a queue, watched, and continued when a queue was killed."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from runfolio.errors import ConfigurationError, TargetError
from runfolio.history import History
from runfolio.ids import ALPHABET
from runfolio.recording.snapshots import adopt
from runfolio.target import Job
from runfolio_plugins.launch import processes
from runfolio_plugins.launch.local_target import LocalTarget
from runfolio_plugins.launch.request import LOCAL, locate, refuse_wild_root
from runfolio_plugins.launch.source import differing, files_of, take_snapshot
from runfolio_plugins.launch.story import Story
from runfolio_plugins.launch.sweep_plan import Plan, TaskState, all_sweeps, draft_folder, publish, task_list
from runfolio_plugins.launch.working_copy import make_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runfolio_plugins.launch.request import LaunchRequest
    from runfolio_plugins.launch.sweep_arguments import Arguments
    from runfolio_plugins.launch.sweep_plan import Sweep, Task

_QUEUE: Final = "runfolio_plugins.launch.sweep_queue"
PAUSE: Final = 0.1
"""Seconds between two looks."""
_STARTING: Final = 10.0
"""Seconds that a queue has to appear before another one is started."""
_MOST_QUEUES: Final = 5
_SHOWN: Final = 10
INTERRUPTED: Final = 130


def plan_sweep(request: LaunchRequest, arguments: Sequence[Arguments], jobs: int) -> Sweep:
    """Write down a sweep with all that its runs need. Nothing runs yet; from now on it is not forgotten.

    Raises:
        ConfigurationError: there is nothing to run, or the configuration is wrong.
        OSError: there is no room for it on this machine.
    """
    if request.target != LOCAL or request.in_place:
        raise ConfigurationError("A sweep runs on this machine, each run in a copy of the project", key="target")
    if sys.platform == "win32":
        raise ConfigurationError("Sweeps need a system that can fork: Linux or macOS")
    located = locate(request)
    refuse_wild_root(located)
    story = Story(sys.stderr, show_warnings=False)
    draft = draft_folder()
    try:
        with History(located.settings) as history:
            files = files_of(located)
            snapshot = take_snapshot(history, located, files, story)
            copy = make_copy(files, draft / "source")
            located.command(copy.root, draft)  # says what cannot be run
            if snapshot is not None:
                changed = differing(snapshot, copy)
                if changed:
                    story.warn(f"edited while the sweep was planned: {', '.join(changed[:_SHOWN])}")
                adopt(snapshot, draft / "snapshot")
                snapshot.save()
            plan = Plan(
                request=request,
                tasks=task_list(arguments),
                jobs=jobs,
                store=history.url,
                project=located.settings.project,
                title=located.shown,
                created=time.time(),
            )
        return publish(draft, f"sweep_{''.join(secrets.choice(ALPHABET) for _ in range(5))}", plan)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def start_queue(sweep: Sweep) -> None:
    """Start a process that works through a sweep and outlives this one. Harmless when there is one already.

    Raises:
        TargetError: no process can be started on this machine.
    """
    # -P: what lies in the current folder is not ours.
    command = (sys.executable, "-P", "-m", _QUEUE, str(sweep.path))
    LocalTarget().submit(Job(command=command, folder=sweep.plan.request.folder, name=sweep.id))


def continue_sweeps() -> None:
    """Start queues for the sweeps of this machine whose queue was killed, and say so."""
    for sweep in all_sweeps():
        young = not sweep.lock.exists() and time.time() - sweep.plan.created < _STARTING
        if sweep.ended or sweep.has_queue() or young:
            continue
        try:
            start_queue(sweep)
        except (TargetError, ConfigurationError) as error:
            click.echo(f"runfolio: {sweep.id} has no queue any more, and none can be started: {error}", err=True)
        else:
            click.echo(f"runfolio: {sweep.id} had no queue any more, and goes on", err=True)


class Watch:
    """Prints a line for each run of a sweep that ends, and starts another queue when that was killed.

    Args:
        sweep: the sweep.
        tell: prints a line.
    """

    def __init__(self, sweep: Sweep, tell: Callable[[str], object] = click.echo) -> None:
        self._sweep = sweep
        self._tell = tell
        self._open = list(sweep.tasks)
        self._all = len(self._open)
        self._queues = 1
        self._since = time.monotonic()
        self._seen = sweep.lock.exists()
        """Whether this queue has been there: then its absence is its end."""
        self.code = 0
        """The exit code of the first run that ended with another one than 0."""

    def until_ended(self) -> int:
        """Wait until the sweep has ended. Returns 0 when all of its runs were completed, else 1.

        Raises:
            ConfigurationError: no queue can work on it; the message shows why.
        """
        while not self.look():
            time.sleep(PAUSE)
        return 1 if self.code else 0

    def look(self) -> bool:
        """Look once, and return whether the sweep has ended.

        Raises:
            ConfigurationError: no queue can work on it; the message shows why.
        """
        ended = self._sweep.ended
        self._tell_ended(everything=ended)
        if ended:
            return True
        if self._sweep.has_queue():
            self._seen = True
        elif (self._seen or time.monotonic() - self._since > _STARTING) and not self._sweep.ended:
            self._start_another()
        return False

    def _start_another(self) -> None:
        if self._queues == _MOST_QUEUES:
            raise ConfigurationError(f"No queue can work on {self._sweep.id}: {_tail(self._sweep)}")
        if self._seen:
            click.echo(f"runfolio: the queue of {self._sweep.id} was killed; another one goes on", err=True)
        start_queue(self._sweep)
        self._queues, self._since, self._seen = self._queues + 1, time.monotonic(), False

    def _tell_ended(self, *, everything: bool) -> None:
        # They begin in order, so those that may have ended are the first ones.
        some = self._open if everything else self._open[: 2 * self._sweep.plan.jobs + _SHOWN]
        for task in list(some):
            if task.state is TaskState.ENDED:
                self._open.remove(task)
                self.code = self.code or (task.end or {}).get("code", 1)
                self._tell(f"[{self._all - len(self._open)}/{self._all}] {describe_end(task)}")


def describe_end(task: Task) -> str:
    """Say how a run of a sweep ended, on one line."""
    end = task.end or {}
    code = end.get("code", 1)
    how = "completed" if code == 0 else f"exit code {code}"
    why = f" ({end['reason']})" if end.get("reason") else ""
    return f"{task.run_id or 'no run'}  {task.shown}  {how}{why}"


def cancel_sweep(sweep: Sweep) -> None:
    """Ask a sweep to end. Its queue tells what runs, and ends what has not begun.

    Raises:
        TargetError: it has no queue, and none can be started.
    """
    sweep.cancel()
    lock = processes.hold_surely(sweep.lock)
    if lock is None:
        return  # its queue sees it
    try:
        if sweep.ended:
            return
        runs = any(task.state is TaskState.RUNNING for task in sweep.tasks)
        if not runs:  # no queue is needed, and perhaps none can work any more
            for task in sweep.tasks:
                if task.state is not TaskState.ENDED:
                    task.note_canceled()
            sweep.finish()
    finally:
        os.close(lock)
    if runs:
        start_queue(sweep)


def _tail(sweep: Sweep) -> str:
    try:
        lines = sweep.log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else f"see {sweep.log}"
