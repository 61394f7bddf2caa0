"""SQL over the history: what can be asked, what is read for it, and that nothing else can be reached."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import runfolio as rf
from runfolio.errors import MissingDependencyError, QueryError
from runfolio.plugins import Plugins
from runfolio.sql.statement import read_statement
from runfolio.testing import CountingBackend


@pytest.fixture
def history(store_url: str) -> Iterator[rf.History]:
    """Two runs of project ``p``, one of another, each with rows and files."""
    with rf.open_history(store_url, project="p", plugins=Plugins(disabled=["system_metrics"])) as opened:
        for number, project in enumerate(["p", "p", "other"]):
            with opened.start_run(project, params={"lr": 0.5 + number}) as run:
                for step in range(3):
                    run.log("loss", step + number, step=step)
                run.log("kinds", "text")
                run.log("list", [1, 2])
                run.log_bytes("outputs/x.bin", b"x" * (number + 1))
                run.log_table("t", {"a": [1]})
        yield opened


def test_runs_have_fields_params_and_last_values(history: rf.History) -> None:
    found = history.sql('select run_number, status, "params.lr" as lr, loss from runs order by run_number')
    assert found.to_pylist() == [
        {"run_number": 1, "status": "Completed", "lr": 0.5, "loss": 2},
        {"run_number": 2, "status": "Completed", "lr": 1.5, "loss": 3},
    ]


def test_metrics_have_the_columns_of_the_format(history: rf.History) -> None:
    found = history.sql("select * from metrics limit 0")
    assert found.column_names == [
        "project", "run_id", "writer", "name", "step", "index", "time", "kind", "value", "text"
    ]  # fmt: skip
    sums = history.sql("select project, sum(value) as total from metrics where name = 'loss' group by all", "*")
    assert {row["project"]: row["total"] for row in sums.to_pylist()} == {"p": 3 + 6, "other": 9}


def test_artifacts_are_what_the_manifests_say(history: rf.History) -> None:
    found = history.sql("select path, size, kind from artifacts where path like '%.bin' order by size")
    assert found.to_pylist() == [
        {"path": "outputs/x.bin", "size": 1, "kind": "file"}, {"path": "outputs/x.bin", "size": 2, "kind": "file"}
    ]  # fmt: skip
    assert history.sql("select sha256 from artifacts").column("sha256").null_count == 0


def test_tables_are_joined_and_read_twice(history: rf.History) -> None:
    found = history.sql(
        "with best as (select run_id, max(value) as most from metrics where name = 'loss' group by run_id) "
        "select r.run_number, b.most, count(m.step) as points from Runs r join best b using (run_id) "
        "join metrics m on m.run_id = r.run_id and m.name = 'loss' group by all order by all"
    )
    assert found.to_pylist() == [
        {"run_number": 1, "most": 2.0, "points": 3}, {"run_number": 2, "most": 3.0, "points": 3}
    ]  # fmt: skip


def test_a_condition_and_a_project_narrow_the_tables(history: rf.History) -> None:
    assert history.sql("select count(*) as n from runs", "*").to_pylist() == [{"n": 3}]
    assert history.sql("select count(*) as n from metrics", where="params.lr < 1").to_pylist() == [{"n": 6}]


def test_archived_runs_are_there_and_deleted_ones_are_not(history: rf.History) -> None:
    first, second = history.runs(order_by="run_number")
    first.archive()
    second.delete()
    assert history.sql("select run_number, hidden from runs").to_pylist() == [{"run_number": 1, "hidden": True}]
    assert history.sql("select distinct run_id from metrics")["run_id"].to_pylist() == [first.id]
    assert history.sql("select distinct run_id from artifacts")["run_id"].to_pylist() == [first.id]


def test_names_that_differ_in_case_are_two_columns(store_url: str) -> None:
    with rf.open_history(store_url, project="p", plugins=Plugins(disabled=["system_metrics"])) as history:
        with history.start_run() as run:
            run.log("Loss", 1.0)
            run.log("loss", 2.0)
        assert history.sql('select "Loss", "loss_1" from runs').to_pylist() == [{"Loss": 1.0, "loss_1": 2.0}]


def test_columns_of_one_name_are_all_kept(history: rf.History) -> None:
    assert history.sql("select 1 as a, 2 as a, 3 as A").to_pylist() == [{"a": 1, "a_1": 2, "A_2": 3}]


def test_only_what_is_named_is_read(history: rf.History, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = CountingBackend(history._connection.raw)
    monkeypatch.setattr(history._connection, "_raw", counting)
    monkeypatch.setattr(history._connection, "_index", None)
    history.sql("select 'metrics' as metrics, 'from artifacts' as text -- from metrics")
    assert [one for one in counting.requests if one.key != "runfolio.json"] == []
    history.sql("select count(*) from runs")
    assert not any("/live/" in one.key or "manifest" in one.key or "runs/" in one.key for one in counting.requests)
    history.sql("select count(*) from metrics")
    assert any("/metrics/" in one.key for one in counting.requests)
    assert not any("/manifest-" in one.key for one in counting.requests)


UNREAD = "many words, all refused before a request is made"
SECRET = "secret.parquet"
REFUSED = [
    f"select * from '{SECRET}'",
    f"select * from read_parquet('{SECRET}')",
    f"select * from parquet_scan('{SECRET}')",
    "select * from read_csv('secret.csv')",
    "select * from read_text('secret.csv')",
    "select * from read_blob('secret.csv')",
    "select * from read_json('secret.csv')",
    "select * from sniff_csv('secret.csv')",
    "select * from glob('*')",
    f"select * from parquet_metadata('{SECRET}')",
    f"with x as (select * from '{SECRET}') select * from x",
    f"select (select count(*) from '{SECRET}')",
    f"describe select * from '{SECRET}'",
    f"select * from query('select * from read_parquet(''{SECRET}'')')",
    "select * from query_table('runs')",
    "copy runs to 'out.csv'",
    f"copy (select 1) to '{SECRET}'",
    "export database 'out'",
    "attach 'other.db'",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "set python_enable_replacements = true",
    "reset enable_external_access",
    "pragma enable_external_access = true",
    "pragma database_list",
    "call enable_logging()",
    "create table x as select 1",
    "insert into runs values (1)",
    "delete from runs",
    "drop view runs",
    "create macro f(x) as x",
    "select 1; select 2",
    "select 1; copy runs to 'out.csv'",
    "explain analyze select 1",
    "select * from python_variable",
    "select * from arrow_scan(1, 2, 3)",
    "select * from pandas_scan(1)",
    "select * from duckdb_settings()",
    "select * from duckdb_secrets()",
    "select * from information_schema.tables",
    "select * from main.runs",
    "show tables",
    "show all tables",
    "",
    "-- nothing",
]


@pytest.mark.clouds_on_request(UNREAD)
@pytest.mark.parametrize("statement", REFUSED)
def test_nothing_else_can_be_reached(
    history: rf.History, statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    python_variable = pa.table({"a": [1]})
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 1 as a) to '{SECRET}'; copy (select 1 as a) to 'secret.csv'")
    before = {path: path.read_bytes() for path in tmp_path.glob("*") if path.is_file()}
    with pytest.raises(QueryError) as caught:
        history.sql(statement)
    assert "position" in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.glob("*") if path.is_file()} == before
    assert python_variable.num_rows == 1


ITSELF = ("duckdb_", "information_schema", "main.runs", "query_table")
"""What shows only the database itself, which holds nothing but our tables."""


@pytest.mark.clouds_on_request(UNREAD)
@pytest.mark.parametrize(
    "statement",
    [
        one
        for one in REFUSED
        if one.startswith(("select * from", "copy", "set", "attach")) and not any(word in one for word in ITSELF)
    ],
)
def test_the_database_refuses_too_what_the_parser_would_let_through(
    history: rf.History, statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two doors: where ours is left open, DuckDB's own is shut to files, settings and Python variables."""
    from runfolio.sql import statement as module

    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 1 as a) to '{SECRET}'; copy (select 1 as a) to 'secret.csv'")
    before = sorted(path.name for path in tmp_path.iterdir())
    monkeypatch.setattr(module, "read_statement", lambda connection, text: module.Statement(text, frozenset({"runs"})))
    with pytest.raises(QueryError):
        history.sql(statement)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("selct 1", 1),
        ("select 'é' from nowhere", 17),
        ("select * from runs,\n  read_csv('x')", 23),
    ],
)
def test_errors_show_the_place(history: rf.History, statement: str, position: int) -> None:
    with pytest.raises(QueryError, match=f"position {position}:"):
        history.sql(statement)


def test_an_unknown_column_is_shown_in_its_line(history: rf.History) -> None:
    with pytest.raises(QueryError) as caught:
        history.sql("select run_id,\n  nope from runs")
    assert "LINE 2:   nope from runs" in str(caught.value)


def test_harmless_statements_pass() -> None:
    with duckdb.connect() as connection:
        for text, tables in {
            "from runs": {"runs"},
            "values (1)": set[str](),
            "select * from range(3)": set[str](),
            "describe metrics": {"metrics"},
            "summarize runs": {"runs"},
            "select * from runs where run_id in (select run_id from METRICS)": {"runs", "metrics"},
            "with x as (select 1 as a) select * from x": set[str](),
            "select * from (values (1)) as artifacts": set[str](),
            "select 'x.parquet', 'select * from metrics' -- artifacts": set[str](),
            "select 1;": set[str](),
        }.items():
            assert read_statement(connection, text).tables == tables, text


def test_without_duckdb_the_extra_is_named(history: rf.History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingDependencyError, match=r"runfolio\[sql\]"):
        history.sql("select 1")


def test_many_rows_are_warned_about(
    history: rf.History, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from runfolio.sql import contents

    history.sql("select count(*) from metrics")
    assert not caplog.records
    monkeypatch.setattr(contents, "MANY_ROWS", 12)
    history.sql("select count(*) from metrics")
    assert "12 rows" in caplog.text
