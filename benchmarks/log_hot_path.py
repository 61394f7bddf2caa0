"""What one `log` costs, as a multiple of one bare `os.write` of a packed 24-byte record in the same run.

Run it alone: ``python benchmarks/log_hot_path.py``.
"""

from __future__ import annotations

import argparse
import os
import struct
import subprocess
import sys
import tempfile
import threading
from array import array
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import NamedTuple, cast

from figures import Figure, show

import runfolio as rf

CALLS = 1_000_000
FLUSHES = 10
"""So many at least must fall into the window that is measured."""
PERIOD = 0.1
"""Seconds between two flushes."""


class Spread(NamedTuple):
    """Median and 99.9th percentile of single calls, in nanoseconds."""

    p50: float
    p999: float


def spread(samples: array[int]) -> Spread:
    ordered = sorted(samples)
    return Spread(ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.999)])


def timed(call: Callable[[int], object], calls: int) -> array[int]:
    """Time each call by itself."""
    samples = array("q", bytes(8 * calls))
    for place in range(calls):
        begin = perf_counter_ns()
        call(place)
        samples[place] = perf_counter_ns() - begin
    return samples


def bare(folder: Path, calls: int) -> array[int]:
    """The yardstick."""
    pack, write = struct.Struct("<qqd").pack, os.write
    fd = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
    samples = array("q", bytes(8 * calls))
    for place in range(calls):
        begin = perf_counter_ns()
        write(fd, pack(place, 0, 0.5))
        samples[place] = perf_counter_ns() - begin
    os.close(fd)
    return samples


class Flusher:
    """Has everything that was logged flushed, much more often than by itself."""

    def __init__(self, run: rf.ActiveRun) -> None:
        self.flushes = 0
        self._run = run
        self._stop, self._idle = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @contextmanager
    def resting(self) -> Generator[None]:
        """Everything is in the store, and nothing is flushed meanwhile."""
        with self._idle:
            self._run.flush(60)
            yield

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(PERIOD):
            with self._idle:
                self.flushes += self._run.flush(60)


@contextmanager
def a_run(folder: Path) -> Generator[tuple[rf.ActiveRun, Flusher]]:
    """A run as everybody has it: in a store of its own, with its background thread and the default configuration."""
    os.environ["RUNFOLIO_SPOOL"] = str(folder / "spool")
    with rf.open_history(str(folder / "store"), project="bench") as history, history.start_run() as run:
        run.log("first", 0.0)
        run.flush(60)  # loads everything
        flusher = Flusher(run)
        try:
            yield run, flusher
        finally:
            flusher.stop()


def _cases() -> dict[str, Callable[[rf.ActiveRun], Callable[[int], object]]]:
    import numpy as np

    name = "a long name / " * 14 + "abcd"
    number = np.float64(0.5)

    def case(*arguments: object, step: bool = True) -> Callable[[rf.ActiveRun], Callable[[int], object]]:
        def bind(run: rf.ActiveRun) -> Callable[[int], object]:
            log = cast("Callable[..., object]", run.log)
            if step:
                return lambda place: log(*arguments, step=place)
            return lambda _: log(*arguments)

        return bind

    return {
        "without step": case("loss", 0.5, step=False),
        "200-character name": case(name, 0.5),
        "np.float64": case("loss", number),
        "bool": case("flag", bool(name)),
        "str": case("word", "some text"),
        "int": case("count", 7),
    }


def hot_path(calls: int = CALLS, rounds: int = 5) -> list[Figure]:
    """`log(name, float, step=int)` with the flusher on.

    Rounds of the yardstick and of `log` take turns, so that whatever else the machine does meets both. The flusher
    rests during the yardstick.
    """
    yardstick, samples = array("q"), array("q")
    with tempfile.TemporaryDirectory() as folder, a_run(Path(folder)) as (run, flusher):
        log: Callable[..., object] = run.log
        log("loss", 0.5, step=0)
        done = 0
        while done < rounds or flusher.flushes < FLUSHES:
            with flusher.resting():
                yardstick.extend(bare(Path(folder), calls // rounds))
            part = array("q", bytes(8 * (calls // rounds)))
            for place in range(len(part)):
                begin = perf_counter_ns()
                log("loss", 0.5, step=place)
                part[place] = perf_counter_ns() - begin
            samples.extend(part)
            done += 1
        flushes = flusher.flushes
    theirs, ours = spread(yardstick), spread(samples)
    what = f"log(name, float, step=int), {flushes} flushes in {len(samples):,} calls"
    return [
        Figure(f"{what}: p50", ours.p50 / theirs.p50, 2.0),
        Figure(f"{what}: p99.9", ours.p999 / theirs.p999, 5.0),
    ]


def killed(points: int = 1_000_000) -> list[Figure]:
    """SIGKILL right after the last `log`: points that are not in the store after ``runfolio sync``."""
    code = (
        "import os, sys, runfolio as rf\n"
        "log = rf.open_history(sys.argv[1], project='bench').start_run().log\n"
        "for step in range(int(sys.argv[2])): log('loss', step / 7, step=step)\n"
        "os.kill(os.getpid(), 9)"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RUNFOLIO_SPOOL"] = f"{folder}/spool"
        subprocess.run([sys.executable, "-c", code, f"{folder}/store", str(points)], check=False)
        with rf.open_history(f"{folder}/store", project="bench") as history:
            history.sync()
            missing = points - len(set(history.last().metric("loss").steps()))
    return [Figure(f"killed after the last of {points:,} log calls: points missing", missing, 0, "")]


def variants(calls: int = CALLS // 10) -> list[Figure]:
    """The other ways to call it, each against the yardstick."""
    figures = []
    for what, bind in _cases().items():
        with tempfile.TemporaryDirectory() as folder:
            yardstick = spread(timed_bare(Path(folder), calls))
            with a_run(Path(folder)) as (run, _):
                measured = spread(timed(bind(run), calls))
        figures.append(Figure(f"log, {what}: p50", measured.p50 / yardstick.p50, 4.0))
    return figures


def timed_bare(folder: Path, calls: int) -> array[int]:
    """The yardstick, called as the variants are: through a function."""
    pack, write = struct.Struct("<qqd").pack, os.write
    fd = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
    samples = timed(lambda place: write(fd, pack(place, 0, 0.5)), calls)
    os.close(fd)
    return samples


def threads(calls: int = CALLS // 10, count: int = 4) -> list[Figure]:
    """`log` from several threads at once."""
    with tempfile.TemporaryDirectory() as folder:
        yardstick = spread(bare(Path(folder), calls))
        with a_run(Path(folder)) as (run, _):
            log: Callable[..., object] = run.log
            parts: list[array[int]] = []
            ready = threading.Barrier(count)

            def work(name: str) -> None:
                ready.wait()
                parts.append(timed(lambda place: log(name, 0.5, step=place), calls))

            workers = [threading.Thread(target=work, args=(f"loss{place}",)) for place in range(count)]
            for one in workers:
                one.start()
            for one in workers:
                one.join()
            samples = array("q")
            for part in parts:
                samples.extend(part)
    return [Figure(f"log from {count} threads: p50", spread(samples).p50 / yardstick.p50, 4.0)]


def figures(*, quick: bool = False) -> list[Figure]:
    """All rows of this subject."""
    calls = CALLS // 10 if quick else CALLS
    return [*hot_path(calls), *variants(calls // 10), *threads(calls // 10), *killed(calls)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls")
    sys.exit(show(figures(quick=parser.parse_args().quick)))
