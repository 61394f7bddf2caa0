"""One value of each run as a column: as a plain loop over the shown runs would give it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from runfolio.errors import QueryError
from runfolio.index.columns import extract
from runfolio.index.folding import fold
from runfolio.index.view import Index
from runfolio.query.terms import Reading, Statistic, Term


@pytest.fixture
def table(store: Any) -> Any:
    """Six runs in a base, a delta and a tail, with texts and numbers under the same names."""
    documents = store.documents
    kinds: list[Any] = [0.5, "text", 7, True, None, 2**60]
    for number, value in enumerate(kinds):
        run_id = documents.run_id(number)
        metrics = {"loss": documents.summary(3, float(number), -float(number), 10.0 + number)}
        if value is not None:
            metrics["mixed"] = {"kind": type(value).__name__, "count": 1, "last": value, "last_step": 0}
        metrics["list"] = {"kind": "int", "count": 1, "last": [1, 5], "list": True, "last_step": 0, "min": 1, "max": 5}
        tags = ["even"] if number % 2 == 0 else []
        start = documents.start(
            run_id, params={"mixed": value, f"only{number}": number}, tags=tags, name=f"run {number}"
        )
        store.write(start, documents.end(run_id, metrics=metrics))
        if number == 1:
            fold(Index(store.backend), force=True)
        if number == 3:
            store.write(documents.edit(documents.run_id(0), "tag:even", value=False))
            fold(Index(store.backend), force=True)
    return Index(store.backend).refresh().table.slice(1)


def values(table: Any, source: Any, name: str, statistic: Statistic = "last", reading: Reading = "number") -> list[Any]:
    found: list[Any] = extract(table, Term(source, name, statistic, reading)).to_pylist()
    return found


# Newest first, and the newest is cut off: runs 4, 3, 2, 1, 0.


def test_numbers_and_texts_of_one_name_live_side_by_side(table: Any) -> None:
    for source in ("param", "metric"):
        assert values(table, source, "mixed") == [None, 1.0, 7.0, None, 0.5]
        assert values(table, source, "mixed", reading="text") == [None, None, None, "text", None]
        assert values(table, source, "mixed", reading="present") == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("last", [4.0, 3.0, 2.0, 1.0, 0.0]),
        ("min", [-4.0, -3.0, -2.0, -1.0, -0.0]),
        ("max", [14.0, 13.0, 12.0, 11.0, 10.0]),
        ("count", [3.0] * 5),
    ],
)
def test_statistics_of_a_series(table: Any, statistic: Statistic, expected: list[float]) -> None:
    assert values(table, "metric", "loss", statistic) == expected


def test_a_single_number_is_its_own_extreme_and_a_text_has_none(table: Any) -> None:
    assert values(table, "metric", "mixed", "max") == [None, 1.0, 7.0, None, 0.5]
    assert values(table, "metric", "mixed", "count") == [None, 1.0, 1.0, 1.0, 1.0]


def test_a_list_has_extremes_but_no_last_number(table: Any) -> None:
    assert values(table, "metric", "list") == [None] * 5
    assert values(table, "metric", "list", "max") == [5.0] * 5
    assert values(table, "metric", "list", reading="present") == [True] * 5


def test_what_few_runs_have_stands_in_the_right_rows(table: Any) -> None:
    assert values(table, "param", "only3") == [None, 3.0, None, None, None]
    assert values(table, "param", "only5") == [None] * 5
    assert values(table, "param", "never", reading="present") == [False] * 5


def test_tags_count_as_they_were_edited(table: Any) -> None:
    assert values(table, "tag", "even", reading="present") == [True, False, True, False, False]
    assert values(table, "tag", "even", reading="text") == ["even", None, "even", None, None]
    assert values(table, "tag", "never", reading="present") == [False] * 5


def test_fields_by_reading(table: Any) -> None:
    assert values(table, "field", "name", reading="text") == ["run 4", "run 3", "run 2", "run 1", "run 0"]
    assert values(table, "field", "name") == [None] * 5
    assert values(table, "field", "run_number") == [5.0, 4.0, 3.0, 2.0, 1.0]
    assert values(table, "field", "hidden") == [0.0] * 5
    assert values(table, "field", "status", reading="text") == ["Completed"] * 5
    assert values(table, "field", "note", reading="present") == [False] * 5
    created = table.column("created_utc").to_pylist()
    assert values(table, "field", "created_utc") == [moment.timestamp() for moment in created]
    texts = values(table, "field", "created_utc", reading="text")
    assert texts == [moment.isoformat(timespec="microseconds") for moment in created]


def test_an_unknown_field_is_a_bad_query(table: Any) -> None:
    with pytest.raises(QueryError):
        values(table, "field", "colour")


def test_an_empty_table_gives_empty_columns(store: Any) -> None:
    empty = Index(store.backend).refresh().table
    readings: list[Reading] = ["number", "text", "present"]
    for reading in readings:
        for source, name in (("param", "x"), ("metric", "x"), ("tag", "x"), ("field", "name")):
            assert values(empty, source, name, reading=reading) == []


def test_what_is_not_finite_stays_so(store: Any) -> None:
    for number, value in enumerate([math.nan, math.inf]):
        store.run(number, metrics={"m": {"kind": "float", "count": 1, "last": value, "last_step": 0}})
    table = Index(store.backend).refresh().table
    assert repr(values(table, "metric", "m")) == "[inf, nan]"
    assert values(table, "metric", "m", "max") == [None, None]
