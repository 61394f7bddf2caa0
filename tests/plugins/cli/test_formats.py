"""The output formats of records, and of any shape that a query makes of them."""

from __future__ import annotations

import json
import math
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runfolio_plugins.cli.formats import OUTPUTS, json_text, render, tsv
from runfolio_plugins.cli.plain import plain
from runfolio_plugins.cli.runs_table import is_record, properties_table


class MakeRecord(Protocol):
    """Makes a flat record; see conftest.py."""

    def __call__(self, **values: object) -> dict[str, Any]: ...


def lines(data: object, output: str = "table") -> list[str]:
    """Return the lines of rendered data."""
    return render(plain(data), output).split("\n")


def test_the_table_of_runs_is_the_documented_one(make_record: MakeRecord) -> None:
    records = [
        make_record(**{"Accuracy": 0.6792452830188679, "Regularization Rate": 10.0}),
        make_record(
            **{"Accuracy": 0.98, "Regularization Rate": 5.0, "run_id": "Demo_1506000000000-aaaaa", "name": "x"}
        ),
    ]
    assert lines(records) == [
        (
            "Accuracy  Regularization Rate  Duration        Run_id                    Script_name      "
            "Start_time_utc                    Status"
        ),
        (
            "--------  -------------------  --------------  ------------------------  ---------------  "
            "--------------------------------  ---------"
        ),
        (
            "0.679245                   10  0:00:05.250125  Demo_1506000000250-k3f9q  iris_sklearn.py  "
            "2017-09-21T13:20:04.100000+00:00  Completed"
        ),
        (
            "    0.98                    5  0:00:05.250125  Demo_1506000000000-aaaaa  iris_sklearn.py  "
            "2017-09-21T13:20:04.100000+00:00  Completed"
        ),
    ]


def test_a_run_without_a_metric_has_an_empty_cell(make_record: MakeRecord) -> None:
    shown = lines([make_record(loss=1.5), make_record(duration=None)])
    assert shown[0].startswith("loss  Duration")
    assert shown[3].startswith(" " * 22 + "Demo_")


def test_list_and_text_metrics_stay_short(make_record: MakeRecord) -> None:
    shown = lines([make_record(precision=[0.5] * 300, prediction="x" * 10_000_000)])
    assert "[0.5, 0.5, 0.5, … 300 values]" in shown[2]
    assert len(shown[2]) < 300


def test_metrics_of_the_machine_are_no_columns(make_record: MakeRecord) -> None:
    assert lines([make_record(**{"system/cpu": 7.0, "b": 1, "A": 1})])[0].split() == [
        "A", "b", "Duration", "Run_id", "Script_name", "Start_time_utc", "Status",
    ]  # fmt: skip


def test_a_metric_that_clashes_keeps_its_long_name(make_record: MakeRecord) -> None:
    assert lines([make_record(**{"metrics.status": 1.0})])[0].startswith("metrics.status  Duration")


def test_nothing_acts_on_the_terminal(make_record: MakeRecord) -> None:
    record = make_record(
        **{"x\x1b[2J": "\x1b]0;t\x07", "script_name": "a\nb\u202e", "note": "\x9b1m", "tags": ["\x1b[0m"]}
    )
    for output in OUTPUTS:
        shown = render(plain([record]), output)
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
    assert len(lines([record])) == 3
    assert len(lines([record], "tsv")) == 1
    assert [record] == json.loads(render(plain([record]), "json"))


def test_json_has_the_words_for_what_it_lacks_and_full_precision() -> None:
    data = {"b": math.nan, "a": [math.inf, -math.inf], "c": 0.9066666666666666, "d": 2**60 + 1}
    shown = render(plain(data), "json")
    assert json.loads(shown) == {"a": ["Infinity", "-Infinity"], "b": "NaN", "c": 0.9066666666666666, "d": 2**60 + 1}
    assert list(json.loads(shown)) == ["a", "b", "c", "d"]


def test_keys_are_sorted_by_ascii_so_capitals_come_first(make_record: MakeRecord) -> None:
    keys = list(json.loads(render(plain(make_record(Zeta=1, alpha=2)), "json")))
    assert keys == sorted(keys)
    assert keys[0] == "Zeta"


def test_letters_of_all_languages_stay_readable() -> None:
    assert '"größe 漢 😀"' == json_text("größe 漢 😀")


def test_jsonc_colours_only_where_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    data = plain({"key": ['te"xt', 1.5, None]})
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert render(data, "json") == render(data, "jsonc")
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = render(data, "jsonc")
    assert '\x1b[34m"key"\x1b[0m' in coloured
    assert '\x1b[32m"te\\"xt"\x1b[0m' in coloured
    assert "\x1b[36mnull\x1b[0m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert render(data, "json") == render(data, "jsonc")


def test_tsv_is_one_line_a_run_with_all_digits(make_record: MakeRecord) -> None:
    record = make_record(acc=0.6792452830188679, note="x", script_name="a\tb\\c\nd", duration=None)
    assert tsv(plain([record])) == (
        "0.6792452830188679\t\tDemo_1506000000250-k3f9q\ta\\tb\\\\c\\nd\t2017-09-21T13:20:04.100000+00:00\tCompleted"
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, ""),
        ("word", "word"),
        (0.25, "0.25"),
        (True, "true"),
        (["a", "b"], "a\nb"),
        ([["a", 1], ["b", None]], "a\t1\nb\t"),
        ([{"x": 1, "y": [1, 2]}, {"z": "q"}], "1\t[1, 2]\t\n\t\tq"),
        ({"x": 1, "y": {"a": None}}, '1\t{"a": null}'),
        ([], ""),
    ],
)
def test_tsv_of_any_shape(data: object, expected: str) -> None:
    assert expected == tsv(plain(data, sort=False))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, [""]),
        ([], [""]),
        (0.9066666666, ["  Result", "--------", "0.906667"]),
        ("word", ["Result", "------", "word"]),
        (["a", None, "b"], ["Result", "------", "a", "", "b"]),
        ([["a", 1.0], ["b"]], ["Column1  Column2", "-------  -------", "a              1", "b"]),
        (
            [{"id": "a", "acc": 1.0}, {"id": "b", "lr": 0.5}],
            ["id  acc   lr", "--  ---  ---", "a     1", "b        0.5"],
        ),
        ({"b": 1, "a": "x"}, ["b  a", "-  -", "1  x"]),
        ([{"a": 1}, 7], ["Result", "------", "{a: 1}", "7"]),
    ],
)
def test_table_of_any_shape(data: object, expected: list[str]) -> None:
    assert expected == render(plain(data, sort=False), "table").split("\n")


def test_one_record_as_names_and_values(make_record: MakeRecord) -> None:
    table = properties_table(plain(make_record(loss=0.5, params={"lr": 0.1, "opt.name": "adam"})))  # type: ignore[arg-type]
    assert table.rows[0] == ["loss", 0.5]
    assert ["params.lr", 0.1] in table.rows
    assert ["params.opt.name", "adam"] in table.rows
    assert ["Status", "Completed"] in table.rows


def test_what_json_has_no_form_for_becomes_text() -> None:
    moment = datetime(2024, 1, 2, 3, 4, 5, 6, UTC)
    assert plain((moment, timedelta(seconds=1.5), b"x", {1: {2}})) == [
        "2024-01-02T03:04:05.000006+00:00", 1.5, "b'x'", {"1": [2]},
    ]  # fmt: skip


def test_a_part_of_a_record_is_no_record(make_record: MakeRecord) -> None:
    record = make_record()
    assert is_record(record)
    del record["run_number"]
    assert not is_record(record)


names = st.text(st.characters(), min_size=1, max_size=30)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=50)
values = st.recursive(
    scalars, lambda inside: st.lists(inside, max_size=5) | st.dictionaries(names, inside, max_size=5), max_leaves=10
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(names, values, max_size=6), max_size=5), st.sampled_from(OUTPUTS))
def test_any_records_in_any_format(make_record: MakeRecord, extras: list[dict[str, Any]], output: str) -> None:
    records = [{**extra, **{k: v for k, v in make_record().items() if k not in extra}} for extra in extras]
    shown = render(plain(records), output)
    assert shown.encode() or not records
    if output == "json":
        assert len(json.loads(shown)) == len(records)
    elif records:
        assert output == "jsonc" or len(shown.split("\n")) == len(records) + (2 if output == "table" else 0)


@settings(max_examples=150)
@given(values, st.sampled_from(OUTPUTS))
def test_any_data_in_any_format(data: Any, output: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        render(plain(data, sort=False), output).encode()
