"""MLflow with SQLite, as its documentation recommends for local use. `log_metric` is synchronous by default."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE = "mlflow"
SETTINGS = "SQLite, synchronous log_metric (default)"


def _open(folder: Path) -> Any:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"] = "false"
    mlflow: Any = importlib.import_module("mlflow")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    if mlflow.get_experiment_by_name("comparison") is None:
        mlflow.create_experiment("comparison", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("comparison")
    return mlflow


def start(folder: Path, *, synchronous: bool = True) -> tuple[Callable[[float, int], object], Callable[[], object]]:
    """Return what logs one point of a fresh run, and what finishes the run."""
    mlflow = _open(folder)
    mlflow.start_run()

    def finish() -> None:
        if not synchronous:
            mlflow.flush_async_logging()
        mlflow.end_run()

    log = mlflow.log_metric
    if synchronous:
        return lambda value, step: log("loss", value, step=step), finish
    return lambda value, step: log("loss", value, step=step, synchronous=False), finish


def count(folder: Path) -> int:
    """Return the points that a new process reads."""
    mlflow = _open(folder)
    client = mlflow.MlflowClient()
    runs = mlflow.search_runs(experiment_names=["comparison"], output_format="list")
    return sum(len(client.get_metric_history(run.info.run_id, "loss")) for run in runs)


def create_runs(folder: Path, runs: int, describe: Callable[[int], tuple[dict[str, Any], dict[str, float]]]) -> None:
    """Create runs one after the other, each with params and metrics, in the fewest calls there are."""
    mlflow = _open(folder)
    for number in range(runs):
        params, metrics = describe(number)
        with mlflow.start_run():
            mlflow.log_params(params)
            mlflow.log_metrics(metrics)


def open_runs(folder: Path) -> tuple[Callable[[], int], Callable[[], int]]:
    """Return what lists all runs as a data frame, and what filters and sorts them; each returns the number of rows."""
    mlflow = _open(folder)

    def filtered() -> int:
        return len(
            mlflow.search_runs(
                experiment_names=["comparison"],
                filter_string="metrics.accuracy > 0.5 and params.model = 'b'",
                order_by=["metrics.accuracy DESC"],
                max_results=100,
            )
        )

    return lambda: len(mlflow.search_runs(experiment_names=["comparison"])), filtered
