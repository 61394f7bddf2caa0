"""MLflow with SQLite and its asynchronous logging, which trades safety for speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trackers import mlflow_sqlite

PACKAGE = "mlflow"
SETTINGS = "SQLite, log_metric(synchronous=False)"
count = mlflow_sqlite.count


def start(folder: Path) -> tuple[Callable[[float, int], object], Callable[[], object]]:
    """Return what logs one point of a fresh run, and what finishes the run."""
    return mlflow_sqlite.start(folder, synchronous=False)
