"""What a type checker must say about code that uses Runfolio. Never run; a needless ignore fails strict mypy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, assert_type

import runfolio as rf

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import pyarrow as pa


def writing() -> None:
    with rf.start_run(project="p", experiment="e", tags=["a"], params={"lr": 1e-3}) as run:
        assert_type(run, rf.ActiveRun)
        assert_type(run.id, str)
        assert_type(run.log("loss", 0.5), rf.Pending)
        assert_type(run.log("loss", 0.5, step=3).wait(timeout=1), bool)
        run.log({"loss": 0.5, "name": "x", "flag": True, "list": [1, 2.5]}, step=1)
        run.log_columns({"loss": [0.1, 0.2]}, step=[1, 2])
        run.log_artifact(Path("model.pkl"), name="models/best.pkl")
        run.log_bytes("name", b"data")
        run.params["lr"] = 1e-3
        run.params.update(optimizer={"name": "adam"})
        run.summary["best"] = 7
        run.tags.add("sota")
        run.note = "seed 3"
        run.define_metric("loss", goal="min")
        assert_type(run.flush(timeout=60), bool)

        run.log()  # type: ignore[call-arg]  # a name is needed
        run.log(3, 0.5)  # type: ignore[arg-type]  # names are texts
        run.log("loss", 0.5, step="1")  # type: ignore[arg-type]  # steps are ints
        run.note = 3  # type: ignore[assignment]  # notes are texts
        run.no_such_thing  # type: ignore[attr-defined]  # noqa: B018
    assert_type(rf.get_logger(), rf.ActiveRun)
    assert_type(rf.current_run(), rf.ActiveRun | None)
    rf.start_run(tag="a")  # type: ignore[call-arg]  # it is called tags


def reading(history: rf.History) -> None:
    runs = history.runs(project="p", where="loss < 1", order_by="-loss", limit=10)
    assert_type(runs, rf.RunSet)
    assert_type(runs[0], rf.Run)
    assert_type(runs[:5], rf.RunSet)
    assert_type([run.id for run in runs], list[str])
    assert_type(len(runs), int)

    run = history.run("k3f9q")
    assert_type(run, rf.Run)
    assert_type(history.run(number=7, project="p"), rf.Run)
    assert_type(history.best("acc"), rf.Run)
    assert_type(run.record, rf.Record)
    assert_type(run.record.run_number, int | None)
    assert_type(run.status, str)
    assert_type(run.to_dict(), dict[str, Any])
    assert_type(run.metric("loss"), rf.Series)
    with run.artifacts["outputs/m.pkl"].open() as file:
        assert_type(file, BinaryIO)

    history.runs("p", "e")  # type: ignore[call-arg]  # everything after the project is named
    history.best("acc", goal="best")  # type: ignore[arg-type]  # "max" or "min"


def tables(history: rf.History) -> tuple[pa.Table, pa.Table, pa.Table, pd.DataFrame]:
    runs = history.runs()
    return runs.to_arrow(columns=["loss"]), history.metrics(runs, names=["loss"]), runs[0].metrics(), runs.to_pandas()


def names(records: Sequence[rf.Record]) -> list[str]:
    return [record.name for record in records]  # type: ignore[misc]  # a run need not have a name
