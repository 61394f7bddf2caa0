"""The index at 100,000 runs with 20 metrics each: bytes, requests, and the time of a list against a bare read.

Run it alone: ``python benchmarks/index_scale.py``; ``--runs`` makes it smaller. Each line shows what was measured, the
budget, and whether it holds.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from runfolio import layout
from runfolio.ids import ALPHABET, parse_run_id
from runfolio.index.checkpoint import Base, Checkpoint, dump
from runfolio.index.encoding import decode, encode
from runfolio.index.folding import DELTA_SHARE, fold, own_columns
from runfolio.index.layers import ID, overlay, positions, with_ids
from runfolio.index.row import Row, apply
from runfolio.index.view import LONGEST, SHORTEST, Index
from runfolio.store.documents import encode as encode_document
from runfolio.store.documents import entry_document
from runfolio.testing import CountingBackend
from runfolio_backends.local import LocalBackend
from runfolio_backends.memory import MemoryBackend

METRICS = 20
AT_ONCE = 64
EPOCH = 1_700_000_000_000


def documents(number: int, dice: random.Random, *, series: bool = False) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Start and end of one run, with random values in all metrics."""
    run_id = f"iris_{EPOCH + number * 7919:013d}-{''.join(dice.choice(ALPHABET) for _ in range(5))}"
    main, uid = f"main.{dice.getrandbits(64):016x}", f"{dice.getrandbits(128):032x}"
    began = _time(number * 7.919 + dice.random())
    start = {
        "format": 1, "wid": uid, "uid": uid, "kind": "start", "run": run_id, "number": number + 1, "project": "iris",
        "experiment": "train.py", "script": "train.py", "argv": ["--lr", repr(dice.random())], "name": None,
        "note": None, "tags": [], "target": "local", "user_id": "ada", "main": main, "parent": None, "created": began,
        "started": began, "host": dice.choice(["box", "gpu1", "gpu2"]), "snapshot": None, "mode": "online",
        "properties": {"git_commit": f"{number // 50:040x}", "python": "3.11"},
        "params": {"lr": dice.random(), "layers": dice.randint(1, 8)},
    }  # fmt: skip
    end = {
        "format": 1, "wid": f"{uid}:{main}:0-20", "kind": "end", "run": run_id, "project": "iris", "writer": main,
        "main": True, "attempt": 1, "status": "Completed", "reason": None, "traceback": None, "exit_code": 0,
        "ended": _time(number * 7.919 + 60 * dice.random()), "rows": METRICS, "params": {}, "summary": {},
        "metrics": {f"metric/{place:02d}": _summary(dice, series=series) for place in range(METRICS)},
        "definitions": {}, "properties": {}, "files": 3, "bytes": dice.randint(1, 10**6), "failed_uploads": [],
        "attachments": ["outputs/cm.png", "outputs/model.pkl", "outputs/roc.png"], "left_behind": [],
    }  # fmt: skip
    return run_id, start, end


def _time(seconds: float) -> str:
    return (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(EPOCH / 1000 + seconds)) + f".{int(seconds % 1 * 1e6):06d}+00:00"
    )


def _summary(dice: random.Random, *, series: bool) -> dict[str, Any]:
    if not series:
        return {"kind": "float", "count": 1, "last": dice.random(), "last_step": 0}
    low, last, high = sorted(dice.random() for _ in range(3))
    steps = [dice.randrange(1000) for _ in range(2)]
    return {
        "kind": "float", "count": 1000, "last": last, "last_step": 999, "min": low, "max": high, "min_step": steps[0],
        "max_step": steps[1],
    }  # fmt: skip


def rows_of(first: int, count: int, dice: random.Random, *, series: bool = False) -> pa.Table:
    """Ended runs as the table of a checkpoint."""
    tables = []
    for begin in range(first, first + count, 5000):
        made = [documents(number, dice, series=series) for number in range(begin, min(begin + 5000, first + count))]
        rows = [(run_id, apply(apply(Row(changed=1), "start", start), "end", end)) for run_id, start, end in made]
        tables.append(with_ids(encode(rows)))
    return overlay(tables)


class Lines:
    """Prints results and remembers whether one is over its budget."""

    def __init__(self) -> None:
        self.missed = 0

    def show(self, what: str, measured: float, budget: float | None, unit: str = "") -> None:
        """Print one line."""
        good = budget is None or measured <= budget
        self.missed += not good
        limit = "" if budget is None else f"  budget {budget:,.6g}{unit}  {'ok' if good else 'MISSED'}"
        print(f"{what:<72} {measured:>12,.6g}{unit}{limit}", flush=True)


def side_by_side(bare: Callable[[], object], ours: Callable[[], object], times: int = 9) -> tuple[float, float]:
    """Shortest times of two calls, made in turn, so that a busy machine disturbs both alike."""
    taken: list[list[float]] = [[], []]
    for _ in range(times):
        for place, call in enumerate((bare, ours)):
            began = time.perf_counter()
            call()
            taken[place].append(time.perf_counter() - began)
    return min(taken[0]), min(taken[1])


def listing(lines: Lines, table: pa.Table, extra: pa.Table) -> None:
    """Time and requests of a list, cold, of a full checkpoint and of one with a delta and a tail."""
    full = Checkpoint(1, "aa", frozenset(), None, None, own_columns(table))
    newest = overlay([table.slice(0, len(extra)), extra])
    everywhere = table.take(pa.array(range(0, len(table), 10)))
    with tempfile.TemporaryDirectory() as folder:
        path, second = (Path(folder) / layout.checkpoint(number) for number in (1, 2))
        backend = LocalBackend(folder)
        backend.create(layout.checkpoint(1), dump(full))
        bare, ours = side_by_side(lambda: pq.read_table(path), lambda: Index(backend).refresh().table)
        lines.show(f"list {len(table):,} runs into Arrow / pq.read_table of the checkpoint", ours / bare, 2.0, "x")
        lines.show("  of which pq.read_table", bare * 1000, None, " ms")
        for what, rows in (("newest", newest), ("scattered", everywhere)):
            delta = Checkpoint(2, "bb", frozenset(), Base(1, "aa"), None, own_columns(rows))
            backend.put(layout.checkpoint(2), dump(delta))
            bare, ours = side_by_side(
                lambda: (pq.read_table(path), pq.read_table(second)), lambda: Index(backend).refresh().table
            )
            lines.show(
                f"the same with a delta of {len(rows):,} {what} rows / read_table of both", ours / bare, 2.0, "x"
            )
    requests(lines, full, delta)


def requests(lines: Lines, full: Checkpoint, delta: Checkpoint) -> None:
    """Requests of a list, nothing cached and with the base cached."""
    inner = MemoryBackend("memory://index-scale-requests")
    counting = CountingBackend(inner)
    inner.put(layout.checkpoint(1), dump(full))
    index = Index(counting)
    index.refresh()
    lines.show("requests of a list, full checkpoint, nothing cached", len(counting), 4)
    inner.put(layout.checkpoint(2), dump(delta))
    counting.reset()
    index.refresh()
    lines.show("requests of a list, delta, base cached", len(counting), 4)
    counting.reset()
    Index(counting).refresh()
    lines.show("requests of a list, delta, nothing cached", len(counting), 5)
    dice = random.Random(5)
    for number in range(750):
        _announce(inner, *documents(10**6 + number, dice))
    counting.reset()
    view = Index(counting).refresh()
    assert view.unfolded == 1500
    spent = [one for one in counting.requests if one.operation == "list" or one.key.startswith(layout.INDEX)]
    lines.show("LIST and index requests with 1,500 unfolded entries", len(spent), 8)


def _announce(backend: MemoryBackend, run_id: str, start: dict[str, Any], end: dict[str, Any] | None = None) -> None:
    for document in (start, end):
        if document is not None:
            moment = parse_run_id(run_id).milliseconds * 1000 + (document is end)
            name = layout.EntryName(moment, run_id, document["kind"], start["main"])
            backend.put(layout.entry(name), encode_document(entry_document(document)))


def written(lines: Lines, runs: int, table: pa.Table) -> None:
    """Index bytes written per run, from the sizes of real checkpoints and the rules by which folds happen.

    Runs start and end, `AT_ONCE` at a time, each in a process of its own, so each draws its own threshold and looks at
    the log once, when it ends. `plain` counts all entries in the log, as when the store keeps no times; otherwise those
    since the last fold.
    """
    names = frozenset(f"1700000000000000-iris_1700000000000-abcde-start-main.{place:016x}" for place in range(300))
    sizes = {}
    for count in sorted({0, 100, len(table) // 10, len(table)}):
        rows = own_columns(table.slice(0, count)) if count else own_columns(table.slice(0, 0))
        sizes[count] = len(dump(Checkpoint(1, "aa", names, None, None, rows)))
    per_row = (sizes[max(sizes)] - sizes[0]) / max(sizes)
    lines.show("bytes of a checkpoint without rows, with 300 held entries", sizes[0], None)
    for plain in (False, True):
        folds, total = _simulate(runs, sizes[0], per_row, plain=plain)
        rule = "by the length of the log alone" if plain else "by entries since the last fold"
        lines.show(f"index bytes written per run over {runs:,} runs, {rule}", total / runs / 1024, 64.0, " KiB")
        lines.show("  folds", folds, None)


def _simulate(runs: int, fixed: float, per_row: float, *, plain: bool) -> tuple[int, float]:
    dice = random.Random(3)
    held, fresh, base, folds = 0, 0, 0, 0
    delta: set[int] = set()
    touched: set[int] = set()
    total = 0.0
    for number in range(runs + AT_ONCE):
        if number < runs:
            fresh += 1
            touched.add(number)
        if number < AT_ONCE:
            continue
        fresh += 1
        touched.add(number - AT_ONCE)
        threshold = dice.randint(SHORTEST, LONGEST)
        if (held + fresh if plain else fresh) < threshold:
            continue
        folds += 1
        delta |= touched
        if len(delta) * DELTA_SHARE < base:
            total += fixed + per_row * len(delta)
        else:
            base = min(number + 1, runs)
            delta = set()
            total += fixed + per_row * base
        held, fresh, touched = fresh, 0, set()
    return folds, total


def real_folds(lines: Lines, runs: int) -> None:
    """The same, by folding for real, on few runs: the rule above is checked by it. Also, how long the log gets."""
    now = [EPOCH / 1000]
    inner = MemoryBackend("memory://index-scale-folds", clock=lambda: now[0])
    counting = CountingBackend(inner)
    dice = random.Random(3)
    open_runs: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    index, longest, folds, total = Index(counting), 0, 0, 0
    for number in range(runs + AT_ONCE):
        now[0] += 5.0
        if number < runs:
            run = documents(number, dice)
            open_runs.append(run)
            _announce(inner, run[0], run[1])
        if number >= AT_ONCE:
            run_id, start, end = open_runs[number - AT_ONCE]
            name = layout.EntryName(int(now[0] * 1e6), run_id, "end", start["main"])
            inner.put(layout.entry(name), encode_document(entry_document(end)))
            report = fold(index, threshold=dice.randint(SHORTEST, LONGEST))
            folds += report.outcome == "folded"
            total += report.size
            longest = max(longest, sum(1 for _ in inner.list(layout.LOG)))
    view = Index(inner).refresh()
    assert len(view) == runs
    assert set(view.table.column("status").to_pylist()) == {"Completed"}
    lines.show(f"KiB written per run by {folds} real folds of {runs:,} runs", total / runs / 1024, 64.0, " KiB")
    lines.show("longest log (folded entries wait in it for the next fold)", longest, 2.5 * LONGEST)


def main() -> int:
    """Measure everything; the exit code says whether all budgets hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    runs = parser.parse_args().runs
    lines = Lines()
    began = time.perf_counter()
    table = rows_of(0, runs, random.Random(1))
    lines.show(f"seconds to make the rows of {runs:,} runs from documents", time.perf_counter() - began, None, " s")
    assert table.column("rest").null_count == runs, "an ordinary run needs no patch"
    some = table.slice(runs // 2, 100)
    again = encode(zip(some.column(ID).to_pylist(), decode(some), strict=True))
    assert decode(again) == decode(some)
    assert positions(table, [some.column(ID)[0].as_py()]) == {some.column(ID)[0].as_py(): runs // 2}
    whole = dump(Checkpoint(1, "aa", frozenset(), None, None, own_columns(table)))
    lines.show("bytes a run of a checkpoint, 20 metrics of one random value", len(whole) / runs, 400)
    series = rows_of(0, max(runs // 20, 1), random.Random(2), series=True)
    size = len(dump(Checkpoint(1, "aa", frozenset(), None, None, own_columns(series)))) / len(series)
    lines.show("  20 series: random last, min, max and their steps (60 random numbers)", size, None)
    listing(lines, table, rows_of(runs, max(runs // 20, 1), random.Random(4)))
    written(lines, runs, table)
    real_folds(lines, min(runs, 2000))
    print("all budgets hold" if not lines.missed else f"{lines.missed} budgets missed")
    return 1 if lines.missed else 0


if __name__ == "__main__":
    sys.exit(main())
