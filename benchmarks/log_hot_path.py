"""What one `log` costs, as a multiple of one bare `os.write` of a packed 24-byte record in the same run.

Run it alone: ``python benchmarks/log_hot_path.py``.
"""

from __future__ import annotations

import argparse
import os
import struct
import tempfile
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import NamedTuple

CALLS = 300_000
FLUSHES = 10


class Figure(NamedTuple):
    """One row of the report."""

    what: str
    measured: float
    budget: float
    unit: str = "x"

    @property
    def ok(self) -> bool:
        """Whether it is within its budget."""
        return self.measured <= self.budget

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "missed"
        return f"{self.what:<72} {self.measured:>8.2f}{self.unit}  budget {self.budget:g}{self.unit}  {verdict}"


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


@contextmanager
def journal(folder: Path) -> Iterator[tuple[object, Callable[[], int]]]:
    """A writer with a flusher-like thread beside it. Yields the writer, and what tells the number of flushes so far."""
    from runfolio.ids import new_token, new_uid
    from runfolio.journal.spool import Header, Spool
    from runfolio.journal.spooled_run import SpooledRun

    header = Header.here(
        run_id="bench_1700000000000-abcde", uid=new_uid(), writer=f"main.{new_token()}", project="bench", store=""
    )
    writer, lock = Spool(folder).create(header)
    spooled = SpooledRun.live(writer, lock)
    stop = threading.Event()
    flushes: list[int] = []

    def flush() -> None:
        first = 0
        while not stop.wait(0.02):
            pending, _ = writer.cut()
            after = spooled.cut()
            spooled.note("boundary", {"first": first, "after": after})
            spooled.encode(first, after, {"runfolio.format": "1"})
            spooled.summaries()
            pending.resolve(stored=True)
            flushes.append(after - first)
            first = after

    thread = threading.Thread(target=flush, daemon=True)
    thread.start()
    try:
        yield writer, lambda: len(flushes)
    finally:
        stop.set()
        thread.join()
        spooled.discard()


def _cases() -> dict[str, Callable[[object], Callable[[int], object]]]:
    import numpy as np

    name = "a long name / " * 14 + "abcd"
    number = np.float64(0.5)

    def case(*arguments: object, step: bool = True) -> Callable[[object], Callable[[int], object]]:
        def bind(writer: object) -> Callable[[int], object]:
            log: Callable[..., object] = writer.log  # type: ignore[attr-defined]
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


def hot_path(calls: int = CALLS) -> list[Figure]:
    """`log(name, float, step=int)` with the flusher on."""
    with tempfile.TemporaryDirectory() as folder:
        yardstick = spread(bare(Path(folder), calls))
        with journal(Path(folder) / "spool") as (writer, flushes):
            log: Callable[..., object] = writer.log  # type: ignore[attr-defined]
            log("loss", 0.5, step=0)
            samples = array("q")
            rounds = 0
            while not rounds or flushes() < FLUSHES:
                part = array("q", bytes(8 * calls))
                for place in range(calls):
                    begin = perf_counter_ns()
                    log("loss", 0.5, step=place)
                    part[place] = perf_counter_ns() - begin
                samples.extend(part)
                rounds += 1
            done = flushes()
        measured = spread(samples)
    what = f"log(name, float, step=int), {done} flushes meanwhile"
    return [
        Figure(f"{what}: p50", measured.p50 / yardstick.p50, 2.0),
        Figure(f"{what}: p99.9", measured.p999 / yardstick.p999, 5.0),
    ]


def variants(calls: int = CALLS // 3) -> list[Figure]:
    """The other ways to call it, each against the yardstick."""
    figures = []
    for what, bind in _cases().items():
        with tempfile.TemporaryDirectory() as folder:
            yardstick = spread(timed_bare(Path(folder), calls))
            with journal(Path(folder) / "spool") as (writer, _):
                measured = spread(timed(bind(writer), calls))
        figures.append(Figure(f"log, {what}: p50", measured.p50 / yardstick.p50, 4.0))
    return figures


def timed_bare(folder: Path, calls: int) -> array[int]:
    """The yardstick, called as the variants are: through a function."""
    pack, write = struct.Struct("<qqd").pack, os.write
    fd = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
    samples = timed(lambda place: write(fd, pack(place, 0, 0.5)), calls)
    os.close(fd)
    return samples


def threads(calls: int = CALLS // 4, count: int = 4) -> list[Figure]:
    """`log` from several threads at once."""
    with tempfile.TemporaryDirectory() as folder:
        yardstick = spread(bare(Path(folder), calls))
        with journal(Path(folder) / "spool") as (writer, _):
            log: Callable[..., object] = writer.log  # type: ignore[attr-defined]
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
    return [*hot_path(calls), *variants(calls // 3), *threads(calls // 4)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls")
    for figure in figures(quick=parser.parse_args().quick):
        print(figure)
