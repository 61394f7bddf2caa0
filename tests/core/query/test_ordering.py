"""The order that `order_by` gives, and the columns that can be named."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pytest

from runfolio.errors import QueryError
from runfolio.query import Term, materialise, order_terms, parse_columns, parse_order_by, sort_indices

Row = Mapping[str, object]
Extracts = Callable[[Sequence[Row]], Callable[[Term], pa.Array]]


def _order(order_by: str | list[str], runs: Sequence[Row], extract_from: Extracts) -> list[int]:
    orders = parse_order_by(order_by)
    found = sort_indices(orders, materialise(order_terms(orders), extract_from(runs), len(runs)))
    return [number + 1 for number in found.to_pylist()]


CASES = [
    ("number", [1, 2, 4, 5, 6, 3]),
    ("-number", [6, 5, 4, 2, 1, 3]),
    ("number desc", [6, 5, 4, 2, 1, 3]),
    ("number ASC", [1, 2, 4, 5, 6, 3]),
    ("-created", [6, 5, 4, 3, 2, 1]),
    # numbers, then NaN, then texts, then nothing: in both directions
    ("val/acc", [4, 1, 6, 2, 3, 5]),
    ("-`val/acc`", [6, 1, 4, 2, 3, 5]),
    ("params.lr", [5, 6, 2, 1, 3, 4]),
    ("-params.lr", [1, 2, 5, 6, 3, 4]),
    ("max(val/acc)", [1, 2, 3, 4, 5, 6]),
    ("-max(val/acc)", [2, 1, 3, 4, 5, 6]),
    ("status", [6, 1, 4, 2, 5, 3]),
    ("-status, -number", [3, 5, 2, 4, 1, 6]),
    ("-tag:prod, -number", [4, 1, 6, 5, 2, 3]),
    ("hidden, -number", [6, 5, 2, 1, 3, 4]),
    ("missing", [1, 2, 3, 4, 5, 6]),
    ("-missing, -number", [6, 5, 4, 2, 1, 3]),
    (["-hidden", "status, -number"], [4, 6, 1, 2, 5, 3]),
]


@pytest.mark.parametrize(("order_by", "expected"), CASES, ids=[str(case[0]) for case in CASES])
def test_sorts(order_by: str | list[str], expected: list[int], runs: list[Row], extract_from: Extracts) -> None:
    assert _order(order_by, runs, extract_from) == expected


def test_equal_rows_keep_their_order_in_both_directions(extract_from: Extracts) -> None:
    rows = [{"metric:a": number % 3, "field:run_number": number} for number in range(300)]
    for order_by in ("a", "-a"):
        found = _order(order_by, rows, extract_from)
        assert found == sorted(found, key=lambda place: (place - 1) % 3 * (-1 if order_by[0] == "-" else 1))


def test_several_nans_and_texts_sort_among_themselves(extract_from: Extracts) -> None:
    values: list[object] = ["b", math.nan, 2, None, "a", math.inf, True, math.nan, -math.inf]
    rows = [{"metric:x": value} for value in values]
    assert _order("x", rows, extract_from) == [9, 7, 3, 6, 2, 8, 5, 1, 4]
    assert _order("-x", rows, extract_from) == [6, 3, 7, 9, 2, 8, 1, 5, 4]


def test_order_names_both_readings_of_what_may_be_either() -> None:
    (order,) = parse_order_by("-`val/acc`")
    term, descending = order
    assert (term, descending) == (Term("metric", "val/acc"), True)
    assert order.terms == (term, Term("metric", "val/acc", "last", "text"))
    assert parse_order_by("-max(a)")[0].terms == (Term("metric", "a", "max"),)
    assert parse_order_by("name")[0].terms == (Term("field", "name", "last", "text"),)


def test_nothing_to_sort_by_is_an_error() -> None:
    assert parse_order_by([]) == []
    with pytest.raises(QueryError):
        sort_indices([], pa.table({"a": [1]}))


def test_columns() -> None:
    found = parse_columns(["created, `val/acc`, metrics.status", "params.lr, max(`learning rate`), tag:v1.0, created"])
    assert [tuple(column) for column in found] == [
        ("created", Term("field", "created_utc")),
        ("val/acc", Term("metric", "val/acc")),
        ("metrics.status", Term("metric", "status")),
        ("params.lr", Term("param", "lr")),
        ("max(learning rate)", Term("metric", "learning rate", "max")),
        ("tag:v1.0", Term("tag", "v1.0", "last", "present")),
    ]
    assert [column.title for column in parse_columns("`duration`, metrics.loss, max(status)")] == [
        "duration",
        "loss",
        "max(status)",
    ]
