"""What is logged comes back as it went in."""

from __future__ import annotations

import math
from array import array
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import runfolio as rf

NAMES = [
    "plain",
    "with space",
    "trailing ",
    "dotted.name",
    "#hash",
    "emoji 🚀",
    "val/acc",
    "x" * 1000,
    "run_id",
    "status",
]
VALUES: list[Any] = [
    7, 0, -1, 2**53, 2**53 + 1, -(2**63), 2**70, True, False, 0.5, -0.0, 1e308, 5e-324, math.nan, math.inf, -math.inf,
    "", "text", "0.5", "line\nbreak", "\x00", "naïve 🚀",
]  # fmt: skip
SAME_BYTES = "many values: once they are written down, they are the same bytes on each store"
REFUSED = "many words, all refused before a request is made"
SCALARS = st.one_of(st.booleans(), st.integers(), st.floats(), st.text())


def same(one: object, other: object) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return (
            math.isnan(other) if math.isnan(one) else one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    return type(one) is type(other) and one == other


@pytest.mark.clouds_on_request(SAME_BYTES)
@pytest.mark.parametrize("name", NAMES)
def test_any_printable_name_is_kept(history: rf.History, name: str) -> None:
    with history.start_run() as run:
        run.log(name, 1.5)
    assert history.last().metric(name).values() == [1.5]
    assert history.last().record.metrics[name].value == 1.5


@pytest.mark.clouds_on_request(SAME_BYTES)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_the_kind_comes_back_as_it_went_in(history: rf.History, value: object) -> None:
    with history.start_run() as run:
        run.log("value", value)
    again = history.last()
    assert same(again.metric("value").values(), [value])
    assert same(again.record.metrics["value"].value, value)
    assert same(history.runs()[0].record.metrics["value"].value, value)


@pytest.mark.clouds_on_request("many examples in one test")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    logged=st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.one_of(SCALARS, st.lists(SCALARS, max_size=5))), max_size=20
    )
)
def test_everything_logged_is_read_again(history: rf.History, logged: list[tuple[str, Any]]) -> None:
    with history.start_run() as run:
        for name, value in logged:
            run.log(name, value)
    again = history.run(run.id)
    for name in ("a", "b"):
        assert same(again.metric(name).values(), [value for key, value in logged if key == name])


def test_numpy_and_its_like_are_taken(history: rf.History) -> None:
    with history.start_run() as run:
        run.log("float32", np.float32(0.5))
        run.log("int64", np.int64(7))
        run.log("bool", np.bool_(True))
        run.log("array", np.array([0.1, 0.2]))
        run.log("ints", np.arange(3))
        run.log("zero-d", np.array(3.5))
        run.log("series", pd.Series([1.5, 2.5]).iloc[0])
        run.log("mixed", [1, 2.5, np.float64(3), "four"])
        run.log("buffer", array("d", [1.0, 2.0]).tolist())
        run.log("tuple", (1, 2))
    metrics = {name: metric.value for name, metric in history.last().record.metrics.items()}
    assert metrics == {
        "float32": 0.5, "int64": 7, "bool": True, "array": [0.1, 0.2], "ints": [0, 1, 2], "zero-d": 3.5, "series": 1.5,
        "mixed": [1, 2.5, 3.0, "four"], "buffer": [1.0, 2.0], "tuple": [1, 2],
    }  # fmt: skip
    assert type(metrics["int64"]) is int
    assert type(metrics["bool"]) is bool


@pytest.mark.clouds_on_request(REFUSED)
@pytest.mark.parametrize(
    ("value", "instead"),
    [
        ({"a": 1}, "log("),
        (np.zeros((2, 2)), "log_table"),
        (pd.DataFrame({"a": [1]}), "log_table"),
        (None, "nan"),
        (object(), "plugin"),
        ([[1], [2]], "log"),
        (b"bytes", "log_bytes"),
        (float, "number"),
    ],
    ids=["dict", "2-D", "DataFrame", "None", "object", "nested", "bytes", "class"],
)
def test_what_cannot_be_logged_names_what_to_call_instead(history: rf.History, value: object, instead: str) -> None:
    with history.start_run() as run:
        with pytest.raises(rf.InvalidValueError, match="cannot be logged") as caught:
            run.log("value", value)
        assert isinstance(caught.value, TypeError)
        assert instead in str(caught.value)
        run.log("value", 1)
    assert history.last().metric("value").values() == [1]


@pytest.mark.parametrize("value", [Decimal("0.5"), Fraction(1, 2)])
def test_other_numbers_are_floats(history: rf.History, value: object) -> None:
    with history.start_run() as run:
        run.log("value", value)
    assert history.last().metric("value").values() == [0.5]


@pytest.mark.clouds_on_request(REFUSED)
@pytest.mark.parametrize("name", ["", "a\nb", "\x00", "x" * 1001, "\ud800", 7, None])
def test_bad_names_raise_and_lose_nothing(history: rf.History, name: Any) -> None:
    with history.start_run() as run:
        run.log("good", 1)
        with pytest.raises(rf.InvalidNameError):
            run.log(name, 2)
        run.log("good", 3)
    assert history.last().metric("good").values() == [1, 3]


@pytest.mark.clouds_on_request(REFUSED)
@pytest.mark.parametrize("step", [0.5, True, "3", 2**63])
def test_bad_steps_raise(history: rf.History, step: Any) -> None:
    with history.start_run() as run, pytest.raises(rf.InvalidValueError):
        run.log("value", 1.0, step=step)


def test_steps_continue_from_the_last_one(history: rf.History) -> None:
    with history.start_run() as run:
        run.log("a", 0.0)
        run.log("a", 1.0)
        run.log("a", 2.0, step=10)
        run.log("a", 3.0)
        run.log("b", 4.0)
        run.log({"a": 5.0, "c": 6}, step=20)
        run.log({"a": 7.0, "c": 8})
    again = history.last()
    assert again.metric("a").steps() == [0, 1, 10, 11, 20, 21]
    assert again.metric("b").steps() == [0]
    assert again.metric("c").steps() == [20, 21]


def test_columns_are_logged_without_a_loop(history: rf.History) -> None:
    with history.start_run() as run:
        run.log_columns({"loss": np.linspace(1, 0, 1000), "epoch": np.arange(1000)}, step=np.arange(0, 2000, 2))
        run.log("loss", 9.0)
    again = history.last()
    assert len(again.metric("loss").values()) == 1001
    assert again.metric("loss").steps()[-2:] == [1998, 1999]
    assert again.metric("epoch").values()[:3] == [0, 1, 2]
    with history.start_run() as run, pytest.raises(rf.InvalidValueError):
        run.log_columns({"a": [1.0], "b": [1.0, 2.0]})


def test_a_long_text_survives(history: rf.History) -> None:
    text = "é🚀x" * 2_000_000
    with history.start_run() as run:
        run.log("text", text)
    assert history.last().metric("text").values() == [text]


def test_a_closed_run_refuses_to_log(history: rf.History) -> None:
    with history.start_run() as run:
        run.log("a", 1)
    for call in (lambda: run.log("a", 2), lambda: run.log("a", 2.0, step=1), lambda: run.params.update(lr=1)):
        with pytest.raises(rf.RunStateError):
            call()
    assert run.finish() is True


def test_a_metric_called_like_a_field_stays_reachable(history: rf.History) -> None:
    with history.start_run() as run:
        run.log("status", 0.5)
        run.log("Accuracy", 0.25)
    flat = history.last().to_dict()
    assert flat["status"] == "Completed"
    assert flat["metrics.status"] == 0.5
    assert flat["Accuracy"] == 0.25
    assert list(flat) == sorted(flat)


def test_wait_is_true_only_when_the_store_has_it(history: rf.History) -> None:
    run = history.start_run()
    pending = run.log("loss", 0.5, step=1)
    assert pending.wait(timeout=60) is True
    assert history.run(run.id).metric("loss").values() == [0.5]
    run.finish()


def test_offline_waits_are_false_and_never_raise(store: str) -> None:
    settings_offline = {"mode": "offline"}
    from runfolio.config import resolve

    history = rf.open_history(settings=resolve({"store": store, "project": "p", **settings_offline}))
    run = history.start_run()
    assert run.log("loss", 0.5, step=1).wait(timeout=0.01) is False
    assert run.flush(timeout=0.01) is False
    assert run.finish() is False
