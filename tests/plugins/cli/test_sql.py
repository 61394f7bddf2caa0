"""``runfolio sql``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Invoke = Callable[..., Any]


def test_a_table_has_the_columns_of_the_statement(invoke: Invoke, filled: Any) -> None:
    done = invoke("sql", "select run_number, status from runs order by run_number desc limit 1", *filled.at)
    assert [line.split() for line in done.stdout.splitlines() if line.strip("- ")] == [
        ["run_number", "status"], ["4", "Completed"]
    ]  # fmt: skip


def test_json_has_plain_numbers_and_keeps_the_order(invoke: Invoke, filled: Any) -> None:
    done = invoke("sql", "select sum(run_number) as total, 'x' as a from runs", *filled.at, "-o", "json")
    assert json.loads(done.stdout) == [{"total": 10, "a": "x"}]
    assert done.stdout.index("total") < done.stdout.index('"a"')


def test_tsv_and_query(invoke: Invoke, filled: Any) -> None:
    done = invoke("sql", "select 1 as a, 'b' as b", *filled.at, "-o", "tsv")
    assert done.stdout == "1\tb\n"
    assert invoke("sql", "select 1 as a", *filled.at, "--query", "[0].a", "-o", "json").stdout == "1\n"


def test_every_project_and_a_condition(invoke: Invoke, filled: Any) -> None:
    at = ["--store", filled.url, "-o", "tsv"]
    assert invoke("sql", "select count(*) from runs", *at, "--project", "*").stdout == "5\n"
    assert invoke("sql", "select count(*) from runs", *at, "--project", "demo", "--where", "tag:even").stdout == "2\n"


@pytest.mark.parametrize("statement", ["selct 1", "copy runs to 'x.csv'", "select * from 'x.parquet'"])
def test_refusals_are_one_error_with_its_place(invoke: Invoke, filled: Any, statement: str) -> None:
    done = invoke("sql", statement, *filled.at, code=1)
    assert done.stderr.startswith("Error: Cannot read the query at position ")
    assert "^" in done.stderr
