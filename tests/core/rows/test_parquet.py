"""Parquet files of rows: what other engines see, what one curve costs, and what happens to damaged ones."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runfolio.errors import FormatError
from runfolio.rows import raw
from runfolio.rows.parquet import decode, encode
from runfolio.rows.ranged import Footer, curve
from runfolio.rows.schema import SCHEMA, Owner

OWNER = Owner("2024", "2024_1700000000000-abcde", "main.0123456789abcdef")


def query(sql: str) -> list[Any]:
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


def make_rows(names: list[str], values: Sequence[float | None], *, texts: list[str | None] | None = None) -> raw.Rows:
    """Rows in the order given; the step is the position."""
    words = list(dict.fromkeys(names))
    columns = {
        "name": pa.array([words.index(one) for one in names], pa.int32()),
        "step": pa.array(range(len(names)), pa.int64()),
        "time": raw.micros(pa.array([10**18 + 1000 * k for k in range(len(names))], pa.int64())),
        "kind": pa.array([raw.FLOAT if one is not None else raw.STR for one in values], pa.int8()),
        "value": pa.array(values, pa.float64()),
    }
    if texts is not None:
        columns["text"] = pa.array(texts, pa.string())
    return raw.Rows([raw.batch(columns)], words)


@given(st.lists(st.tuples(st.sampled_from(["b", "a", "é", "🧪", "z" * 1000, "Z", " "]), st.floats()), max_size=60))
def test_rows_are_sorted_by_name_then_position(rows: list[tuple[str, float]]) -> None:
    table = decode(encode(make_rows([name for name, _ in rows], [value for _, value in rows]), OWNER, {}))
    assert table.schema.equals(SCHEMA)
    expected = sorted(enumerate(rows), key=lambda one: one[1][0].encode())
    assert [name for _, (name, _) in expected] == table.column("name").to_pylist()
    assert [place for place, _ in expected] == table.column("step").to_pylist()
    assert [repr(value) for _, (_, value) in expected] == [repr(one) for one in table.column("value").to_pylist()]
    assert set(table.column("run_id").to_pylist()) <= {OWNER.run_id}


def test_other_engines_read_the_columns_of_the_format(tmp_path: Path) -> None:
    rows = make_rows(["b", "a", "b", "t"], [0.5, math.nan, math.inf, None], texts=[None, None, None, "text"])
    path = tmp_path / "rows.parquet"
    path.write_bytes(encode(rows, OWNER, {"runfolio.format": "1", "runfolio.rows": "0-4"}))
    frame = pd.read_parquet(path)
    assert [*frame.columns] == SCHEMA.names
    assert [*frame["name"]] == ["a", "b", "b", "t"]
    assert [*frame["project"]] == ["2024"] * 4
    found = query(f"select project, name, step, value, text, kind, epoch_us(time) from '{path}' order by name, step")
    assert [one[:3] for one in found] == [("2024", "a", 1), ("2024", "b", 0), ("2024", "b", 2), ("2024", "t", 3)]
    assert math.isnan(found[0][3])
    assert found[2][3] == math.inf
    assert found[3][3:6] == (None, "text", "str")
    metadata = pq.read_metadata(path).metadata
    assert metadata[b"runfolio.format"] == b"1"
    assert metadata[b"runfolio.rows"] == b"0-4"


@pytest.mark.parametrize("count", [3, 200])
def test_few_and_many_names(count: int) -> None:
    """The places of names are stored as small ints where these suffice."""
    names = [f"name {k}" for k in range(count)] * 3
    table = decode(encode(make_rows(names, [float(k) for k in range(len(names))]), OWNER, {}))
    assert sorted(names) == table.column("name").to_pylist()


@pytest.mark.parametrize(
    ("values", "most"),
    [([float(k % 2) for k in range(20_000)], 0.3), ([k / 100 for k in range(20_000)], 5.0)],
    ids=["flags", "smooth"],
)
def test_values_take_little_room(values: list[float], most: float) -> None:
    data = encode(make_rows(["x"] * len(values), values), OWNER, {})
    assert len(data) < 5000 + most * len(values)


def test_no_rows(tmp_path: Path) -> None:
    data = encode(raw.Rows(), OWNER, {"a": "b"})
    assert decode(data).num_rows == 0
    assert curve(lambda start, end: data[start:end], len(data), "x").num_rows == 0
    (tmp_path / "x.parquet").write_bytes(data)
    assert query(f"select * from '{tmp_path}/x.parquet'") == []


def counting(data: bytes) -> tuple[Callable[[int, int], bytes], list[tuple[int, int]]]:
    requests: list[tuple[int, int]] = []

    def get(start: int, end: int) -> bytes:
        requests.append((start, end))
        return data[start:end]

    return get, requests


def test_one_curve_is_two_requests_and_a_part_of_the_file() -> None:
    count = 150_000
    names = [name for name in ("a", "b", "c", "d") for _ in range(count)]
    data = encode(make_rows(names, [math.sin(k) for k in range(len(names))]), OWNER, {})
    get, requests = counting(data)
    table = curve(get, len(data), "c")
    assert table.column("step").to_pylist() == [*range(2 * count, 3 * count)]
    assert len(requests) == 2
    assert sum(end - start for start, end in requests) < 0.35 * len(data)
    footer = Footer(get, len(data))
    requests.clear()
    assert footer.read(get, ["missing"]).num_rows == 0
    assert footer.read(get, ["a", "d"]).num_rows == 2 * count
    assert len(requests) <= 2
    assert footer.rows == 4 * count


def test_a_small_file_is_one_request() -> None:
    data = encode(make_rows(["a", "b"] * 100, [float(k) for k in range(200)]), OWNER, {})
    get, requests = counting(data)
    assert curve(get, len(data), "b").num_rows == 100
    assert len(requests) == 1


def test_a_long_footer_is_fetched_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runfolio.rows.ranged.TAIL", 100)
    data = encode(make_rows(["a", "b"] * 100, [float(k) for k in range(200)]), OWNER, {})
    get, requests = counting(data)
    assert curve(get, len(data), "b").num_rows == 100
    assert len(requests) == 3


@settings(max_examples=50)
@given(st.data())
def test_damaged_files_are_told(draw: st.DataObject) -> None:
    """Cut or changed: our own error, or the rows (nothing may depend on a byte). Never another error."""
    data = bytearray(encode(make_rows(["a", "b"] * 50, [float(k) for k in range(100)]), OWNER, {}))
    if draw.draw(st.booleans()):
        del data[draw.draw(st.integers(0, len(data) - 1)) :]
    else:
        data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    damaged = bytes(data)
    reads: tuple[Callable[[], pa.Table], ...] = (
        lambda: decode(damaged, key="runs/x.parquet"),
        lambda: curve(lambda start, end: damaged[start:end], len(damaged), "a", key="runs/x.parquet"),
    )
    for read in reads:
        with contextlib.suppress(FormatError):
            assert read().schema.equals(SCHEMA)


def test_a_file_of_something_else_is_told() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"x": [1]}), sink)
    with pytest.raises(FormatError, match="no file of rows"):
        decode(sink.getvalue())


def test_columns_of_later_versions_are_left_out() -> None:
    sink = pa.BufferOutputStream()
    table = decode(encode(make_rows(["a"], [1.0]), OWNER, {})).append_column("later", pa.array(["x"]))
    pq.write_table(table, sink)
    assert decode(sink.getvalue()).schema.equals(SCHEMA)


def test_curves_longer_than_a_row_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runfolio.rows.parquet._LARGEST_GROUP", 10)
    monkeypatch.setattr("runfolio.rows.parquet._GROUP", 5)
    names = ["a"] * 3 + ["b"] * 25 + ["c"] * 2 + ["d"] * 2 + ["e"] * 30
    values: list[Any] = [float(k) for k in range(len(names))]
    data = encode(make_rows(names, values), OWNER, {})
    table = decode(data)
    assert table.column("value").to_pylist() == values
    for name in "abcde":
        found = curve(lambda start, end: data[start:end], len(data), name)
        assert [value for value, one in zip(values, names, strict=True) if one == name] == found.column(
            "value"
        ).to_pylist()
