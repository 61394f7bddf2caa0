"""From `log` to a Parquet file, against a bare `os.write` loop and `write_table` of the same rows; bytes a point.

Run it alone: ``python benchmarks/rows_to_parquet.py``.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, time_ns
from typing import TYPE_CHECKING

from figures import Figure, show

if TYPE_CHECKING:
    from runfolio._platform import FileLock
    from runfolio.journal.writer import JournalWriter

POINTS = 1_000_000
BULK = 10_000_000
NAMES = 10


def _journal(folder: Path) -> tuple[JournalWriter, FileLock]:
    from runfolio.ids import new_token, new_uid
    from runfolio.journal.spool import Header, Spool

    header = Header.here(
        run_id="bench_1700000000000-abcde", uid=new_uid(), writer=f"main.{new_token()}", project="bench", store=""
    )
    return Spool(folder).create(header)


def _seconds(work: Callable[[], object]) -> float:
    begin = perf_counter()
    work()
    return perf_counter() - begin


def one_by_one(points: int = POINTS) -> list[Figure]:
    """Normal noise, random time gaps, names interleaved: log, close, encode."""
    import pyarrow.parquet as pq

    from runfolio.journal import writer as writer_module
    from runfolio.journal.spooled_run import SpooledRun
    from runfolio.rows.parquet import decode

    chance = random.Random(7)
    values = [chance.gauss(0, 1) for _ in range(points)]
    names = [f"metric/{place}" for place in range(NAMES)]
    # Points of a real loop come at irregular times; the clock stands in for waiting.
    clock = iter(_times(points + 2 * NAMES, chance))
    kept: list[bytes] = []

    with tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            writer, lock = _journal(Path(folder) / "spool")
            log = writer.log
            for place in range(points):
                log(names[place % NAMES], values[place], step=place // NAMES)
            spooled = SpooledRun.live(writer, lock)
            after = spooled.cut()
            kept.append(spooled.encode(0, after, {"runfolio.format": "1"}))
            (Path(folder) / "ours.parquet").write_bytes(kept[0])
            spooled.discard()

        real = time_ns
        setattr(writer_module, "time_ns", clock.__next__)  # noqa: B010  (an import of that module, not its own name)
        try:
            mine = _seconds(ours)
        finally:
            setattr(writer_module, "time_ns", real)  # noqa: B010
        table = decode(kept[0])

        def bare() -> None:
            pack, write = struct.Struct("<qqd").pack, os.write
            fd = os.open(Path(folder) / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for place in range(points):
                write(fd, pack(place // NAMES, 0, values[place]))
            os.close(fd)
            pq.write_table(table, Path(folder) / "bare.parquet")

        theirs = _seconds(bare)
    assert table.num_rows == points
    what = f"{points:,} points one by one to Parquet"
    return [
        Figure(f"{what}: time", mine / theirs, 3.0),
        Figure(f"{what}: bytes a point", len(kept[0]) / points, 12.0, " B"),
    ]


def _times(count: int, chance: random.Random) -> list[int]:
    now, found = 1_700_000_000_000_000_000, []
    for _ in range(count):
        now += int(chance.expovariate(1) * 50_000_000)
        found.append(now)
    return found


def bulk(points: int = BULK, rounds: int = 3) -> list[Figure]:
    """`log_columns` of one long column: journal and Parquet. Both sides take turns; the best of each counts."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from runfolio.journal.spooled_run import SpooledRun

    generator = np.random.default_rng(7)
    losses, steps = generator.normal(size=points), np.arange(points)
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            writer, lock = _journal(Path(folder) / "spool")
            writer.log_columns({"loss": losses}, step=steps)
            spooled = SpooledRun.live(writer, lock)
            (Path(folder) / "ours.parquet").write_bytes(spooled.encode(0, spooled.cut(), {"runfolio.format": "1"}))
            spooled.discard()

        table = pa.table({"step": steps, "loss": losses})
        times = [
            (_seconds(lambda: pq.write_table(table, Path(folder) / "theirs.parquet")), _seconds(ours))
            for _ in range(rounds)
        ]
        theirs, mine = (min(one[side] for one in times) for side in (0, 1))
        assert pq.read_metadata(Path(folder) / "ours.parquet").num_rows == points
    return [Figure(f"log_columns of {points:,} points: time", mine / theirs, 2.0)]


def footer(points: int = POINTS) -> list[Figure]:
    """One curve of a stored file: requests beyond the listing."""
    from runfolio.journal.spooled_run import SpooledRun
    from runfolio.rows.ranged import curve

    with tempfile.TemporaryDirectory() as folder:
        writer, lock = _journal(Path(folder) / "spool")
        names = [f"metric/{place}" for place in range(NAMES)]
        for place in range(points):
            writer.log(names[place % NAMES], place / 7, step=place // NAMES)
        spooled = SpooledRun.live(writer, lock)
        data = io.BytesIO(spooled.encode(0, spooled.cut(), {})).getbuffer()
        spooled.discard()
    requests: list[int] = []

    def get(start: int, end: int) -> bytes:
        requests.append(end - start)
        return bytes(data[start:end])

    assert curve(get, len(data), names[3]).num_rows == points // NAMES
    return [
        Figure("one curve: requests beyond the listing", len(requests), 2, ""),
        Figure("one curve: bytes read, as a share of the file", sum(requests) / len(data), 0.5, ""),
    ]


def figures(*, quick: bool = False) -> list[Figure]:
    """All rows of this subject."""
    share = 10 if quick else 1
    return [*one_by_one(POINTS // share), *bulk(BULK // share), *footer(POINTS // 2)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the points")
    sys.exit(show(figures(quick=parser.parse_args().quick)))
