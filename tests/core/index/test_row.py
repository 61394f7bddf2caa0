"""Rows: entries in any order, twice, through any number of checkpoints give the same row."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runfolio.index.row import Row, apply, identical, join, main_end, main_writer

RUN = "iris_1700000000000-abcde"
WRITERS = ["main.0000000000000001", "main.0000000000000002", "rank1.0000000000000003"]


def start(main: str, note: str) -> tuple[str, dict[str, Any]]:
    return "start", {
        "format": 1,
        "wid": "u",
        "run": RUN,
        "uid": "u",
        "main": main,
        "note": note,
        "packages": {"a": "1"},
    }


def attempt(number: int, main: str) -> tuple[str, dict[str, Any]]:
    return "attempt", {"run": RUN, "attempt": number, "main": main}


def end(writer: str, rows: int) -> tuple[str, dict[str, Any]]:
    return "end", {"run": RUN, "writer": writer, "rows": rows, "status": "Completed", "new-field": [rows]}


def edit(field: str, value: object, stamp: int, token: str) -> tuple[str, dict[str, Any]]:
    return "edit", {"run": RUN, "field": field, "value": value, "stamp": stamp, "token": token}


writers = st.sampled_from(WRITERS)
entries = st.one_of(
    st.builds(start, writers, st.sampled_from(["one", "two"])),
    st.builds(attempt, st.sampled_from([2, 3, 10]), writers),
    st.builds(end, writers, st.integers(0, 2)),
    st.builds(
        edit,
        st.sampled_from(["name", "note", "tag:a", "x-b"]),
        st.sampled_from([None, True, 1, 1.0, "text"]),
        st.integers(1, 3),
        st.sampled_from(["aa", "bb"]),
    ),
)
deletes = st.just(("delete", {"run": RUN, "stamp": 9, "token": "dd"}))


def applied(row: Row, some: list[tuple[str, dict[str, Any]]]) -> Row:
    return reduce(lambda held, entry: apply(held, *entry), some, row)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(entries, entries, entries, entries, deletes), max_size=12), st.data())
def test_order_and_repetition_do_not_matter(some: list[tuple[str, dict[str, Any]]], data: st.DataObject) -> None:
    expected = applied({}, some)
    repeated = data.draw(st.lists(st.sampled_from(some), max_size=6)) if some else []
    assert identical(applied({}, data.draw(st.permutations([*some, *repeated]))), expected)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(entries, entries, entries, deletes), max_size=12), st.data())
def test_a_row_is_the_join_of_the_rows_of_any_parts(
    some: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    """Parts may overlap, as checkpoints do when a fold is repeated."""
    parts = data.draw(st.lists(st.lists(st.sampled_from(some), max_size=6), max_size=4)) if some else []
    rows = [applied({}, part) for part in [*parts, some]]
    assert identical(reduce(join, data.draw(st.permutations(rows)), Row()), applied({}, some))


@settings(deadline=None, max_examples=60)
@given(st.lists(entries, max_size=8), st.lists(entries, max_size=8))
def test_a_tombstone_absorbs_what_comes_before_and_after(
    before: list[tuple[str, dict[str, Any]]], after: list[tuple[str, dict[str, Any]]]
) -> None:
    deleted = applied(apply(applied({}, before), "delete", {"run": RUN}), after)
    assert deleted == {"deleted": True}


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 9), st.integers(0, 9))
def test_the_later_change_is_kept(one: int, other: int) -> None:
    rows = [Row(changed=number) if number else Row() for number in (one, other)]
    assert join(*rows).get("changed", 0) == max(one, other)


def test_neither_row_is_changed_by_joining() -> None:
    one = applied({}, [start(WRITERS[0], "one"), end(WRITERS[0], 1)])
    other = applied({}, [end(WRITERS[1], 2), edit("name", "x", 1, "aa")])
    copies = [dict(one), dict(one["ends"]), dict(other)]
    join(one, other)
    assert [dict(one), dict(one["ends"]), dict(other)] == copies


@pytest.mark.parametrize(
    ("first", "second", "wins"),
    [
        (("a", 1, "zz"), ("b", 2, "aa"), "b"),
        (("a", 2, "aa"), ("b", 2, "bb"), "b"),
        (("a", 3, "aa"), ("b", 2, "zz"), "a"),
    ],
)
def test_of_two_edits_of_a_field_the_larger_stamp_and_token_wins(
    first: tuple[str, int, str], second: tuple[str, int, str], wins: str
) -> None:
    for order in ([first, second], [second, first]):
        row = applied({}, [edit("name", *one) for one in order])
        assert row["edits"]["name"]["value"] == wins


def test_an_edit_does_not_touch_other_fields() -> None:
    row = applied({}, [edit("name", "x", 5, "aa"), edit("note", "y", 1, "aa")])
    assert {field: one["value"] for field, one in row["edits"].items()} == {"name": "x", "note": "y"}


def test_the_end_that_counts_is_that_of_the_highest_attempt() -> None:
    row = applied({}, [start(WRITERS[0], "one"), end(WRITERS[0], 1)])
    assert main_end(row) == row["ends"][WRITERS[0]]
    row = applied(row, [attempt(2, WRITERS[1])])
    assert main_writer(row) == WRITERS[1]
    assert main_end(row) is None
    row = applied(row, [attempt(10, WRITERS[2]), attempt(3, WRITERS[0]), end(WRITERS[1], 5)])
    assert main_end(row) is None, "a zombie of an older attempt changes nothing"
    assert main_end(applied(row, [end(WRITERS[2], 7)])) == {"rows": 7, "status": "Completed", "new-field": [7]}


def test_a_row_keeps_unknown_fields_and_drops_envelope_and_packages() -> None:
    row = applied({}, [start(WRITERS[0], "n"), end(WRITERS[0], 1)])
    assert row["start"] == {"uid": "u", "main": WRITERS[0], "note": "n"}
    assert row["ends"][WRITERS[0]]["new-field"] == [1]
