"""Rows as users see them: over writers, thinned for display, and as Python values."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runfolio.errors import InvalidValueError
from runfolio.journal.blocks import Blocks
from runfolio.journal.encoding import encode as frame
from runfolio.journal.frames import Extended
from runfolio.journal.scan import Run, scan
from runfolio.rows.parquet import decode, encode
from runfolio.rows.raw import Rows
from runfolio.rows.schema import Owner
from runfolio.rows.view import COLUMNS, downsample, values, view

NAMES = ["loss", "acc", "text"]


def stored(logged: list[tuple[int, int, Any]], writer: str = "main") -> Any:
    blocks = Blocks([*NAMES])
    data = b"".join(frame(value, name, step, 1000 * step, 7) for name, step, value in logged)
    for piece in scan(memoryview(data), 7, verify=True, final=True):
        if isinstance(piece, Run):
            blocks.add_run(piece)
        elif isinstance(piece, Extended):
            blocks.add(piece)
    return decode(encode(Rows(blocks.take(), NAMES), Owner("p", "p_1700000000000-abcde", writer), {}))


def test_columns_and_order_over_writers() -> None:
    main = stored([(0, 1, 0.5), (1, 1, 7), (0, 2, 0.25)])
    rank = stored([(2, 0, "x"), (0, 1, 0.75)], "rank1")
    table = view([main, rank])
    assert table.column_names == [*COLUMNS]
    found = [(row["name"], row["writer"], row["step"]) for row in table.to_pylist()]
    assert found == [
        ("acc", "main", 1),
        ("loss", "main", 1),
        ("loss", "main", 2),
        ("loss", "rank1", 1),
        ("text", "rank1", 0),
    ]
    assert view([main, rank], names=["text", "missing"]).num_rows == 1
    assert view([main, rank], run_id=True).column_names[0] == "run_id"
    assert view([]).schema.equals(view([main]).schema)
    assert view([main], names=[]).num_rows == 0


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(slice(2, 4), [2, 3]), (slice(None, 3), [0, 1, 2]), (slice(8, None), [8, 9]), (slice(None), [*range(10)])],
)
def test_a_range_of_steps(steps: slice, expected: list[int]) -> None:
    table = stored([(0, step, float(step)) for step in range(10)])
    assert view([table], steps=steps).column("step").to_pylist() == expected


@pytest.mark.parametrize("steps", [slice(0, 10, 2), slice(0.5, None), slice("a")])
def test_what_is_no_range_of_steps(steps: slice) -> None:
    with pytest.raises(InvalidValueError):
        view([stored([(0, 1, 1.0)])], steps=steps)


scalars = st.floats() | st.integers() | st.booleans() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), scalars | st.lists(scalars, max_size=4)), max_size=25))
def test_values_come_back(logged: list[tuple[int, int, Any]]) -> None:
    found = [(one.name, one.step, repr(one.value)) for one in values(view([stored(logged)]))]
    expected = [(NAMES[name], step, repr(value)) for name, step, value in logged]
    assert sorted(expected, key=lambda one: one[0]) == found


curves = st.lists(st.floats(allow_nan=True), min_size=1, max_size=400)


@settings(max_examples=60)
@given(curves, st.integers(4, 60))
def test_thinning_keeps_ends_and_extremes(curve: list[float], most: int) -> None:
    table = view([stored([(0, step, value) for step, value in enumerate(curve)])])
    thin = downsample(table, most)
    steps = thin.column("step").to_pylist()
    assert len(steps) <= max(most, 4)
    assert steps == sorted(set(steps))
    assert {0, len(curve) - 1} <= set(steps)
    numbers = [one for one in curve if not math.isnan(one)]
    if numbers:
        kept = [one for one in thin.column("value").to_pylist() if not math.isnan(one)]
        assert (min(kept), max(kept)) == (min(numbers), max(numbers))
    if len(curve) <= most:
        assert thin.num_rows == table.num_rows


def test_thinning_is_by_curve_and_leaves_lists_and_texts_readable() -> None:
    main: list[tuple[int, int, Any]] = [(0, step, math.sin(step)) for step in range(1000)]
    main += [(1, step, 0.5) for step in range(20)]
    main += [(2, 0, [1.0] * 300)]
    rank: list[tuple[int, int, Any]] = [(0, step, math.cos(step)) for step in range(500)]
    rank += [(2, step, "word") for step in range(500)]
    table = view([stored(main), stored(rank, "rank1")])
    thin = downsample(table, 100)
    counts: dict[tuple[str, str], int] = {}
    for row in thin.to_pylist():
        counts[row["name"], row["writer"]] = counts.get((row["name"], row["writer"]), 0) + 1
    assert counts["acc", "main"] == 20
    assert counts["text", "main"] == 300
    assert 80 <= counts["loss", "main"] <= 100
    assert 80 <= counts["loss", "rank1"] <= 100
    assert 40 <= counts["text", "rank1"] <= 100
    assert thin.column("name").to_pylist() == sorted(thin.column("name").to_pylist())
    with pytest.raises(InvalidValueError):
        downsample(table, 3)
    assert downsample(table.slice(0, 0), 10).num_rows == 0
