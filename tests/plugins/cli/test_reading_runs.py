"""`list`, `last`, `info`, `best` and `compare` on a real store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import Result

import runfolio

PRINTED = pytest.mark.clouds_on_request("what others read there as well, printed in many ways")
Invoke = Callable[..., Result]
KEYS = [
    "arguments",
    "attachments",
    "created_utc",
    "description",
    "duration",
    "duration_seconds",
    "end_time_utc",
    "experiment",
    "experiment_id",
    "heartbeat_enabled",
    "hidden",
    "name",
    "params",
    "parent_run_id",
    "project",
    "properties",
    "run_id",
    "run_number",
    "script_name",
    "start_time_utc",
    "status",
    "tags",
    "target",
    "user_id",
]


class Filled(Protocol):
    """A store with runs; see conftest.py."""

    url: str
    ids: list[str]
    other: str
    at: list[str]


def numbers(result: Result) -> list[int]:
    """Return the run numbers in a JSON listing."""
    return [run["run_number"] for run in json.loads(result.stdout)]


def test_the_table_is_the_default_of_list(invoke: Invoke, filled: Filled) -> None:
    result = invoke("list", *filled.at)
    header, dashes, *rows = result.stdout.splitlines()
    assert header.split() == [
        "Accuracy", "Regularization", "Rate", "loss", "metrics.status", "mixed", "nan", "Duration", "Run_id",
        "Script_name", "Start_time_utc", "Status",
    ]  # fmt: skip
    assert set(dashes) == {"-", " "}
    assert [row.split()[0] for row in rows] == ["0", "1", "0.98", "0.679245"]
    assert [row.split()[1] for row in rows] == ["1.25", "2.5", "5", "10"]
    assert "text\\x1b[2J" in rows[2]
    assert "[1, 2, 1, … 200 values]" in rows[1]
    assert all(row.endswith("Completed") for row in rows)
    assert "\x1b" not in result.stdout
    assert result.stderr == ""


@PRINTED
def test_json_has_flat_records_newest_first(invoke: Invoke, filled: Filled) -> None:
    runs = json.loads(invoke("list", "-o", "json", *filled.at).stdout)
    assert [run["run_id"] for run in runs] == filled.ids[::-1]
    for run in runs:
        assert list(run) == sorted(run)
        assert set(KEYS) <= set(run)
    assert runs[3]["Accuracy"] == 0.6792452830188679
    assert runs[1]["nan"] == "NaN"
    assert runs[1]["mixed"] == [1.0, 2.0] * 100
    assert runs[0]["status"] == "Completed"
    assert runs[0]["metrics.status"] == "a metric named like a field"
    assert runs[3]["attachments"] == "logs/driver_log.txt, outputs/model.pkl"


@PRINTED
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--where", "params.rate > 2"], [3, 2, 1]),
        (["--where", "tag:even and Accuracy > 0.9"], [3]),
        (["--order-by", "-Accuracy"], [3, 2, 1, 4]),
        (["--order-by", "`Regularization Rate`", "--limit", "2"], [4, 3]),
        (["--limit", "0"], []),
        (["--experiment", "other.py"], [4]),
        (["--user", "ada"], [4, 3, 2, 1]),
        (["--user", "bob"], []),
        (["--archived"], []),
        (["--all"], [4, 3, 2, 1]),
    ],
)
def test_filters(invoke: Invoke, filled: Filled, options: list[str], expected: list[int]) -> None:
    assert numbers(invoke("list", "-o", "json", *options, *filled.at)) == expected


@PRINTED
def test_mine(invoke: Invoke, filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNFOLIO_USER", "bob")
    assert numbers(invoke("list", "-o", "json", "--mine", *filled.at)) == []
    monkeypatch.setenv("RUNFOLIO_USER", "ada")
    assert numbers(invoke("list", "-o", "json", "--mine", *filled.at)) == [4, 3, 2, 1]


@PRINTED
def test_all_projects(invoke: Invoke, filled: Filled) -> None:
    runs = json.loads(invoke("list", "-o", "json", "--store", filled.url, "--project", "*").stdout)
    assert {run["project"] for run in runs} == {"demo", "other one"}


@PRINTED
def test_the_project_of_the_current_folder_is_the_default(invoke: Invoke, filled: Filled) -> None:
    Path("runfolio.toml").write_text('project = "other one"\n', encoding="utf-8")
    assert filled.other in invoke("list", "--store", filled.url).stdout


@PRINTED
def test_nothing_to_list_is_said_beside_the_output(invoke: Invoke, filled: Filled) -> None:
    for output, expected in (("table", ""), ("tsv", ""), ("json", "[]\n")):
        result = invoke("list", "-o", output, "--where", "Accuracy > 7", *filled.at)
        assert result.stdout == expected
        assert "no run of the project 'demo' that fits" in result.stderr
        assert filled.url in result.stderr


@PRINTED
def test_columns(invoke: Invoke, filled: Filled) -> None:
    columns = "name, params.rate, min(loss), max(loss), loss, tag:even, params.opt.name, duration, properties.CommitId"
    result = invoke("list", "-o", "json", "--columns", columns, "--columns", "system/cpu", *filled.at)
    rows = json.loads(result.stdout)
    assert list(rows[2]) == [*columns.split(", "), "system/cpu"]
    assert list(rows[2].values())[:7] == ["run 1", 5.0, 1.0, 3.0, 2.0, False, "adam"]
    assert rows[2]["duration"].startswith("0:00:0")
    assert [row["system/cpu"] for row in rows] == [None, 50.0, None, None]
    table = invoke("list", "--columns", "name,status,Accuracy", *filled.at).stdout.splitlines()
    assert table[0] == "Name   Status     Accuracy"
    assert table[5] == "run 0  Completed  0.679245"
    assert invoke("list", "--columns", "name", "-o", "tsv", "--limit", "1", *filled.at).stdout == "run 3\n"


@PRINTED
def test_configured_output(invoke: Invoke, filled: Filled) -> None:
    Path("runfolio.toml").write_text('[output]\nformat = "table"\ncolumns = ["name"]\nlimit = 2\n', encoding="utf-8")
    assert invoke("list", *filled.at).stdout == "Name\n-----\nrun 3\nrun 2\n"
    assert len(json.loads(invoke("list", "-o", "json", *filled.at).stdout)) == 4
    assert invoke("last", *filled.at).stdout.startswith("Accuracy  Regularization Rate")


@PRINTED
@pytest.mark.parametrize("option", ["--where", "--order-by", "--columns"])
def test_a_bad_query_shows_the_place(invoke: Invoke, filled: Filled, option: str) -> None:
    result = invoke("list", option, "name = = 1 (", *filled.at, code=1)
    assert result.stderr.startswith("Error: ")
    assert "^" in result.stderr or "column" in result.stderr
    assert result.stdout == ""


@PRINTED
def test_documented_queries(invoke: Invoke, filled: Filled) -> None:
    best = invoke("list", "--query", "@[?Accuracy != null] | max_by(@, &Accuracy).Accuracy", "-o", "json", *filled.at)
    assert best.stdout == "1.0\n"
    near = invoke(
        "list", "--query", "@[?Accuracy >= sum(`[1, -0.03]`)] | sort_by(@, &duration)", "-o", "table", *filled.at
    )
    assert len(near.stdout.splitlines()) == 4
    done = invoke("list", "--query", "[?status=='Completed']", "-o", "table", *filled.at)
    assert done.stdout == invoke("list", *filled.at).stdout


@PRINTED
def test_a_query_over_mixed_kinds_names_run_and_field(invoke: Invoke, filled: Filled) -> None:
    found = invoke("list", "-o", "json", "--query", "max_by(@, &mixed).mixed", *filled.at)
    assert found.stdout == "0.25\n"
    assert filled.ids[1] in found.stderr
    assert "mixed" in found.stderr
    assert "\x1b" not in found.stderr
    failed = invoke("list", "--query", "sum([].mixed)", *filled.at, code=1)
    assert failed.stderr.startswith("Error: ")
    assert f"mixed: list in {filled.ids[2]}; text in {filled.ids[1]}" in failed.stderr.replace("number in", "|") or (
        filled.ids[1] in failed.stderr and filled.ids[2] in failed.stderr
    )
    assert invoke("list", "--query", "[?mixed > `0.1`].run_number", "-o", "tsv", *filled.at).stdout == "4\n"


@PRINTED
def test_last(invoke: Invoke, filled: Filled) -> None:
    record = json.loads(invoke("last", *filled.at).stdout)
    assert record["run_id"] == filled.ids[3]
    assert invoke("last", "--query", "status", "-o", "tsv", *filled.at).stdout == "Completed\n"


@PRINTED
def test_one_run_says_how_it_ended(invoke: Invoke, filled: Filled) -> None:
    for command in (["last"], ["info", "#4"]):
        ending = json.loads(invoke(*command, *filled.at).stdout)["ending"]
        assert ending == {"reason": None, "exit_code": 0, "traceback": None, "failed_uploads": [], "left_behind": []}
    assert "ending" not in json.loads(invoke("list", "-o", "json", *filled.at).stdout)[0]


@PRINTED
def test_last_is_mine_unless_widened(invoke: Invoke, filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNFOLIO_USER", "bob")
    assert "bob" in invoke("last", *filled.at, code=1).stderr
    assert filled.ids[3] in invoke("last", "--any-user", *filled.at).stdout
    assert filled.ids[3] in invoke("info", "@last:any", *filled.at).stdout


@PRINTED
@pytest.mark.parametrize("form", ["id", "short", "number", "project number", "last", "@last", "-r", "--run", "both"])
def test_a_run_is_given_as_a_word_or_an_option(invoke: Invoke, filled: Filled, form: str) -> None:
    whole = filled.ids[3]
    words = {
        "id": [whole], "short": [whole[-5:]], "number": ["#4"], "project number": ["demo#4"], "last": ["last"],
        "@last": ["@last"], "-r": ["-r", whole[-5:]], "--run": ["--run", "#4"], "both": ["#4", "-r", "#4"],
    }[form]  # fmt: skip
    assert json.loads(invoke("info", *words, *filled.at).stdout)["run_id"] == whole


@PRINTED
def test_no_run_or_two_are_usage_errors(invoke: Invoke, filled: Filled) -> None:
    assert "Which run?" in invoke("info", *filled.at, code=2).stderr
    assert "Two runs" in invoke("info", "#1", "-r", "#2", *filled.at, code=2).stderr


@PRINTED
@pytest.mark.parametrize("word", ["zzzzz", "nothing at all", "#99", "demo_1506000000000-aaaaa", "\x1b[2J"])
def test_a_run_that_is_not_there(invoke: Invoke, filled: Filled, word: str) -> None:
    result = invoke("info", word, *filled.at, code=1)
    assert result.stderr.startswith("Error: ")
    assert filled.url in result.stderr
    assert "runfolio list" in result.stderr
    assert "\x1b" not in result.stderr


@PRINTED
def test_info_as_a_table_shows_everything_once(invoke: Invoke, filled: Filled) -> None:
    lines = invoke("info", "#2", "-o", "table", *filled.at).stdout.splitlines()
    assert lines[0].split() == ["Name", "Value"]
    cells = dict(line.split(maxsplit=1) for line in lines[2:] if len(line.split()) > 1)
    assert cells["loss"] == "2"
    assert cells["params.rate"] == "5"
    assert cells["Status"] == "Completed"
    assert cells["mixed"] == "text\\x1b[2J"


def test_info_prints_files(invoke: Invoke, filled: Filled) -> None:
    for name in ("driver_log", "driver_log.txt", "logs/driver_log.txt", "./logs/driver_log.txt"):
        assert invoke("info", "#1", "-a", name, *filled.at).stdout_bytes == "rate 10.0\nGröße\n".encode()
    for name in ("outputs/model.pkl", "model.pkl"):
        assert invoke("info", "#2", "--artifact", name, *filled.at).stdout_bytes == b"\0\x80" * 100 + b"\1"
    assert invoke("info", "#3", "-a", "c.png", *filled.at).stdout_bytes == b"bc"


@PRINTED
def test_info_of_a_file_that_is_not_there(invoke: Invoke, filled: Filled) -> None:
    result = invoke("info", "#1", "-a", "control_log", *filled.at, code=1)
    assert result.stdout == ""
    assert "'control_log'" in result.stderr
    assert "outputs/model.pkl" in result.stderr


@PRINTED
def test_info_lists_files(invoke: Invoke, filled: Filled) -> None:
    files = json.loads(invoke("info", "#3", "--artifacts", *filled.at).stdout)
    assert [one["path"] for one in files] == [
        "logs/driver_log.txt", "outputs/model.pkl", "outputs/plots/a.png", "outputs/plots/b/c.png",
    ]  # fmt: skip
    assert (files[2]["size"], len(files[2]["sha256"]), files[2]["media_type"]) == (1, 64, "image/png")
    assert "outputs/model.pkl" in invoke("info", "#3", "--artifacts", "-o", "table", *filled.at).stdout


@PRINTED
def test_best_takes_the_best_value_of_the_series(invoke: Invoke, filled: Filled) -> None:
    result = invoke("best", "loss", *filled.at)
    record: dict[str, Any] = json.loads(result.stdout)
    assert record["run_id"] == filled.ids[1]
    assert record["loss"] == 2.0
    assert record["best"] == {"goal": "min", "metric": "loss", "step": 1, "value": 1.0}
    assert "falls to 1" in result.stderr
    assert "--goal" not in result.stderr


@PRINTED
def test_best_says_when_it_has_to_guess(invoke: Invoke, filled: Filled) -> None:
    result = invoke("best", "Accuracy", "--query", "best.value", *filled.at)
    assert result.stdout == "1.0\n"
    assert "--goal" in result.stderr
    lowest = invoke("best", "Accuracy", "--goal", "min", "--query", "run_id", "-o", "tsv", *filled.at)
    assert lowest.stdout == f"{filled.ids[3]}\n"
    assert "define_metric" not in lowest.stderr


@PRINTED
def test_best_of_a_metric_that_no_run_has(invoke: Invoke, filled: Filled) -> None:
    assert "'nothing'" in invoke("best", "nothing", *filled.at, code=1).stderr


@PRINTED
def test_best_as_a_table_is_a_line_of_the_list(invoke: Invoke, filled: Filled) -> None:
    lines = invoke("best", "Accuracy", "-o", "table", *filled.at).stdout.splitlines()
    assert len(lines) == 3
    assert filled.ids[2] in lines[2]


@PRINTED
def test_compare_shows_what_differs(invoke: Invoke, filled: Filled) -> None:
    lines = invoke("compare", "#1", "#2", *filled.at).stdout.splitlines()
    assert lines[0].split() == ["Section", "Name", filled.ids[0], filled.ids[1], "Difference"]
    assert lines[2].split() == ["record", "run_number", "1", "2"]
    rows = [line.split() for line in lines[2:]]
    assert rows[1:3] == [["params", "rate", "10", "5", "-5", "(-50.0%)"], ["arguments", "--rate", "10.0", "5.0"]]
    assert ["metrics", "Accuracy", "0.679245", "0.98", "+0.300755", "(+44.3%)"] in rows
    (model,) = [row for row in rows if row[1] == "outputs/model.pkl"]
    assert [len(cell) for cell in model[2:]] == [12, 12]
    assert not [row for row in rows if row[:2] in (["record", "status"], ["params", "opt.name"])]
    assert "\x1b" not in "".join(lines)


@PRINTED
def test_compare_all_and_three_runs(invoke: Invoke, filled: Filled) -> None:
    result = invoke("compare", "#1", "-r", "#2", "#3", "--all", "-o", "json", *filled.at)
    found = json.loads(result.stdout)
    assert found["runs"] == [filled.ids[0], filled.ids[2], filled.ids[1]]
    assert found["sections"]["params"]["opt.name"] == {
        "differs": False, "difference": 0.0, "values": ["adam"] * 3
    }  # fmt: skip
    assert found["sections"]["params"]["rate"] == {"differs": True, "difference": 0.75, "values": [10.0, 2.5, 5.0]}
    assert set(found["sections"]) == {
        "record", "params", "arguments", "metrics", "summary", "properties", "hardware", "packages", "artifacts",
    }  # fmt: skip


def test_compare_tells_where_curves_part_and_the_best_values(invoke: Invoke, store_url: str) -> None:
    with runfolio.open_history(store_url, project="demo") as history:
        for last in (0.25, 0.75):
            with history.start_run(system_metrics=False) as run:
                run.define_metric("loss", goal="min")
                for step, loss in enumerate([2.0, 0.5, last]):
                    run.log("loss", loss, step=step)
    at = ["--store", store_url, "--project", "demo"]
    rows = [line.split() for line in invoke("compare", "#1", "#2", *at).stdout.splitlines()]
    assert ["metrics", "loss", "0.25", "0.75", "+0.5", "(+200.0%),", "apart", "from", "step", "2", "on"] in rows
    assert ["metrics", "loss", "(best:", "min)", "0.25", "0.5", "+0.25", "(+100.0%)"] in rows
    query = ["--query", "sections.metrics.loss.[diverges_at, best, best_changes]", "-o", "json"]
    assert json.loads(invoke("compare", "#1", "#2", *query, *at).stdout) == [2, [0.25, 0.5], [0.0, 0.25]]


@PRINTED
def test_compare_needs_two_different_runs(invoke: Invoke, filled: Filled) -> None:
    assert "2 or more" in invoke("compare", "#1", *filled.at, code=2).stderr
    assert "2 or more" in invoke("compare", "#1", "#1", *filled.at, code=2).stderr
    assert "same run" in invoke("compare", "#1", filled.ids[0], *filled.at, code=2).stderr


@pytest.mark.parametrize("command", [["list"], ["last"], ["info", "@last"], ["best", "x"], ["compare", "#1", "#2"]])
def test_reading_where_no_store_is_names_the_path_and_makes_nothing(invoke: Invoke, command: list[str]) -> None:
    result = invoke(*command, "--store", "nowhere/at all", code=1)
    assert result.stderr.startswith("Error: ")
    assert (
        str(Path("nowhere/at all").absolute()).replace(" ", "%20") in result.stderr
        or str(Path("nowhere/at all").absolute()) in result.stderr
    )
    assert not Path("nowhere").exists()


def test_an_unknown_scheme_is_an_error(invoke: Invoke) -> None:
    assert "nosuch" in invoke("list", "--store", "nosuch://x/y", code=1).stderr


def test_a_running_run_has_no_duration_and_says_why_it_has_no_files(invoke: Invoke, store_url: str) -> None:
    at = ["--store", store_url]
    with runfolio.open_history(store_url, project="demo") as history:
        run = history.start_run(system_metrics=False)
        run.log("loss", 0.5)
        assert run.flush(60)
        record = json.loads(invoke("info", run.id, *at).stdout)
        assert (record["status"], record["duration"], record["end_time_utc"]) == ("Running", None, None)
        missing = invoke("info", run.id, "-a", "driver_log", *at, code=1).stderr
        assert "it is Running" in missing
        table = invoke("list", "--project", "demo", *at).stdout
        assert table.splitlines()[2].endswith("Running")
        run.finish()
