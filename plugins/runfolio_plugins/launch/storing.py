"""Sending a run's files to the store: the outputs at its end or on request, the logs every now and then."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from runfolio_plugins.launch.capture import CapturePlan, State, plan_capture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from runfolio import ActiveRun
    from runfolio_plugins.launch.story import Story

_FIRST_INTERVAL: Final = 60.0
_LONGEST_INTERVAL: Final = 900.0
_GROWTH: Final = 1.25
_SMALL: Final = 1024 * 1024
_WORTHWHILE: Final = 1.5


@dataclass(slots=True)
class Stored:
    """What a capture did. Paths are those in the run.

    Attributes:
        stored: now in the store.
        problems: not stored, with the reason.
        waiting: to be sent by ``runfolio sync``.
        skipped: what is no file, by its path in the folder, with the reason.
        bytes: size of what was to be stored.
        renamed: paths in the run of files whose own names could not be kept.
    """

    stored: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    bytes: int = 0
    renamed: dict[str, str] = field(default_factory=dict)


class Capturer:
    """Stores the outputs of a run, each time only what changed since.

    Args:
        run: the run.
        root: the folder that it executes in.
        folders: captured besides `outputs`.
        baseline: the working copy as it began.
        known: files that are not the run's, as they were.
    """

    def __init__(
        self,
        run: ActiveRun,
        root: Path,
        *,
        folders: Sequence[str] = (),
        baseline: Mapping[str, tuple[int, int]] | None = None,
        known: Mapping[str, State] | None = None,
    ) -> None:
        self._run = run
        self._root = root
        self._folders = folders
        self._baseline = baseline or {}
        self._known: dict[str, State] = dict(known or {})
        self._lock = threading.Lock()
        self.problems: dict[str, str] = {}
        """What is not stored, over all captures so far."""

    def capture(self) -> Stored:
        """Store what is there and has changed."""
        with self._lock:
            plan = plan_capture(self._root, folders=self._folders, known=self._known, baseline=self._baseline)
            found = Stored(skipped=plan.skipped, bytes=plan.bytes, renamed=plan.renamed)
            if plan.files:
                self._store(plan, found)
            return found

    def _store(self, plan: CapturePlan, found: Stored) -> None:
        report = self._run.store_files(plan.files)
        wanted = {target for _, target in plan.files}
        found.problems = {path: reason for path, reason in report.problems.items() if path in wanted}
        found.waiting = [path for path in report.waiting if path in wanted]
        not_stored = {*found.problems, *found.waiting}
        found.stored = [target for _, target in plan.files if target not in not_stored]
        for path in found.stored:
            self.problems.pop(path, None)
        self.problems.update(found.problems)
        waiting = set(found.waiting)
        for source, target in plan.files:
            if target not in waiting:
                path = os.path.relpath(source, self._root).replace(os.sep, "/")
                self._known[path] = plan.states[path]


class LogSender:
    """Sends the logs of a run that lasts, in a thread: soon at first, then more and more seldom, large ones least.

    A day costs about 120 requests.

    Args:
        run: the run.
        logs: each file with its path in the run.
        story: told when it fails for a reason of our own.
    """

    def __init__(self, run: ActiveRun, logs: Sequence[tuple[Path, str]], story: Story) -> None:
        self._run = run
        self._logs = logs
        self._story = story
        self._sent: dict[str, int] = {}
        self._stopping = threading.Event()
        self._tasks: list[Callable[[], None]] = []
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="runfolio-logs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def also(self, task: Callable[[], None]) -> None:
        """Have something else done in the thread, soon."""
        self._tasks.append(task)
        self._wake.set()

    def stop(self) -> None:
        """End, after what is under way."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        interval = _FIRST_INTERVAL
        due = time.monotonic() + interval
        while True:
            self._wake.wait(max(0.0, due - time.monotonic()))
            self._wake.clear()
            while self._tasks:
                self._tasks.pop(0)()
            if self._stopping.is_set():
                return
            if time.monotonic() >= due:
                self._send()
                interval = min(interval * _GROWTH, _LONGEST_INTERVAL)
                due = time.monotonic() + interval

    def _send(self) -> None:
        grown = []
        for path, target in self._logs:
            try:
                size = path.stat().st_size
            except OSError:
                continue
            before = self._sent.get(target, 0)
            if size > before and (size <= _SMALL or size >= before * _WORTHWHILE):
                grown.append((path, target))
                self._sent[target] = size
        if grown:
            try:
                self._run.store_files(grown, unlimited=True)
            except Exception as error:  # noqa: BLE001 (a thread's top; the end of the run sends the logs anyway)
                self._story.tell(f"the logs could not be sent: {error!r}")
