"""Waiting for runs and sweeps to end, and the exit code that they leave."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from runfolio.errors import RunfolioError
from runfolio_plugins.launch.running_here import folder_here
from runfolio_plugins.launch.sweep_plan import Sweep, find_sweep, find_task
from runfolio_plugins.launch.sweeping import PAUSE, Watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runfolio.history import History
    from runfolio.run import Run

TIMED_OUT: Final = 124
"""Exit code when the patience was over, as of the command `timeout`."""
_HERE: Final = 0.2
_ELSEWHERE: Final = 5.0
"""Seconds between two looks: at a lock of this machine, and at the store."""


def wait_for(history: History, words: Sequence[str], project: str | None, timeout: float | None) -> int:
    """Wait until all have ended, and print how each one did.

    Args:
        history: the history; it can be written, so that what killed processes left is recorded.
        words: runs, and sweeps of this machine.
        project: of runs that are named by their number.
        timeout: seconds; None: as long as it takes.

    Returns:
        The exit code of the first one that has another one than 0, else 0; 124 when the time was over.

    Raises:
        RunNotFoundError: a word names neither a run nor a sweep.
    """
    until = float("inf") if timeout is None else time.monotonic() + timeout
    named: list[Run | Sweep] = [find_sweep(word) or history.run(word, project=project) for word in words]
    codes = []
    for one in named:
        steps = _until_sweep_ended(one) if isinstance(one, Sweep) else _until_run_ended(history, one)
        for code, pause in steps:
            if code is not None:
                codes.append(code)
                break
            if time.monotonic() >= until:
                click.echo(f"runfolio: {one.id} has not ended yet", err=True)
                return TIMED_OUT
            time.sleep(pause)
    return next((code for code in codes if code), 0)


def _until_sweep_ended(sweep: Sweep) -> Iterator[tuple[int | None, float]]:
    watch = Watch(sweep)
    while not watch.look():
        yield None, PAUSE
    yield watch.code, 0.0


def _until_run_ended(history: History, run: Run) -> Iterator[tuple[int | None, float]]:
    task = find_task(run.id)
    watch = None if task is None else Watch(task.sweep, lambda _: None)
    while True:
        if watch is not None:
            watch.look()  # a queue that was killed would not begin the run again
        # Between two attempts a run looks as if it had ended: its launcher, or its queue, knows better.
        if (task is not None and task.end is None) or folder_here(run.id) is not None:
            yield None, _HERE
            continue
        _send_leftovers(history)
        record = run.refresh()
        if record.ended or record.status == "Lost":
            break
        yield None, _ELSEWHERE
    ending = run.ending
    code = None if ending is None else ending.exit_code
    if code is None:
        code = 0 if run.status == "Completed" else 1
    why = f" ({ending.reason})" if ending is not None and ending.reason else ""
    click.echo(f"{run.id}  {run.status}{why}")
    yield code, 0.0


def _send_leftovers(history: History) -> None:
    """Record the ends of processes of this machine that were killed."""
    try:
        history.sync()
    except (RunfolioError, OSError):
        return  # what can be read of the run says how it stands
