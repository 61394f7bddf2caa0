"""Runfolio with its defaults, in a local folder; system metrics are off, as for the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE = "runfolio"
SETTINGS = "local folder, defaults"


def _own_state(folder: Path) -> None:
    """Keep the journal in the measured folder, so that its bytes count and recovery finds it."""
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")


def start(folder: Path) -> tuple[Callable[[float, int], object], Callable[[], object]]:
    """Return what logs one point of a fresh run, and what finishes the run."""
    _own_state(folder)
    import runfolio as rf

    history = rf.open_history(str(folder / "store"))
    run = history.start_run(project="comparison", system_metrics=False)

    def finish() -> None:
        run.finish()
        history.close()

    log = run.log
    return lambda value, step: log("loss", value, step=step), finish


def count(folder: Path) -> int:
    """Return the points that a new process reads, after what any user would do: ``runfolio sync``."""
    _own_state(folder)
    import runfolio as rf

    with rf.open_history(str(folder / "store")) as history:
        history.sync()
        return sum(run.metric("loss").to_arrow().num_rows for run in history.runs("comparison"))


def create_runs(folder: Path, runs: int, describe: Callable[[int], tuple[dict[str, Any], dict[str, float]]]) -> None:
    """Create runs one after the other, each with params and metrics."""
    _own_state(folder)
    import runfolio as rf

    with rf.open_history(str(folder / "store")) as history:
        for number in range(runs):
            params, metrics = describe(number)
            with history.start_run(project="comparison", params=params, system_metrics=False) as run:
                run.log(metrics)


def open_runs(folder: Path) -> tuple[Callable[[], int], Callable[[], int]]:
    """Return what lists all runs as a data frame, and what filters and sorts them; each returns the number of rows."""
    _own_state(folder)
    import runfolio as rf

    history = rf.open_history(str(folder / "store"), read_only=True)

    def filtered() -> int:
        return len(
            history.runs(
                "comparison", where="accuracy > 0.5 and params.model = 'b'", order_by="-accuracy", limit=100
            ).to_pandas()
        )

    return lambda: len(history.runs("comparison", limit=None).to_pandas()), filtered
