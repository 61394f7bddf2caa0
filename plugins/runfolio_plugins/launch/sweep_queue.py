"""The process that works through a sweep: ``python -m runfolio_plugins.launch.sweep_queue FOLDER``.

It loads what a launcher needs once, and forks one for each run: so a run costs a fraction of a start of its own. It
decides by what lies in the folder alone. Killed at any moment, it leaves its launchers alone, and another one goes on.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import sys
import traceback
import warnings
from collections import deque
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runfolio.errors import ConfigurationError, RunfolioError
from runfolio.history import History
from runfolio.recording.snapshots import once_more
from runfolio.snapshot import OUTPUTS, ProjectFiles, Snapshot
from runfolio_plugins.launch import processes
from runfolio_plugins.launch.launcher import Prepared, Screen, launch
from runfolio_plugins.launch.request import Located, locate
from runfolio_plugins.launch.running_here import launcher_of
from runfolio_plugins.launch.story import Story
from runfolio_plugins.launch.sweep_plan import MOST_BEGINNINGS, Sweep, Task, TaskState

if TYPE_CHECKING:
    from types import FrameType

if sys.platform == "win32":
    raise ConfigurationError("Sweeps need processes that fork, which Windows does not have: use several `runfolio run`")

_PAUSE: Final = 0.5
"""Seconds between two looks at what other processes left in the folder."""
_LOADED: Final = (
    "runfolio.environment",
    "runfolio.index.folding",
    "runfolio.recording.starting",
    "runfolio.rows.view",
    "runfolio.store.pushing",
    "runfolio_backends.local",
)
"""What every launcher loads sooner or later."""
_KILLED: Final = 137


@dataclass(slots=True)
class _Launcher:
    """A launcher on its way.

    Attributes:
        task: what it runs.
        pid: its process, when it is a child of this one; None for one that an earlier queue began.
        told: it was told to end.
    """

    task: Task
    pid: int | None
    told: bool = False


class Queue:
    """Works through a sweep.

    Args:
        sweep: the sweep. This process has its lock.
        located: what its runs share.
    """

    def __init__(self, sweep: Sweep, located: Located) -> None:
        self._sweep = sweep
        self._located = located
        kept = Snapshot.load(sweep.snapshot) if sweep.snapshot.exists() else None
        self._prepared = Prepared(
            files_of_copy(sweep.source), lambda history: None if kept is None else once_more(history, kept)
        )
        self._waiting: deque[Task] = deque()
        self._launchers: list[_Launcher] = []
        self._wake = os.pipe()

    def work(self) -> None:
        """Run everything that has not ended."""
        self._listen()
        for task in self._sweep.tasks:
            state = task.state
            if state is TaskState.RUNNING:
                self._launchers.append(_Launcher(task, None))
            elif state is not TaskState.ENDED:
                self._waiting.append(task)
        while self._waiting or self._launchers:
            while self._waiting and len(self._launchers) < self._sweep.plan.jobs:
                self._begin(self._waiting.popleft())
            self._look()
        self._sweep.finish()

    def _listen(self) -> None:
        for fd in self._wake:
            processes.set_non_blocking(fd)
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only the wake-up counts
        for number in processes.CANCELING:
            signal.signal(number, self._cancel)

    def _cancel(self, _: int, __: FrameType | None) -> None:
        self._sweep.cancel()

    def _look(self) -> None:
        """Wait until something happens, and see to launchers that have ended."""
        if self._launchers:
            select.select([self._wake[0]], [], [], _PAUSE)
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake[0], 4096)
        if self._sweep.canceled:
            self._tell_all()
        for launcher in list(self._launchers):
            if self._has_ended(launcher):
                self._launchers.remove(launcher)
                if launcher.task.end is None:
                    self._waiting.appendleft(launcher.task)  # killed: once more, before others

    def _has_ended(self, launcher: _Launcher) -> bool:
        if launcher.pid is None:
            return launcher.task.state is not TaskState.RUNNING
        try:
            return os.waitpid(launcher.pid, os.WNOHANG) != (0, 0)
        except ChildProcessError:
            return True

    def _tell_all(self) -> None:
        for launcher in self._launchers:
            if launcher.told:
                continue
            pid = launcher.pid or launcher_of(launcher.task.run_id)
            if pid is not None:
                launcher.told = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)

    def _begin(self, task: Task) -> None:
        """Fork a launcher for a task, unless it was canceled or its launcher was killed too often."""
        begun = task.begun
        times = begun.get("times", 0)
        if task.canceled:
            task.note_canceled()
            return
        if times >= MOST_BEGINNINGS:
            task.note_end(_KILLED, f"its launcher was killed {times} times")
            return
        lock = processes.hold_surely(task.lock)
        if lock is None:  # somebody else works on it after all
            self._launchers.append(_Launcher(task, None))
            return
        task.note_begun(begun.get("run"), times + 1)
        signals: list[int] = [*processes.CANCELING, signal.SIGCHLD]
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                self._become_launcher(signals)
                code = self._run(task, begun.get("run"), times + 1)
            except BaseException:  # noqa: BLE001 (the top of a process: it must not go on as another queue)
                traceback.print_exc()
            finally:
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        os.close(lock)  # the launcher has it now
        self._launchers.append(_Launcher(task, pid))

    # In the launcher

    def _become_launcher(self, signals: list[int]) -> None:
        """Be a process of its own: neither the queue's signals nor its lock concern it."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in signals:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        for fd in self._wake:
            os.close(fd)
        os.close(QUEUE_LOCK.pop())

    def _run(self, task: Task, run_id: str | None, times: int) -> int:
        story = Story(sys.stderr)
        story.listen()
        try:
            code = self._launch(task, run_id, times, story)
        except RunfolioError as error:
            story.warn(f"run {task.number + 1} ({task.shown}) could not be launched: {error}")
            task.note_end(1, str(error))
            return 1
        except Exception as error:
            task.note_end(1, f"the launcher failed: {error!r}")
            raise
        task.note_end(code)
        return code

    def _launch(self, task: Task, run_id: str | None, times: int, story: Story) -> int:
        shared = self._located.request
        known = None if run_id is None else self._recorded_end(run_id)
        if known is not None:
            return known
        request = replace(
            shared,
            arguments=tuple(task.words),
            params=task.params,
            name=None if shared.name is None else f"{shared.name}-{task.number + 1}",
            tags=(*shared.tags, self._sweep.id),
            properties={"Sweep": self._sweep.id, "SweepRun": task.number + 1},
            resume=run_id,
        )
        screen = Screen(None, None, lambda _: None, lambda found: task.note_begun(found, times))
        try:
            return launch(replace(self._located, request=request), screen, story, prepared=self._prepared)
        except RunfolioError as error:
            if run_id is None or task.run_id != run_id:
                raise
            story.warn(f"run {run_id} cannot go on, and is begun anew: {error}")
            request = replace(request, resume=None)
            return launch(replace(self._located, request=request), screen, story, prepared=self._prepared)

    def _recorded_end(self, run_id: str) -> int | None:
        """Return the exit code of a run whose launcher was killed after its end; None when it has to be begun again."""
        try:
            with History(self._located.settings) as history:
                history.sync()
                ending = history.run(run_id).ending
        except RunfolioError:
            return None
        code = None if ending is None else ending.exit_code  # a process that was killed has left none
        return None if code and self._located.request.retries else code


QUEUE_LOCK: Final[list[int]] = []
"""The lock of the queue, which a launcher must not keep."""


def files_of_copy(root: Path) -> ProjectFiles:
    """Return what a copy of a project consists of: all of it, and its links lead to what the project ignores."""
    found = ProjectFiles(str(root))
    for folder, folders, files in os.walk(root):
        relative = Path(folder).relative_to(root).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        if not prefix and OUTPUTS in folders:
            folders.remove(OUTPUTS)
        for name in [*folders, *files]:
            is_link = Path(folder, name).is_symlink()
            kind = found.links if is_link else found.folders if name in folders else found.files
            kind.append(f"{prefix}{name}")
    for paths in (found.folders, found.files, found.links):
        paths.sort()
    found.bytes = sum(Path(root, path).stat().st_size for path in found.files)
    return found


def _refuse_other_store(sweep: Sweep, located: Located) -> None:
    """A sweep that goes on from another shell must not spread over two stores."""
    with History(located.settings) as history:
        if history.url != sweep.plan.store:
            raise ConfigurationError(
                f"{sweep.id} records its runs in {sweep.plan.store}, and here {history.url} is configured: "
                "continue it where it was begun",
                key=sweep.id,
            )


def main(folder: Path) -> int:
    """Work through the sweep of a folder, unless another queue does."""
    sweep = Sweep(folder)
    if sweep.ended:
        return 0
    lock = processes.hold_surely(sweep.lock)
    if lock is None:
        return 0
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    QUEUE_LOCK.append(lock)
    log = os.open(sweep.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for fd in (1, 2):
        os.dup2(log, fd)
    # Of forks beside threads: those of libraries, which they look after themselves.
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        os.chdir(sweep.plan.request.folder)
        located = locate(sweep.plan.request)
        _refuse_other_store(sweep, located)
        for module in _LOADED:
            import_module(module)
        gc.freeze()  # launchers share the pages of what is loaded
        Queue(sweep, located).work()
    except (RunfolioError, OSError) as error:
        print(f"the sweep cannot go on: {error}", file=sys.stderr, flush=True)  # noqa: T201 (the log of the sweep)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
