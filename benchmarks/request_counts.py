"""The requests that each act costs, counted beneath the public API on a fresh connection and on one that was used.

Run it alone: ``python benchmarks/request_counts.py``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from figures import Figure, show

import runfolio as rf
from runfolio.hookspecs import RegisterBackend, hookimpl
from runfolio.plugins import Plugins
from runfolio.store.pacing import Pacing
from runfolio.testing import CountingBackend
from runfolio_backends.memory import MemoryBackend

DAY = 24 * 3600.0


class Counted:
    """A plugin whose one backend counts. Every connection of a history reaches the same store."""

    def __init__(self) -> None:
        self.counting: CountingBackend | None = None

    @hookimpl
    def runfolio_register_backends(self, register: RegisterBackend) -> None:
        """Announce it."""
        register("counted", "request_counts:build")


COUNTED = Counted()


def build(url: str) -> CountingBackend:
    """Make the backend of a connection."""
    COUNTED.counting = CountingBackend(MemoryBackend(url.replace("counted", "memory")))
    return COUNTED.counting


def count(act: Callable[[], object]) -> int:
    """The requests that an act makes."""
    before = len(COUNTED.counting.requests) if COUNTED.counting else 0
    act()
    assert COUNTED.counting is not None
    return len(COUNTED.counting.requests) - before


def opened() -> rf.History:
    """A history on a connection of its own."""
    COUNTED.counting = None
    plugins = Plugins(enabled=["builtin_backends"], extra=[COUNTED])
    return rf.open_history("counted://requests", project="p", plugins=plugins)


def writing() -> Iterator[Figure]:
    """Start, flush, edit and end. Cold is a connection that was never used: it reads ``runfolio.json`` too."""
    opened().start_run().finish()  # the store exists
    history = opened()
    for state in ("cold", "warm"):
        runs: list[rf.ActiveRun] = []
        yield Figure(f"start, {state}", count(partial(_append, runs, history)), 4, "")
        run = runs[0]
        run.log("loss", 0.5, step=1)
        yield Figure(f"flush, {state}", count(partial(run.flush, 60)), 1, "")
        yield Figure(f"end without files, {state}", count(run.finish), 6, "")
    history = opened()
    for state in ("cold", "warm"):
        yield Figure(f"edit, {state}", count(partial(rf.Run(history, run.id).edit, name="x")), 3, "")


def _append(runs: list[rf.ActiveRun], history: rf.History) -> None:
    runs.append(history.start_run())


def reading() -> Iterator[Figure]:
    """List, open, read one curve: each on a connection of its own, then once more on the same."""
    history = opened()
    run = history.start_run()
    for step in range(1000):
        run.log("loss", step / 7, step=step)
    run.finish()
    entries = sum(1 for _ in MemoryBackend("memory://requests").list("log/"))
    history = opened()
    cold, warm = count(history.runs().ids), count(history.runs().ids)
    yield Figure("list, cold, beside its unfolded entries", cold - entries, 4, "")
    yield Figure("list, warm", warm, 4, "")
    history = opened()
    for state in ("cold", "warm"):
        yield Figure(f"open a run, {state}", count(rf.Run(history, run.id).refresh), 5, "")
    history = opened()
    for state in ("cold", "warm"):
        yield Figure(f"one curve, {state}", count(rf.Run(history, run.id).metric("loss").to_arrow), 3, "")


def day() -> list[Figure]:
    """The puts of a run of 24 hours that logs a point a second, by the pacing of one writer, start and end included."""
    pacing, now, flushed, beaten, flushes, beats, rows = Pacing(), 0.0, 0.0, 0.0, 0, 0, 0
    while now < DAY:
        now += 1.0
        if pacing.flush_due(now, now - flushed, int(now) - rows, rows):
            flushes, flushed, rows = flushes + 1, now, int(now)
        if pacing.beat_due(now, now - beaten):
            beats, beaten = beats + 1, now
    start_and_end = 3 + 3
    return [Figure("puts of a 24 h run at 1 point/s, beats included", flushes + beats + start_and_end, 500, "")]


def figures() -> list[Figure]:
    """All of it."""
    with tempfile.TemporaryDirectory() as folder:
        import os

        os.environ["RUNFOLIO_SPOOL"] = str(Path(folder) / "spool")
        return [*writing(), *reading(), *day()]


if __name__ == "__main__":
    import request_counts  # the module that the plugin names, not this copy of it

    sys.exit(show(request_counts.figures()))
