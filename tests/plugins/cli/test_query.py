"""JMESPath over records in which one name has many kinds: documented queries work, nothing ends in a traceback."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runfolio.errors import QueryError
from runfolio_plugins.cli.plain import plain
from runfolio_plugins.cli.query import search

MIXED = [0.5, "high", [0.1, 0.2], None, True, {"a": 1}, "NaN", 3, 0]


class MakeRecord(Protocol):
    """Makes a flat record; see conftest.py."""

    def __call__(self, **values: object) -> dict[str, Any]: ...


@pytest.fixture
def four(make_record: MakeRecord) -> list[dict[str, Any]]:
    """The four runs of the documented example: accuracies 0, 0.98, 1, 1."""
    return [
        make_record(run_id=f"Demo_1-aaaa{place}", Accuracy=value, duration=f"0:00:0{9 - place}")
        for place, value in enumerate([0.0, 0.98, 1.0, 1.0])
    ]


@pytest.fixture
def mixed(make_record: MakeRecord) -> list[dict[str, Any]]:
    """Runs with every kind of value under one name, and one without it."""
    records = [make_record(run_id=f"Demo_1-aaaa{place}", m=value, n=place) for place, value in enumerate(MIXED)]
    return [*records, make_record(run_id="Demo_1-zzzzz", duration=None)]


def test_best_value(four: list[dict[str, Any]]) -> None:
    assert search("@[?Accuracy != null] | max_by(@, &Accuracy).Accuracy", plain(four)) == 1.0


def test_within_a_margin_of_the_best_and_fastest_first(four: list[dict[str, Any]]) -> None:
    query = "@[?Accuracy >= sum(`[1, -0.03]`)] | sort_by(@, &duration)"
    assert [run["Accuracy"] for run in search(query, plain(four))] == [1.0, 1.0, 0.98]  # type: ignore[union-attr, call-overload, index]
    bounded = "@[?Accuracy >= sum(`[1, -0.03]`) && Accuracy <= `0.99`].Accuracy"
    assert search(bounded, plain(four)) == [0.98]


def test_by_status(four: list[dict[str, Any]]) -> None:
    assert len(search("[?status=='Completed']", plain(four))) == 4  # type: ignore[arg-type]
    assert len(search("[?status==`Completed`]", plain(four))) == 4  # type: ignore[arg-type]  # the old spelling of a text


def test_an_empty_list_gives_null_and_zero_passes_for_a_value(four: list[dict[str, Any]]) -> None:
    assert search("@[?Accuracy != null] | max_by(@, &Accuracy).Accuracy", []) is None
    assert len(search("[?Accuracy != null]", plain(four))) == 4  # type: ignore[arg-type]


def test_names_with_spaces_stand_in_quotes(make_record: MakeRecord) -> None:
    assert search('[?"Regularization Rate" > `1`] | [0].run_number', [make_record(**{"Regularization Rate": 5.0})]) == 8
    with pytest.raises(QueryError, match="double quotes"):
        search("[?Regularization Rate > `1`]", [])


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">=", "==", "!="])
def test_comparing_kinds_that_do_not_compare_is_false(mixed: list[dict[str, Any]], operator: str) -> None:
    for right in ("`1`", "'m'", "`[1]`", "`null`", "n"):
        kept = search(f"[?m {operator} {right}].run_id", plain(mixed))
        assert isinstance(kept, list)
    assert search("[?m > `0.4`].m", plain(mixed)) == [0.5, 3]
    assert search("[?m > 'a'].m", plain(mixed)) == ["high"]
    assert search("[].{c: m > `0.4`} | [1].c", plain(mixed)) is None


def test_the_best_of_mixed_kinds_is_a_number_and_the_rest_is_told(mixed: list[dict[str, Any]]) -> None:
    told: list[str] = []
    assert search("max_by(@, &m).m", plain(mixed), told.append) == 3
    assert search("min_by(@, &m).m", plain(mixed), told.append) == 0
    assert len(told) == 2
    assert told[0].startswith("max_by() left out 5 of 10, whose m does not compare: Demo_1-aaaa1 (the text 'high'), ")
    assert "Demo_1-aaaa2 (a list of 2)" in told[0]
    assert told[0].endswith("and 2 more")


def test_the_best_of_texts_and_of_nothing(make_record: MakeRecord) -> None:
    told: list[str] = []
    assert search("max_by(@, &script_name).script_name", [make_record(), make_record(script_name="z.py")]) == "z.py"
    assert search("max_by(@, &duration)", [make_record(duration=None)], told.append) is None
    assert told == []


def test_sorting_puts_numbers_before_texts_before_the_rest(mixed: list[dict[str, Any]]) -> None:
    told: list[str] = []
    found = search("sort_by(@, &m)[].m", plain(mixed), told.append)
    assert found == [0, 0.5, 3, "NaN", "high", [0.1, 0.2], True, {"a": 1}]
    assert "sort_by() put last 5 of 10" in told[0]


def test_a_running_run_sorts_last_by_duration(make_record: MakeRecord) -> None:
    told: list[str] = []
    records = plain([make_record(duration=None), make_record(duration="0:00:02"), make_record(duration="0:00:01")])
    assert search("sort_by(@, &duration)[*].duration", records, told.append) == ["0:00:01", "0:00:02"]
    assert told == []


@pytest.mark.parametrize("function", ["sum", "avg", "max", "min", "sort"])
def test_a_function_over_mixed_kinds_names_run_and_field(mixed: list[dict[str, Any]], function: str) -> None:
    with pytest.raises(QueryError) as caught:
        search(f"{function}([].m)", plain(mixed))
    assert "m: " in str(caught.value)
    assert "text in Demo_1-aaaa1" in str(caught.value)
    assert "list in Demo_1-aaaa2" in str(caught.value)
    assert f"{function}()" in str(caught.value)


def test_a_nan_is_named_too(make_record: MakeRecord) -> None:
    records = [make_record(run_id="Demo_1-aaaaa", loss=float("nan")), make_record(loss=0.5)]
    with pytest.raises(QueryError, match="NaN or infinite in Demo_1-aaaaa; number in the others"):
        search("sum([].loss)", plain(records))


def test_a_function_that_got_null_from_a_list_says_how_to_reach_inside(four: list[dict[str, Any]]) -> None:
    with pytest.raises(QueryError, match=r"\[\].NAME"):
        search("avg(Accuracy)", plain(four))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("[", "ends too early"),
        ("[?a > 1]", "numbers in backquotes"),
        ("$", "cannot be read"),
        ("foo(@)", "sort_by"),
        ("length(@, @)", "takes 1"),
        ("&a", "reference"),
        ("[::0]", "slice"),
        ("ceil(`1e999`)", "does not fit"),
        ("contains('abc', `1`)", "does not fit"),
        ("length(`1`)", "got the number 1"),
        ("keys(@)", "got a list"),
        ("(" * 5000 + "a" + ")" * 5000, "deep"),
        ("!" * 100_000 + "a", "deep"),
    ],
)
def test_a_bad_query_is_an_error_of_ours(query: str, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        search(query, [{"a": 1}])
    assert said in str(caught.value)


def test_the_place_of_a_mistake_is_marked() -> None:
    with pytest.raises(QueryError) as caught:
        search("[?a = `1`]", [])
    _, expression, mark, _ = str(caught.value).split("\n")
    assert expression[mark.index("^")] == "="


def test_objects_of_a_query_keep_the_order_of_the_user(four: list[dict[str, Any]]) -> None:
    assert list(search("[0].{z: Accuracy, a: run_id}", plain(four))) == ["z", "a"]  # type: ignore[arg-type]


def test_one_record_can_be_asked_too(make_record: MakeRecord) -> None:
    assert search('params."opt.lr"', plain(make_record(params={"opt.lr": 0.5}))) == 0.5
    with pytest.raises(QueryError, match="list in Demo_1506000000250-k3f9q"):
        search("abs(m)", plain(make_record(m=[1.0])))


PIECES = [
    "@",
    "[]",
    "[*]",
    "[?m > `1`]",
    "[?m >= n]",
    ".m",
    ".n",
    "| ",
    "max_by(@, &m)",
    "sort_by(@, &m)",
    "min_by(@, &n)",
    "sum([].m)",
    "[0]",
    "[::2]",
    "length(@)",
    "{a: m}",
    "[m, n]",
    "to_number(m)",
    "!m",
    "&& n",
    "|| m",
    "'x'",
    "`2`",
    "(",
    ")",
    "&m",
    "ceil(m)",
    "map(&m, @)",
    "to_string(@)",
    "join(',', [].m)",
    "contains(m, n)",
    "<",
    "==",
    "?",
    '"',
    "`",
    "keys(@)",
    "values(@)",
    "avg([].n)",
    "reverse(m)",
    "type(m)",
    "not_null(m, n)",
    "merge(@)",
    "floor(n)",
]


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join) | st.text(max_size=12))
def test_no_query_over_mixed_records_raises_anything_else(mixed: list[dict[str, Any]], query: str) -> None:
    for data in (plain(mixed), plain(mixed[0])):
        with contextlib.suppress(QueryError):
            search(query, data)


def test_every_pair_of_kinds_in_every_function_that_orders(make_record: MakeRecord) -> None:
    for one, other in itertools.product(MIXED, repeat=2):
        records = plain([make_record(m=one), make_record(m=other)])
        for function in ("max_by", "min_by", "sort_by"):
            search(f"{function}(@, &m)", records)
