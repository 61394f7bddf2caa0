"""Rows in columns: nothing is lost, whatever a document holds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runfolio.errors import FormatError, IndexDamagedError
from runfolio.index import checkpoint
from runfolio.index.checkpoint import Base, Checkpoint, dump, load
from runfolio.index.encoding import decode, encode
from runfolio.index.row import Row, apply, identical
from runfolio.index.schema import CHECKPOINT

RUN = "iris_1700000000000-abcde"
WRITERS = ["main.0000000000000001", "main.0000000000000002", "rank1.0000000000000003", "foreign"]
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words)
json_values = st.recursive(
    scalars, lambda one: st.lists(one, max_size=3) | st.dictionaries(words, one, max_size=3), max_leaves=6
)
times = st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='microseconds')}+00:00")
mappings = st.dictionaries(words, st.one_of(scalars, st.lists(scalars, max_size=3)), max_size=3)


def field(*usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What a field usually holds, and now and then anything at all."""
    return st.one_of(*usual, *usual, *usual, json_values)


summaries = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["float", "int", "bool", "str", "empty"]),
            "count": st.integers(1, 5),
            "last": scalars,
        },
        optional={
            "last_step": st.integers(0, 9),
            "list": st.booleans(),
            "min": scalars,
            "max": scalars,
            "min_step": st.integers(0, 9),
            "truncated": st.integers(0, 9),
        },
    ),
    json_values,
)
starts = st.fixed_dictionaries(
    {"uid": field(st.just("0" * 31 + "a")), "main": st.sampled_from(WRITERS)},
    optional={
        "number": field(st.integers(1, 9)),
        "experiment": field(words),
        "name": field(words),
        "tags": field(st.lists(words)),
        "argv": field(st.lists(words)),
        "created": field(times),
        "started": field(times),
        "params": field(mappings),
        "properties": field(mappings),
        "snapshot": field(words),
        "archived": st.booleans(),
        "x-new": json_values,
    },
)
ends = st.fixed_dictionaries(
    {"writer": st.sampled_from(WRITERS), "status": field(st.sampled_from(["Completed", "Failed"]))},
    optional={
        "main": st.booleans(), "attempt": st.integers(1, 2), "ended": field(times), "rows": field(st.integers(0, 9)),
        "metrics": field(st.dictionaries(words, summaries, max_size=3)), "params": field(mappings),
        "summary": field(mappings), "definitions": field(mappings), "properties": field(mappings),
        "attachments": field(st.lists(words)), "failed_uploads": field(st.just([])), "traceback": words,
        "files": field(st.integers(0, 2**70)), "x-new": json_values,
    },
)  # fmt: skip
edits = st.fixed_dictionaries(
    {"field": st.sampled_from(["name", "note", "archived", "tag:a", "x-b"]), "value": json_values,
     "stamp": st.integers(1, 9), "token": st.sampled_from(["aa", "bb"])},
)  # fmt: skip
attempts = st.fixed_dictionaries(
    {"attempt": st.integers(2, 12), "main": st.sampled_from(WRITERS)}, optional={"x-new": json_values}
)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    row = Row()
    for kind, documents in (
        ("start", st.lists(starts, max_size=1)),
        ("end", st.lists(ends, max_size=2)),
        ("edit", st.lists(edits, max_size=2)),
        ("attempt", st.lists(attempts, max_size=1)),
        ("delete", st.sampled_from([[], [], [], [{"run": RUN}]])),
    ):
        for document in draw(documents):
            row = apply(row, kind, document)
    changed = draw(st.integers(0, 3))
    if changed:
        row["changed"] = changed
    return row


@settings(deadline=None, max_examples=60)
@given(st.lists(rows(), min_size=1, max_size=3))
def test_any_row_comes_back_from_a_checkpoint_as_it_went_in(some: list[Row]) -> None:
    named = [(f"iris_170000000000{place}-abcde", row) for place, row in enumerate(some)]
    stored = load(dump(Checkpoint(1, "w", frozenset(), None, None, encode(named))), "index/x")
    assert stored.table.schema.equals(CHECKPOINT)
    for row, back in zip(some, decode(stored.table), strict=True):
        assert identical(back, row)


def test_an_ordinary_row_needs_no_patch(documents: Any) -> None:
    """The budget of bytes per run rests on it."""
    run_id = documents.run_id(1)
    row = apply(apply(Row(), "start", documents.start(run_id)), "end", documents.end(run_id))
    table = encode([(run_id, row)])
    assert table.column("rest").to_pylist() == [None]
    assert identical(decode(table), [row])


@pytest.mark.parametrize(
    "value",
    [0.1, -0.0, math.nan, math.inf, 7, 2**53 + 1, 10**400, True, False, "0.5", "", [], [1, "a", 2.5, None], None, {}],
)
def test_values_keep_their_kind(documents: Any, value: object) -> None:
    run_id = documents.run_id(1)
    row = apply(Row(), "start", documents.start(run_id, params={"p": value}))
    row = apply(row, "end", documents.end(run_id, params={"q": value}, summary={"s": value}))
    table = encode([(run_id, row)])
    assert table.column("rest").to_pylist() == [None]
    assert identical(decode(table), [row])


def test_metadata_comes_back() -> None:
    before = Checkpoint(7, "w7", frozenset({"a", "b"}), Base(3, "w3"), Base(1, "w1"), CHECKPOINT.empty_table())
    after = load(dump(before), "index/x")
    assert (after.seq, after.wid, after.held, after.base, after.before) == (
        7,
        "w7",
        frozenset({"a", "b"}),
        Base(3, "w3"),
        Base(1, "w1"),
    )


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 10**9), st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_without_effect(place: int, bits: int) -> None:
    named = [("iris_1700000000000-abcde", Row(start={"uid": "u", "main": WRITERS[0], "note": "n" * 50}))]
    whole = dump(Checkpoint(1, "w", frozenset({"held"}), None, None, encode(named)))
    damaged = bytearray(whole)
    damaged[place % len(whole)] ^= bits
    try:
        read = load(bytes(damaged), "index/x")
        found = decode(read.table)
    except FormatError:
        return
    assert (read.seq, read.wid, read.held, read.base) == (1, "w", frozenset({"held"}), None)
    assert identical(found, [named[0][1]])


@pytest.mark.parametrize("cut", [0, 1, 4, 100, -1, -8, -100])
def test_a_torn_checkpoint_is_damaged(cut: int) -> None:
    whole = dump(Checkpoint(1, "w", frozenset(), None, None, CHECKPOINT.empty_table()))
    with pytest.raises(IndexDamagedError):
        load(whole[:cut], "index/x")


def test_a_newer_format_is_told_from_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 9)
    newer = dump(Checkpoint(1, "w", frozenset(), None, None, CHECKPOINT.empty_table()))
    monkeypatch.undo()
    with pytest.raises(FormatError) as caught:
        load(newer, "index/x")
    assert not isinstance(caught.value, IndexDamagedError)
