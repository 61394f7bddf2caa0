"""What `log` takes comes back as it went in; what it refuses leaves nothing behind."""

from __future__ import annotations

import math
import pickle
import struct
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runfolio.errors import InvalidNameError, InvalidValueError, RunStateError
from runfolio.journal.spooled_run import SpooledRun

Read = Callable[[SpooledRun], list[tuple[str, int, Any]]]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
scalars = (
    st.floats()
    | st.integers(-(2**53) - 5, 2**53 + 5)
    | st.integers()
    | st.integers(2**60, 2**200)
    | st.booleans()
    | texts
)
values = (
    scalars | st.lists(scalars, max_size=6) | st.lists(st.floats(), max_size=50) | st.lists(st.integers(), max_size=50)
)
names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)


def same(one: object, other: object) -> bool:
    """Equal, of the same kind, NaN and the sign of zero included."""
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return isinstance(other, float) and struct.pack("d", one) == struct.pack("d", other)
    return type(one) is type(other) and one == other


def in_order(logged: list[tuple[str, int, Any]]) -> list[tuple[str, int, Any]]:
    return sorted(logged, key=lambda one: one[0])  # by name, then as logged


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(logged=st.lists(st.tuples(names, st.integers(-(2**63), 2**63 - 1), values), max_size=25))
def test_each_kind_comes_back_as_it_went_in(make_run: Any, read: Read, logged: list[tuple[str, int, Any]]) -> None:
    writer, run = make_run()
    for name, step, value in logged:
        writer.log(name, value, step=step)
    found = read(run)
    assert [(name, step) for name, step, _ in in_order(logged)] == [(name, step) for name, step, _ in found]
    # A NaN may change its payload bits on the way through JSON: it stays a NaN.
    for (_, _, one), (_, _, other) in zip(in_order(logged), found, strict=True):
        assert same(one, other) or repr(one) == repr(other)
    assert len(read(run)) == len(logged)


@pytest.mark.parametrize(
    "value",
    [
        math.nan, math.inf, -math.inf, -0.0, 5e-324, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**63,
        10**400, True, False, 0, "0.5", "", "x" * 10_000_000, "🧪\n\x00", [], [math.nan, -0.0],
        [1, 2.0, True, "a", 2**70],
        ["a", "b"], [True, False], [2**62, 1], [2**64],
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_edges_of_kinds(make_run: Any, read: Read, value: Any) -> None:
    writer, run = make_run()
    writer.log("edge", value, step=3)
    [(name, step, found)] = read(run)
    assert (name, step) == ("edge", 3)
    assert same(value, found)


@pytest.mark.parametrize(
    "name", ["loss ", " loss", "a#b", "a.b.c", "🧪 emoji", "x" * 1000, "status", "name", "..", "a/b"]
)
def test_odd_names(make_run: Any, read: Read, name: str) -> None:
    writer, run = make_run()
    writer.log(name, 1.5, step=0)
    writer.log_columns({name: [2.5]}, step=[1])
    assert [(name, 0, 1.5), (name, 1, 2.5)] == read(run)


@pytest.mark.parametrize("name", ["", "a\nb", "\ud800", "x" * 1001, 7, None, b"loss"])
def test_bad_names_leave_nothing(make_run: Any, read: Read, name: Any) -> None:
    writer, run = make_run()
    calls: tuple[Callable[[], object], ...] = (
        lambda: writer.log(name, 1.0, step=1),
        lambda: writer.log(name, 1.0),
        lambda: writer.log({"good": 1.0, name: 2.0}),
        lambda: writer.log_columns({name: [1.0]}),
    )
    for call in calls:
        with pytest.raises(InvalidNameError):
            call()
    assert read(run) == []


@pytest.mark.parametrize(
    "value",
    [
        None, {"a": 1}, b"x", object(), [None], [[1]], np.zeros((2, 2)), pd.DataFrame({"a": [1]}), pd.Series([1]), 1j,
        "\ud800", ["\udfff"], 10**5000, "x" * (16 * 1024 * 1024 + 1),
    ],
    ids=lambda value: str(type(value)),
)  # fmt: skip
def test_bad_values_are_refused_and_leave_no_step(make_run: Any, read: Read, value: Any) -> None:
    writer, run = make_run()
    calls: tuple[Callable[[], object], ...] = (
        lambda: writer.log("x", value),
        lambda: writer.log("x", value, step=4),
        lambda: writer.log({"first": 1.0, "x": value}),
    )
    for call in calls:
        with pytest.raises(InvalidValueError):
            call()
    writer.log("x", 1.0)
    writer.log("first", 1.0)
    assert [("first", 0, 1.0), ("x", 0, 1.0)] == read(run)


@pytest.mark.parametrize("step", [1.0, 1.5, "1", True, math.nan, [1], 2**63, -(2**63) - 1, np.float64(2)])
def test_bad_steps_are_refused(make_run: Any, read: Read, step: Any) -> None:
    writer, run = make_run()
    writer.log("x", 0.5, step=0)
    for value in (0.5, 1, "a"):
        with pytest.raises(InvalidValueError):
            writer.log("x", value, step=step)
    with pytest.raises(InvalidValueError):
        writer.log({"x": 0.5}, step=step)
    assert [("x", 0, 0.5)] == read(run)


def test_numbers_of_other_libraries(make_run: Any, read: Read) -> None:
    writer, run = make_run()
    for place, value in enumerate(
        [
            np.float64(0.5),
            np.float32(0.5),
            np.int8(7),
            np.uint64(2**64 - 1),
            np.bool_(True),
            np.array(2.5),
            np.str_("a"),
        ]
    ):
        writer.log("x", value, step=np.int64(place))
    writer.log("x", np.arange(3), step=np.uint8(7))
    writer.log("x", np.array([True, False]), step=8)
    writer.log("x", (1, 2), step=9)
    writer.log("x", range(2), step=10)
    expected = [0.5, 0.5, 7, 2**64 - 1, True, 2.5, "a", [0, 1, 2], [True, False], [1, 2], [0, 1]]
    assert all(map(same, expected, [value for _, _, value in read(run)]))


def test_an_omitted_step_continues_by_name(make_run: Any, read: Read) -> None:
    writer, run = make_run(steps={"resumed": 99})
    writer.log("a", 0.0)
    writer.log("a", 1.0)
    writer.log("a", 2.0, step=10)
    writer.log("a", 3.0)
    writer.log({"a": 4.0, "b": 0.0})
    writer.log("b", [1.0, 2.0])
    writer.log("resumed", 0.0)
    writer.log_columns({"a": [5.0, 6.0], "b": [2, 3]})
    writer.log("a", 7.0)
    steps: dict[str, list[int]] = {}
    for name, step, _ in read(run):
        steps.setdefault(name, []).append(step)
    assert steps == {"a": [0, 1, 10, 11, 12, 13, 14, 15], "b": [0, 1, 2, 3], "resumed": [100]}
    assert writer.last_step("a") == 15


def test_a_mapping_is_logged_at_one_step(make_run: Any, read: Read) -> None:
    writer, run = make_run()
    writer.log({"a": 1.0, "b": "x", "c": [1]}, step=7)
    writer.log({})
    assert [("a", 7, 1.0), ("b", 7, "x"), ("c", 7, [1])] == read(run)
    with pytest.raises(InvalidValueError):
        writer.log({"a": 1.0}, 5)
    with pytest.raises(InvalidValueError):
        writer.log("a")


def test_the_hook_is_asked_before_a_value_is_refused(make_run: Any, read: Read) -> None:
    asked: list[object] = []

    def convert(value: object) -> object:
        asked.append(value)
        return [1.0, 2.0] if isinstance(value, complex) else None

    writer, run = make_run(convert=convert)
    writer.log("plain", 1.0)
    writer.log("x", 1j)
    with pytest.raises(InvalidValueError):
        writer.log("x", None)
    assert asked == [1j, None]
    assert [("plain", 0, 1.0), ("x", 0, [1.0, 2.0])] == read(run)


def test_more_names_than_fixed_frames_can_tell(make_run: Any, monkeypatch: pytest.MonkeyPatch, read: Read) -> None:
    writer, run = make_run()
    writer._ids.update({f"taken {place}": place for place in range(2**16)})  # as if they had been logged
    writer.log("float", 0.5, step=1)
    writer.log("float", 1.5, step=2)
    writer.log("int", -7)
    writer.log("bool", True)
    writer.log("text", "a")
    writer.log_columns({"bulk": [1.0]})
    assert read(run) == [
        ("bool", 0, True), ("bulk", 0, 1.0), ("float", 1, 0.5), ("float", 2, 1.5), ("int", 0, -7), ("text", 0, "a"),
    ]  # fmt: skip


def test_closed(make_run: Any, read: Read) -> None:
    writer, run = make_run()
    writer.log("x", 1.0, step=0)
    writer.close()
    writer.close()
    calls: tuple[Callable[[], object], ...] = (
        lambda: writer.log("x", 1.0, step=1),
        lambda: writer.log("x", 1),
        lambda: writer.log("new", "a"),
        lambda: writer.log({"x": 1.0}),
        lambda: writer.log_columns({"x": [1.0]}),
        lambda: writer.event("x", {}),
    )
    for call in calls:
        with pytest.raises(RunStateError):
            call()
    assert [("x", 0, 1.0)] == read(run)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (np.array([0.5, math.nan, -0.0]), [0.5, math.nan, -0.0]),
        (np.array([0.5, 1.5], np.float32), [0.5, 1.5]),
        (np.array([0.5], np.float16), [0.5]),
        (np.arange(10)[::-3], [9, 6, 3, 0]),
        (np.array([2**64 - 1, 1], np.uint64), [2**64 - 1, 1]),
        (np.array([True, False]), [True, False]),
        (np.array(["a", "b"]), ["a", "b"]),
        (pa.array([1, None, 3]), [1, 3]),
        (pa.chunked_array([[1.0], [], [2.0]]), [1.0, 2.0]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([None, None]), []),
        (pd.Series([1.0, math.nan]), [1.0, math.nan]),
        (array("d", [1.0, 2.0]), [1.0, 2.0]),
        (array("h", [1, 2]), [1, 2]),
        (memoryview(b"\x01\x02"), [1, 2]),
        ([1, 2.5], [1.0, 2.5]),
        ((1, 2), [1, 2]),
        (range(3, 10, 2), [3, 5, 7, 9]),
        ([2**53 + 1], [2**53 + 1]),
        ([], []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_columns_of_all_sorts(make_run: Any, read: Read, column: Any, expected: list[Any]) -> None:
    writer, run = make_run()
    writer.log_columns({"x": column})
    assert all(map(same, expected, [value for _, _, value in read(run)]))
    assert len(expected) == run.cut()


@pytest.mark.parametrize(
    ("columns", "step"),
    [
        ({"x": [1.0, 2.0], "y": [1.0]}, None),
        ({"x": [1.0, 2.0]}, [1]),
        ({"x": [1.0]}, [1.5]),
        ({"x": [1.0]}, [None]),
        ({"x": [1.0]}, np.array([2**64 - 1], np.uint64)),
        ({"x": [1.0]}, 3.0),
        ({"x": [1.0]}, True),
        ({"x": [1.0, 2.0]}, 2**63 - 1),
        ({"x": [1, "a"]}, None),
        ({"x": [[1]]}, None),
        ({"x": np.zeros((2, 2))}, None),
        ({"x": 1.0}, None),
        ({"x": "text"}, None),
        ({"x": pd.to_datetime(["2020-01-01"])}, None),
        ([1.0], None),
        (7, None),
        (pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), None),
    ],
)
def test_bad_columns_leave_nothing(make_run: Any, columns: Any, step: Any) -> None:
    writer, run = make_run()
    with pytest.raises(InvalidValueError):
        writer.log_columns(columns, step=step)
    assert run.cut() == 0


def test_columns_share_steps_and_nulls_leave_rows_out(make_run: Any, read: Read) -> None:
    writer, run = make_run()
    writer.log_columns(pa.table({"a": [1.0, None, 3.0], "b": [None, "y", None]}), step=np.array([10, 5, 7]))
    assert [("a", 10, 1.0), ("a", 7, 3.0), ("b", 5, "y")] == read(run)
    writer.log("a", 0.0)
    assert ("a", 8, 0.0) in read(run)


def test_one_step_is_that_of_the_first_row(make_run: Any, read: Read) -> None:
    writer, run = make_run()
    writer.log_columns({"a": [1.0, 2.0], "b": [3.0, 4.0]}, step=7)
    assert [("a", 7, 1.0), ("a", 8, 2.0), ("b", 7, 3.0), ("b", 8, 4.0)] == read(run)
    writer.log_columns({"a": []}, step=7)
    assert len(read(run)) == 4


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(0, 50),
    start=st.integers(-(2**63), 2**63 - 1),
    stride=st.integers(-(2**40), 2**40),
    chunk=st.integers(1, 20),
)
def test_steps_of_columns(
    make_run: Any, monkeypatch: Any, read: Read, count: int, start: int, stride: int, chunk: int
) -> None:
    """Evenly spaced steps are stored as two numbers; they come back, however the column is cut."""
    steps = [start + k * stride for k in range(count)]
    if any(not -(2**63) <= step < 2**63 for step in steps):
        return
    monkeypatch.setattr("runfolio.journal.columns._CHUNK_ROWS", chunk)
    writer, run = make_run()
    writer.log_columns({"x": [float(k) for k in range(count)]}, step=pa.array(steps, pa.int64()))
    assert [("x", step, float(k)) for k, step in enumerate(steps)] == read(run)


def test_pending_waits_for_the_store(make_run: Any) -> None:
    woken: list[int] = []
    writer, run = make_run(wake=lambda: woken.append(1))
    first = writer.log("x", 1.0)
    assert first is writer.log("x", 2.0)
    assert not first.wait(0)
    assert not first.wait(-1)
    assert woken
    cut, end = writer.cut()
    assert cut is first
    second = writer.log("x", 3.0)
    assert second is not first
    assert end < writer.cut()[1]
    cut.resolve(stored=True)
    assert first.wait()
    assert first.wait(math.nan)
    assert "stored" in repr(first)
    second.resolve(stored=False)
    assert not second.wait()
    assert run.cut() == 3


def test_errors_survive_pickling(make_run: Any) -> None:
    writer, _ = make_run()
    with pytest.raises(InvalidValueError) as caught:
        writer.log("x", {})
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
