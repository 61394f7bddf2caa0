"""Runs to query, as plain dicts, and the function that gives their columns as the index would."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
import pytest

if TYPE_CHECKING:
    from runfolio.query.terms import Term

Row: TypeAlias = Mapping[str, object]
"""One run: ``field:NAME``, ``param:NAME``, ``metric:NAME``, ``max:NAME`` hold values; ``tags`` is a set."""


def value_of(row: Row, term: Term) -> object:
    """What a run has under a term, of whatever kind."""
    if term.source == "tag":
        return True if term.name in row.get("tags", ()) else None  # type: ignore[operator]
    if term.source == "metric" and term.statistic != "last":
        return row.get(f"{term.statistic}:{term.name}")
    return row.get(f"{term.source}:{term.name}")


def column(rows: Sequence[Row], term: Term) -> pa.Array:
    """A column as `runfolio.index.columns.extract` gives it."""
    values = [value_of(row, term) for row in rows]
    if term.reading == "present":
        return pa.array([value is not None for value in values], pa.bool_())
    if term.reading == "text":
        return pa.array([value if isinstance(value, str) else None for value in values], pa.string())
    return pa.array([_number(value) for value in values], pa.float64())


def _number(value: object) -> float | None:
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, (bool, int, float)) else None


@pytest.fixture
def extract_from() -> Callable[[Sequence[Row]], Callable[[Term], pa.Array]]:
    """Make the extract function of some runs."""
    return lambda rows: lambda term: column(rows, term)


@pytest.fixture
def runs() -> list[Row]:
    """Six runs that differ in what they have."""

    def at(day: int) -> datetime:
        return datetime(2026, 3, day, 12, tzinfo=UTC)

    return [
        {
            "field:run_id": "iris_1-aaaaa",
            "field:run_number": 1,
            "field:status": "Completed",
            "field:created_utc": at(1),
            "field:duration_seconds": 90.0,
            "field:hidden": False,
            "field:name": "base",
            "param:lr": 0.1,
            "param:opt": "adam",
            "metric:val/acc": 0.8,
            "max:val/acc": 0.85,
            "min:val/acc": 0.1,
            "count:val/acc": 10,
            "tags": {"prod", "v1.0"},
        },
        {
            "field:run_id": "iris_2-bbbbb",
            "field:run_number": 2,
            "field:status": "Failed",
            "field:created_utc": at(2),
            "field:duration_seconds": 5400.0,
            "field:hidden": False,
            "field:name": "50% data",
            "param:lr": 0.01,
            "param:opt": "sgd",
            "metric:val/acc": math.nan,
            "max:val/acc": 0.95,
            "count:val/acc": 3,
            "tags": {"my-tag"},
        },
        {
            "field:run_id": "iris_3-ccccc",
            "field:run_number": None,
            "field:status": "Running",
            "field:created_utc": at(3),
            "field:duration_seconds": None,
            "field:hidden": False,
            "field:name": None,
            "param:lr": "auto",
            "param:opt": "Adam",
            "metric:val/acc": "high",
            "count:val/acc": 1,
            "tags": set(),
        },
        {
            "field:run_id": "iris_4-ddddd",
            "field:run_number": 4,
            "field:status": "Completed",
            "field:created_utc": at(4),
            "field:duration_seconds": 10.0,
            "field:hidden": True,
            "field:name": "it's",
            "param:layers.0": 64,
            "param:use gpu": True,
            "metric:val/acc": -math.inf,
            "tags": {"prod"},
        },
        {
            "field:run_id": "iris_5-eeeee",
            "field:run_number": 5,
            "field:status": "Lost",
            "field:created_utc": at(5),
            "field:duration_seconds": 0.0,
            "field:hidden": False,
            "field:name": "a_b",
            "param:lr": 0,
            "metric:status": 3.0,
            "metric:learning rate": 7,
            "max:duration": 2.0,
            "tags": set(),
        },
        {
            "field:run_id": "iris_6-fffff",
            "field:run_number": 6,
            "field:status": "Canceled",
            "field:created_utc": at(6),
            "field:hidden": False,
            "field:name": "two\nlines é",
            "metric:val/acc": 0.9,
            "param:lr": -0.0,
            "tags": set(),
        },
    ]
