"""Compares Runfolio with other trackers on this machine, each in its own environment.

Everything is measured in one go, because only ratios of one machine at one time mean something. See README.md for what
is measured. ``python benchmarks/comparison/run.py``
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from environments import Environment, NotInstalledError, default_folder, prepare

HERE = Path(__file__).parent
TRACKERS = (
    "runfolio_local",
    "tensorboardx_files",
    "trackio_local",
    "wandb_offline",
    "aim_local",
    "mlflow_sqlite",
    "mlflow_async",
)
LISTED = ("runfolio_local", "mlflow_sqlite")
SECONDS = 1800


class FailedError(Exception):
    """A measurement failed. The text is the last line that the tracker printed."""


def measure(environment: Environment, mode: str, tracker: str, folder: Path, number: int) -> dict[str, float]:
    """Run one measurement in a process of its own and return its figures."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(environment.python), str(HERE / "child.py"), mode, tracker, str(folder), str(number)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RUNFOLIO_", "PYTHON"))}
    try:
        done = subprocess.run(
            command, cwd=folder, env=clean, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FailedError(f"not done after {SECONDS} s") from error
    expected = -signal.Signals["SIGKILL"] if mode == "kill" else 0
    if done.returncode != expected:
        raise FailedError((done.stderr.strip() or "no message").splitlines()[-1])
    if mode == "kill":
        return {}
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def logging_loop(environment: Environment, tracker: str, folder: Path, points: int, repeats: int) -> dict[str, float]:
    """Medians of the loop over some repeats, and what a kill leaves."""
    turns = [measure(environment, "loop", tracker, folder / f"loop{turn}", points) for turn in range(repeats)]
    read_back = measure(environment, "count", tracker, folder / "loop0", points)["points"]
    if read_back != points:
        raise FailedError(f"only {read_back:.0f} of {points} points can be read after a clean finish")
    found = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
    found["ratio"] = statistics.median(turn["log"] / turn["bare"] for turn in turns)
    measure(environment, "kill", tracker, folder / "kill", points)
    found["survived"] = measure(environment, "count", tracker, folder / "kill", points)["points"]
    return found


def many_runs(environment: Environment, tracker: str, folder: Path, runs: int) -> dict[str, float]:
    """Figures of creating, listing and filtering runs."""
    created = measure(environment, "create", tracker, folder / "runs", runs)
    return created | measure(environment, "view", tracker, folder / "runs", runs)


def table(title: str, header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    widths = [max(len(row[at]) for row in [header, *rows]) for at in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [header, *rows]
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join([f"\n{title}\n", *lines])


def report(results: dict[str, Any], points: int, runs: int) -> str:
    """The tables."""
    loop_rows, run_rows = [], []
    for tracker, one in results.items():
        name = f"{one['package']} {one.get('version', '')}".strip()
        if "loop" in one:
            found = one["loop"]
            loop_rows.append(
                [
                    name,
                    one["settings"],
                    f"{found['log']:.3f}",
                    f"{found['ratio']:.1f}",
                    f"{found['finish']:.3f}",
                    f"{found['bytes'] / 1024:,.0f}",
                    f"{found['survived']:,.0f}",
                ]
            )
        else:
            loop_rows.append([name, one.get("settings", ""), one["failed"], "", "", "", ""])
        if "runs" in one:
            found = one["runs"]
            run_rows.append(
                [
                    name,
                    f"{found['create']:.2f}",
                    f"{1000 * (found['open'] + found['list_first']):.0f}",
                    f"{1000 * found['list_again']:.0f}",
                    f"{1000 * found['filter_first']:.0f}",
                    f"{1000 * found['filter_again']:.0f}",
                    f"{found['bytes'] / 1024:,.0f}",
                ]
            )
        elif tracker in LISTED:
            run_rows.append([name, one.get("failed_runs", one.get("failed", "")), "", "", "", "", ""])
    header = ["tracker", "settings", "log, s", "ratio to os.write", "finish, s", "KiB", "survived SIGKILL"]
    listing = ["tracker", "create, s", "open + list, ms", "list again, ms", "filter, ms", "filter again, ms", "KiB"]
    return "\n".join(
        [
            table(f"{points:,} points, one call each", header, loop_rows),
            table(f"{runs:,} runs with 5 params and 5 metrics", listing, run_rows),
        ]
    )


def compare(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Measure each tracker; one that fails is reported as such."""
    results: dict[str, Any] = {}
    for tracker in options.only or TRACKERS:
        module: Any = importlib.import_module(f"trackers.{tracker}")
        one: dict[str, Any] = {"package": module.PACKAGE, "settings": module.SETTINGS}
        results[tracker] = one
        print(f"{tracker} …", file=sys.stderr, flush=True)
        try:
            environment = prepare(module.PACKAGE, options.environments)
        except NotInstalledError as error:
            one["failed"] = f"not installed: {error}"
            continue
        one["version"] = environment.version
        try:
            one["loop"] = logging_loop(environment, tracker, scratch / tracker, options.points, options.repeats)
        except FailedError as error:
            one["failed"] = f"failed: {error}"
        if tracker in LISTED:
            try:
                one["runs"] = many_runs(environment, tracker, scratch / tracker, options.runs)
            except FailedError as error:
                one["failed_runs"] = f"failed: {error}"
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3, help="of the logging loop; the median counts")
    parser.add_argument("--only", nargs="+", choices=TRACKERS, metavar="TRACKER", help=", ".join(TRACKERS))
    parser.add_argument("--environments", type=Path, default=default_folder(), help="where they are kept")
    parser.add_argument("--scratch", type=Path, help="folder on the disk to measure; by default the temporary one")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="runfolio-comparison-", dir=options.scratch) as scratch:
        results = compare(options, Path(scratch))
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} processors")
    print(report(results, options.points, options.runs))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
