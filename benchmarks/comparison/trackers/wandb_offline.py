"""Weights & Biases in offline mode, without system statistics and console capture."""

from __future__ import annotations

import importlib
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PACKAGE = "wandb"
SETTINGS = "offline, no system statistics, no console capture"
_HEADER = 7
_BLOCK = 32768
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def start(folder: Path) -> tuple[Callable[[float, int], object], Callable[[], object]]:
    """Return what logs one point of a fresh run, and what finishes the run."""
    for name in ("CONFIG", "CACHE", "DATA"):
        os.environ[f"WANDB_{name}_DIR"] = str(folder / name.lower())
    os.environ["WANDB_DIR"] = str(folder)
    os.environ["WANDB_ERROR_REPORTING"] = "false"
    wandb: Any = importlib.import_module("wandb")
    settings = wandb.Settings(x_disable_stats=True, console="off", silent=True)
    run = wandb.init(project="comparison", mode="offline", dir=str(folder), settings=settings)
    log = run.log
    return lambda value, step: log({"loss": value}, step=step), run.finish


def count(folder: Path) -> int:
    """Return the points in the offline files, as far as a reader of the format gets: W&B has no local query."""
    messages: Any = importlib.import_module("wandb.proto.wandb_internal_pb2")
    found = 0
    for file in folder.rglob("*.wandb"):
        for body in _records(file.read_bytes()):
            record = messages.Record()
            record.ParseFromString(body)
            if record.HasField("history"):
                found += any(item.key == "loss" or list(item.nested_key) == ["loss"] for item in record.history.item)
    return found


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a file in LevelDB's log format, up to the first torn one."""
    at, parts = _HEADER, b""
    while at + _HEADER <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _HEADER:
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        part = data[at + _HEADER : at + _HEADER + size]
        if kind not in (_FULL, _FIRST, _MIDDLE, _LAST) or len(part) < size:
            return
        at += _HEADER + size
        parts = part if kind in (_FULL, _FIRST) else parts + part
        if kind in (_FULL, _LAST):
            yield parts
