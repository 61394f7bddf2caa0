"""100,000 runs with 20 metrics each, through the public API, without and with 30 ms to each request.

Listing, filtering and sorting against a bare ``pq.read_table`` of the checkpoint in the same run; and the rows of some
thousand runs before and after compaction against ``pq.read_table`` of the compacted files. Requests are counted.

Run it alone: ``python benchmarks/many_runs.py``; ``--runs`` and ``--folders`` make it smaller.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from index_scale import METRICS, Lines, documents, rows_of

import runfolio as rf
from runfolio import layout
from runfolio.compact.compacting import compact
from runfolio.compact.manifest import newest_manifest
from runfolio.index.checkpoint import Checkpoint, dump
from runfolio.index.folding import own_columns
from runfolio.plugins import Plugins
from runfolio.rows import raw
from runfolio.rows.parquet import encode as encode_rows
from runfolio.rows.schema import Owner
from runfolio.store.documents import encode
from runfolio.store.opening import open_store
from runfolio.testing import CountingBackend, LatencyBackend
from runfolio_backends.memory import MemoryBackend

DELAYS = (0.0, 0.03)


def connected(inner: MemoryBackend, seconds: float) -> tuple[rf.History, CountingBackend]:
    """A history on a connection of its own, so many seconds away."""
    history = rf.open_history(inner.url, project="iris", plugins=Plugins(disabled=["system_metrics"]))
    counting = CountingBackend(LatencyBackend(inner, seconds) if seconds else inner)
    history._connection._raw = counting
    history.check_exists()
    counting.reset()
    return history, counting


def timed(act: Callable[[], Any]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def lists(lines: Lines, runs: int) -> None:
    """List, filter and sort, each on a fresh connection."""
    table = rows_of(0, runs, random.Random(1))
    data = dump(Checkpoint(1, "aa", frozenset(), None, None, own_columns(table)))
    inner = MemoryBackend("memory://many-runs-lists")
    open_store(inner, create=True)
    inner.put(layout.checkpoint(1), data)
    acts: dict[str, dict[str, Any]] = {
        "list": {},
        "filter": {"where": "`metric/03` > .5 and params.lr < .5"},
        "sort": {"order_by": "-`metric/07`"},
        "filter, sort, first 100": {"where": "`metric/03` > .5", "order_by": "`metric/07`", "limit": 100},
    }
    bare: list[float] = []
    for seconds in DELAYS:
        for what, query in acts.items():
            taken, spent = [], 0
            for _ in range(5):
                bare.append(timed(lambda: pq.read_table(pa.BufferReader(data))))
                history, counting = connected(inner, seconds)
                taken.append(timed(lambda history=history, query=query: len(history.runs(**query))))  # type: ignore[misc]  # bound in this turn
                spent = len(counting)
            name = f"{what} of {runs:,} runs, {seconds * 1000:.0f} ms a request"
            # Three listings one after the other, and the checkpoint; 0 ms is the budget, the rest is waiting.
            budget = 2.0 if what == "list" and not seconds else None
            lines.show(f"{name}: requests", spent, 4)
            lines.show(f"{name} / pq.read_table of the checkpoint", min(taken) / min(bare), budget, "x")
    lines.show("  of which pq.read_table", min(bare) * 1000, None, " ms")


def folders(runs: int) -> MemoryBackend:
    """A store of ended runs, each with a file of `METRICS` rows in its folder, and a folded index."""
    inner = MemoryBackend("memory://many-runs-folders")
    open_store(inner, create=True)
    dice, values = random.Random(7), random.Random(8)
    names = [f"metric/{place:02d}" for place in range(METRICS)]
    for number in range(runs):
        run_id, start, end = documents(number, dice)
        main = start["main"]
        batch = raw.batch(
            {
                "name": pa.array(range(METRICS), pa.int32()),
                "step": raw.constant(0, METRICS, pa.int64()),
                "time": pa.array([1_700_000_000_000_000 + number * 7] * METRICS, raw.TIME),
                "kind": raw.constant(0, METRICS, pa.int8()),
                "value": pa.array([values.random() for _ in range(METRICS)], pa.float64()),
            }
        )
        rows = encode_rows(raw.Rows([batch], names), Owner("iris", run_id, main), {"runfolio.format": "1"})
        inner.put(layout.start(run_id), encode(start))
        inner.put(layout.end(run_id, main), encode(end))
        inner.put(layout.segment(layout.metrics(run_id), layout.Segment(main, 0, METRICS)), rows)
    table = rows_of(0, runs, random.Random(7))
    inner.put(layout.checkpoint(1), dump(Checkpoint(1, "aa", frozenset(), None, None, own_columns(table))))
    return inner


def curves(lines: Lines, runs: int) -> None:
    """The rows of many runs, from their folders and from copies."""
    inner = folders(runs)
    before = reads(lines, inner, runs, "from their folders")
    history, counting = connected(inner, 0.0)
    seconds = timed(lambda: compact(history._connection.index))
    lines.show(f"compaction of {runs:,} runs: requests", len(counting), None)
    lines.show("  seconds", seconds, None, " s")
    lines.show("  seconds when nothing is new", timed(lambda: compact(history._connection.index)), None, " s")
    parts = newest_manifest(inner).parts
    lines.show(
        "  bytes a row in compacted files", sum(one.size for one in parts) / sum(one.rows for one in parts), None
    )
    after = reads(lines, inner, runs, "from copies")
    for seconds in DELAYS:
        lines.show(f"copies / folders, {seconds * 1000:.0f} ms a request", after[seconds] / before[seconds], 1.0, "x")
    bare = min(timed(lambda: [pq.read_table(pa.BufferReader(inner.get(one.key))) for one in parts]) for _ in range(3))
    lines.show("copies / pq.read_table of the compacted files", after[0.0] / bare, None, "x")


def reads(lines: Lines, inner: MemoryBackend, runs: int, where: str) -> dict[float, float]:
    """Read one metric of all runs and return the seconds it took by delay."""
    found = {}
    for seconds in DELAYS:
        history, counting = connected(inner, seconds)
        chosen = history.runs()
        assert len(chosen) == runs
        counting.reset()
        began = time.perf_counter()
        table = history.metrics(chosen, ["metric/03"])
        found[seconds] = time.perf_counter() - began
        assert table.num_rows == runs
        name = f"one metric of {runs:,} runs {where}, {seconds * 1000:.0f} ms a request"
        lines.show(f"{name}: requests", len(counting), None)
        lines.show("  seconds", found[seconds], None, " s")
    return found


def main() -> int:
    """Measure everything; the exit code says whether all budgets hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--folders", type=int, default=5000)
    chosen = parser.parse_args()
    lines = Lines()
    curves(lines, chosen.folders)
    lists(lines, chosen.runs)
    print("all budgets hold" if not lines.missed else f"{lines.missed} budgets missed")
    return 1 if lines.missed else 0


if __name__ == "__main__":
    sys.exit(main())
