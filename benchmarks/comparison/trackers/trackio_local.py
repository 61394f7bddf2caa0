"""trackio in a local folder."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE = "trackio"
SETTINGS = "local SQLite, defaults, no GPU logging"


def start(folder: Path) -> tuple[Callable[[float, int], object], Callable[[], object]]:
    """Return what logs one point of a fresh run, and what finishes the run."""
    os.environ["TRACKIO_DIR"] = str(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"
    trackio: Any = importlib.import_module("trackio")
    with contextlib.redirect_stdout(io.StringIO()):
        trackio.init(project="comparison", name="run", auto_log_gpu=False)
    log = trackio.log

    def finish() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            trackio.finish()

    return lambda value, step: log({"loss": value}, step=step), finish


def count(folder: Path) -> int:
    """Return the points in its database."""
    found = 0
    for file in folder.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(file)) as database:
            found += sum("loss" in json.loads(row[0]) for row in database.execute("SELECT metrics FROM metrics"))
    return found
