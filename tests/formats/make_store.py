"""Writes the store that later versions must be able to read: ``python tests/formats/make_store.py 1``.

Run once for each released format, with the release that wrote it; the result is checked in and never made again.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from pathlib import Path

import runfolio as rf
from runfolio.plugins import Plugins

HERE = Path(__file__).parent


def fill(history: rf.History) -> None:
    """Make one run of each sort: ended, failed, edited, archived, deleted, resumed, with several writers."""
    params = {"lr": 0.1, "n": 7, "o": {"x": True, "y": None}}
    with history.start_run(project="2024", name="everything", tags=["a", "b"], note="n", params=params) as run:
        for step in range(50):
            run.log("loss", 1 / (step + 1), step=step)
        run.log("list", [1, 2.5, "three"])
        run.log("empty", [])
        run.log("text", "0.5")
        run.log("big", 2**70)
        run.log("flag", value=True)
        run.log("odd", float("nan"))
        run.log("odd", float("inf"))
        run.define_metric("loss", goal="min")
        run.summary["best"] = 7
        run.tags.discard("a")
        run.log_text("notes", "hello")
        run.log_table("frame", {"a": [1, 2, 3]})
        with history.attach(run.id, writer="rank1") as other:
            other.log("rank", 1)
    failed = history.start_run(project="a #1 ü")
    failed.log("loss", 1.0)
    failed.finish("Failed", reason="ValueError: boom", traceback="boom", exit_code=1)
    with history.resume_run(failed.id) as again:
        again.log("loss", 0.5)
    with history.start_run(project="2024", name="archived") as archived:
        pass
    history.run(archived.id).archive()
    history.repair()
    with history.start_run(project="2024", name="deleted") as deleted:
        deleted.log("loss", 1.0)
    history.run(deleted.id).delete()
    history.run(run.id).edit(description="described after the checkpoint")


def main(version: str) -> None:
    """Write the store and what is to be read of it."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        plugins = Plugins(enabled=["builtin_backends"])
        with rf.open_history(store, plugins=plugins) as history:
            fill(history)
            expected = seen(history)
        with tarfile.open(HERE / "stores" / f"{version}.tar.gz", "w:gz") as archive:
            archive.add(store, arcname=".")
    text = json.dumps(expected, indent=1, sort_keys=True, default=repr)
    (HERE / "stores" / f"{version}.json").write_text(f"{text}\n", encoding="utf-8")


def seen(history: rf.History) -> dict[str, object]:
    """What a reader sees of a store, in a form that can be kept and compared."""
    found: dict[str, object] = {}
    for run in history.runs("*", archived=None):
        found[run.id] = {
            "flat": {name: repr(value) for name, value in run.to_dict().items()},
            "folder": {name: repr(value) for name, value in history.run(run.id).to_dict().items()},
            "values": {name: repr(run.metric(name).values()) for name in run.record.metrics},
            "files": {one.path: one.sha256 for one in run.artifacts},
        }
    return found


if __name__ == "__main__":
    main(sys.argv[1])
