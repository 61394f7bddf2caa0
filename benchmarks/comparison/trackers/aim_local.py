"""Aim in a local repository, without system tracking and terminal capture."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE = "aim"
SETTINGS = "local repository, no system tracking, no terminal capture"


def start(folder: Path) -> tuple[Callable[[float, int], object], Callable[[], object]]:
    """Return what logs one point of a fresh run, and what finishes the run."""
    os.environ["AIM_TELEMETRY_OPT_OUT"] = "1"
    aim: Any = importlib.import_module("aim")
    run = aim.Run(repo=str(folder), system_tracking_interval=None, capture_terminal_logs=False, log_system_params=False)
    track = run.track
    return lambda value, step: track(value, name="loss", step=step), run.close


def count(folder: Path) -> int:
    """Return the points that a new process reads, after indexing the runs, which Aim's server does when it starts."""
    os.environ["AIM_TELEMETRY_OPT_OUT"] = "1"
    aim: Any = importlib.import_module("aim")
    indexing: Any = importlib.import_module("aim.sdk.index_manager")
    repo = aim.Repo(str(folder))
    index = indexing.RepoIndexManager.get_index_manager(repo)
    names = list(repo.list_all_runs())
    for name in names:
        index.index(name)
    fresh = aim.Repo(str(folder))
    runs = [fresh.get_run(name) for name in names]
    return sum(
        len(metric.values.sparse_list()[0])
        for run in runs
        if run is not None
        for metric in run.metrics()
        if metric.name == "loss"
    )
