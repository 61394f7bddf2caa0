"""How many requests each act of the public API makes: cold (a connection of its own) and warm, none hidden elsewhere.

Cold, a connection reads ``runfolio.json`` once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import runfolio as rf
from runfolio import layout
from runfolio.plugins import Plugins
from runfolio.rows import raw
from runfolio.rows.parquet import encode
from runfolio.rows.ranged import TAIL
from runfolio.rows.schema import Owner
from runfolio.testing import CountingBackend

OPENING = 1


class Counted:
    """A history whose requests are counted."""

    def __init__(self, store: str) -> None:
        self.history = rf.open_history(store, project="p", plugins=Plugins(disabled=["system_metrics"]))
        self.counting = CountingBackend(self.history._connection.raw)
        self.history._connection._raw = self.counting

    def count(self, act: Callable[[], Any]) -> list[str]:
        """The operations that an act takes."""
        self.counting.reset()
        act()
        return [one.operation for one in self.counting.requests]


@pytest.fixture
def connect(store: str) -> Callable[[], Counted]:
    """Open connections of their own to one store, which exists and has a run of two metrics."""
    with rf.open_history(store, project="p", plugins=Plugins(disabled=["system_metrics"])) as history:
        with history.start_run() as run:
            for step in range(10):
                run.log("loss", float(step), step=step)
        history._connection.index.threshold = 1
        history._fold(history._backend)
    return lambda: Counted(store)


def test_writing(connect: Callable[[], Counted]) -> None:
    one = connect()
    runs: list[rf.ActiveRun] = []
    start = ["list", "create", "create", "put"]
    assert one.count(lambda: runs.append(one.history.start_run())) == ["get", *start]
    assert one.count(lambda: runs.append(one.history.start_run())) == start
    for run in runs:
        run.log("loss", 1.0)
        assert one.count(lambda run=run: run.flush(60)) == ["create"]  # type: ignore[misc]  # bound per run
        assert sorted(one.count(run.finish)) == ["create", "create", "delete", "list", "put"]


def test_changing(connect: Callable[[], Counted]) -> None:
    one = connect()
    run_id = one.history.last().id
    edit = ["list", "create", "put"]
    assert one.count(lambda: rf.Run(one.history, run_id).edit(name="x")) == edit
    other = connect()
    assert other.count(lambda: rf.Run(other.history, run_id).archive()) == ["get", *edit]
    assert other.count(lambda: rf.Run(other.history, run_id).delete())[:3] == edit  # and then it is swept


def test_listing_filtering_and_sorting(connect: Callable[[], Counted]) -> None:
    """Four, and one more for each unfolded entry; a full checkpoint that is cached saves one."""
    queries: list[dict[str, Any]] = [{}, {"where": "loss > 3"}, {"order_by": "-loss"}, {"limit": 1}]
    for query in queries:
        one = connect()
        one.history.check_exists()
        assert sorted(one.count(one.history.runs(**query).ids)) == ["get", "list", "list", "list"]
        assert one.count(one.history.runs(**query).ids) == ["list", "list", "list"]


def test_opening_and_one_curve(connect: Callable[[], Counted]) -> None:
    one = connect()
    run_id = one.history.last().id
    run = rf.Run(one.history, run_id)
    assert sorted(one.count(run.refresh)) == ["get", "get", "list", "list"]
    assert one.count(run.metric("loss").to_arrow) == ["list", "get"]  # a small file comes whole
    assert one.count(run.metrics) == ["list", "get"]


def _long_file(rows: int, names: int, run_id: str, writer: str) -> bytes:
    place = raw.arange(0, rows)
    turns = pc.divide(place, names)
    columns = {
        "name": pc.subtract(place, pc.multiply(turns, names)).cast(pa.int32()),
        "step": turns,
        "time": pc.add(pc.multiply(place, 1000), 1_700_000_000_000_000).cast(raw.TIME),
        "kind": raw.constant(0, rows, pa.int8()),
        "value": pc.sin(place.cast(pa.float64())),
    }
    words = [f"metric/{number:05d}" for number in range(names)]
    metadata = {"runfolio.format": "1", "runfolio.wid": "x"}
    return encode(raw.Rows([raw.batch(columns)], words), Owner("p", run_id, writer), metadata)


@pytest.mark.clouds_on_request("files of many megabytes")
@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (1_000_000, 5),
        (600_000, 50_000),
        pytest.param(10_000_000, 1, marks=pytest.mark.slow),
        pytest.param(10_000_000, 1000, marks=pytest.mark.slow),
    ],
)
def test_one_curve_of_a_long_run_takes_three(connect: Callable[[], Counted], rows: int, names: int) -> None:
    """LIST, footer, row group, however long the run: the footer stays below the part that is asked for at first."""
    one = connect()
    run_id, writer = "p_1700000000000-aaaaa", "main.0123456789abcdef"
    data = _long_file(rows, names, run_id, writer)
    assert int.from_bytes(data[-8:-4], "little") < TAIL < len(data)
    one.counting.put(layout.segment(layout.metrics(run_id), layout.Segment(writer, 0, rows)), data)
    one.history.check_exists()
    found: list[pa.Table] = []
    curve = rf.Run(one.history, run_id).metric("metric/00000")
    assert one.count(lambda: found.append(curve.to_arrow())) == ["list", "get", "get"]
    assert found[0].num_rows == rows // names
    if names > 1:
        read = sum(request.size for request in one.counting.requests)
        assert read < len(data) / 3, "most of the file stays where it is"


def test_rows_of_many_runs(connect: Callable[[], Counted]) -> None:
    """A listing and a get for each run."""
    one = connect()
    for number in range(5):
        with one.history.start_run() as run:
            run.log("loss", float(number))
    runs = one.history.runs()
    assert len(runs) == 6
    assert sorted(one.count(lambda: one.history.metrics(runs))) == ["get"] * 6 + ["list"] * 6


def test_the_whole_of_an_open_file_takes_one(connect: Callable[[], Counted]) -> None:
    one = connect()
    data = bytes(3 * 1024 * 1024)
    with one.history.start_run() as run:
        run.log_bytes("a.bin", data)
    artifact = one.history.run(run.id).artifacts["outputs/a.bin"]
    with artifact.open() as file:
        assert file.read(10) == data[:10]
        assert one.count(lambda: file.seek(0)) == []
        assert len(one.count(file.read)) == 1
