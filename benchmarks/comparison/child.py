"""One measurement in the environment of one tracker: ``python child.py MODE TRACKER FOLDER COUNT``. Prints JSON.

Imports nothing but the standard library before the tracker, so that it runs in every environment.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def bare_writes(folder: Path, points: int) -> float:
    """Seconds for one `os.write` of a packed 24-byte record for each point, which no tracker can beat."""
    pack = struct.Struct("<qdq").pack
    handle = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    write = os.write
    begin = time.perf_counter()
    for step in range(points):
        write(handle, pack(step, 1.0 / (step + 1), step))
    seconds = time.perf_counter() - begin
    os.close(handle)
    (folder / "bare").unlink()
    return seconds


def bytes_below(folder: Path) -> int:
    """Sizes of all files together."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def loop(tracker: Any, folder: Path, points: int) -> dict[str, float]:
    """Log points one by one, finish, and read them back in this process's folder."""
    bare = sorted(bare_writes(folder, points) for _ in range(5))[2]
    begin = time.perf_counter()
    log, finish = tracker.start(folder)
    started = time.perf_counter()
    for step in range(points):
        log(1.0 / (step + 1), step)
    logged = time.perf_counter()
    finish()
    return {
        "bare": bare,
        "start": started - begin,
        "log": logged - started,
        "finish": time.perf_counter() - logged,
        "bytes": bytes_below(folder),
    }


def kill(tracker: Any, folder: Path, points: int) -> dict[str, float]:
    """Log points and die right after the last call, as the kernel kills: nothing of Python runs any more."""
    log, _ = tracker.start(folder)
    for step in range(points):
        log(1.0 / (step + 1), step)
    os.kill(os.getpid(), signal.Signals["SIGKILL"])
    raise AssertionError("still alive")


def count(tracker: Any, folder: Path, points: int) -> dict[str, float]:
    """Read what is there. Helper processes of a tracker may still be writing: wait until the files rest."""
    del points
    for _ in range(60):
        before = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        time.sleep(1)
        if before == {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}:
            break
    return {"points": tracker.count(folder)}


def describe(number: int) -> tuple[dict[str, Any], dict[str, float]]:
    """Params and metrics of a made-up run: the same for each tracker."""
    chance = random.Random(number)
    params = {
        "lr": 10 ** chance.uniform(-5, -1),
        "layers": chance.randint(1, 12),
        "model": chance.choice("abc"),
        "seed": number,
        "dropout": round(chance.random(), 2),
    }
    metrics = {name: chance.random() for name in ("accuracy", "loss", "f1", "precision", "recall")}
    return params, metrics


def create(tracker: Any, folder: Path, runs: int) -> dict[str, float]:
    """Create runs."""
    begin = time.perf_counter()
    tracker.create_runs(folder, runs, describe)
    return {"create": time.perf_counter() - begin, "bytes": bytes_below(folder)}


def view(tracker: Any, folder: Path, runs: int) -> dict[str, float]:
    """List and filter the runs, first in a process that knows nothing of them, then again. Checks the answers."""
    begin = time.perf_counter()
    listed, filtered = tracker.open_runs(folder)
    answers = [describe(number) for number in range(runs)]
    expected = min(100, sum(params["model"] == "b" and metrics["accuracy"] > 0.5 for params, metrics in answers))
    opened = time.perf_counter()
    found = {"open": opened - begin}
    checks: tuple[tuple[str, Callable[[], int], int], ...] = (("list", listed, runs), ("filter", filtered, expected))
    for name, ask, right in checks:
        for turn in ("first", "again"):
            begin = time.perf_counter()
            answer = ask()
            found[f"{name}_{turn}"] = time.perf_counter() - begin
            if answer != right:
                raise AssertionError(f"{name} gave {answer} runs, not {right}")
    return found


def main() -> None:
    """Measure what the arguments say."""
    mode, name, folder, number = sys.argv[1:5]
    tracker: Any = importlib.import_module(f"trackers.{name}")
    modes = {"loop": loop, "kill": kill, "count": count, "create": create, "view": view}
    result = modes[mode](tracker, Path(folder), int(number))
    # The last line of stdout, whatever a tracker has printed before.
    print("\n" + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
