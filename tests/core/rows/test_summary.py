"""Summaries equal what a plain loop over the values finds, however the rows are cut."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runfolio.journal.blocks import Blocks
from runfolio.journal.encoding import encode
from runfolio.journal.frames import Extended
from runfolio.journal.scan import Run, scan
from runfolio.rows import summary
from runfolio.rows.raw import Rows
from runfolio.rows.summary import Summaries

Logged = tuple[int, int, Any]
NAMES = ["a", "b", "c"]

scalars = st.floats() | st.integers(-100, 100) | st.integers() | st.booleans() | st.sampled_from(["x", "y" * 1200])
logged = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-50, 50), scalars | st.lists(scalars, max_size=4)), min_size=1, max_size=40
)


def rows_of(values: list[Logged]) -> Rows:
    blocks = Blocks([*NAMES])
    data = b"".join(encode(value, name, step, 0, 7) for name, step, value in values)
    for piece in scan(memoryview(data), 7, verify=True, final=True):
        if isinstance(piece, Run):
            blocks.add_run(piece)
        elif isinstance(piece, Extended):
            blocks.add(piece)
    return Rows(blocks.take(), NAMES)


def expected(values: list[Logged]) -> dict[str, dict[str, Any]]:  # noqa: C901  (the plain loop)
    found: dict[str, dict[str, Any]] = {}
    for place, name in enumerate(NAMES):
        mine = [(step, value) for which, step, value in values if which == place]
        if not mine:
            continue
        step, last = mine[-1]
        element = last[0] if isinstance(last, list) and last else last
        kind = "empty" if element == [] else type(element).__name__
        one: dict[str, Any] = {"kind": kind, "count": len(mine), "last": last, "last_step": step}
        if isinstance(last, list):
            one["list"] = True
            letters = 0
            for at, part in enumerate(last):
                letters += len(part) if isinstance(part, str) else 0
                if letters > 1000 and at:
                    one["last"], one["truncated"] = last[:at], len(last)
                    break
        elif isinstance(last, str) and len(last) > 1000:
            one["last"], one["truncated"] = last[:1000], len(last)
        numbers = []
        for at, value in mine:
            for part in value if isinstance(value, list) else [value]:
                number = None if isinstance(part, str) else _float(part)
                if number is not None:
                    numbers.append((number, at))
        if numbers and (len(mine) > 1 or isinstance(last, list)):
            low, high = min(one for one, _ in numbers), max(one for one, _ in numbers)
            one |= {"min": low, "min_step": next(at for value, at in numbers if value == low)}
            one |= {"max": high, "max_step": next(at for value, at in numbers if value == high)}
        found[name] = one
    return found


def _float(number: Any) -> float | None:
    try:
        value = float(number)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


@settings(max_examples=80)
@given(logged, st.lists(st.integers(0, 40), max_size=3))
def test_equal_to_a_plain_loop(values: list[Logged], cuts: list[int]) -> None:
    summaries = Summaries()
    edges = sorted({0, len(values), *(min(cut, len(values)) for cut in cuts)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "_LONG", 1 if len(cuts) % 2 else 4096)  # the way of long batches, too
        for first, after in pairwise(edges):
            summaries.update(rows_of(values[first:after]))
    # repr: NaN equals itself, -0.0 is not 0.0, True is not 1 (except for extremes, where they are numbers).
    found = summaries.to_dict()
    assert _comparable(expected(values)) == _comparable(found)


def _comparable(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: value if key in ("min", "max") else repr(value) for key, value in one.items()}
        for name, one in found.items()
    }


def test_ints_stay_ints() -> None:
    summaries = Summaries()
    summaries.update(rows_of([(0, 0, 7), (0, 1, 9), (1, 0, True), (1, 1, False), (2, 0, 0.5)]))
    found = summaries.to_dict()
    assert repr(found["a"]["max"]) == "9"
    assert repr(found["b"]["min"]) == "0"
    assert found["c"] == {"kind": "float", "count": 1, "last": 0.5, "last_step": 0}
    assert len(summaries) == 3


def test_long_lists_are_cut() -> None:
    summaries = Summaries()
    summaries.update(rows_of([(0, 3, [float(k) for k in range(5000)]), (1, 0, 1.0)]))
    found = summaries.to_dict()["a"]
    assert found["last"] == [float(k) for k in range(1000)]
    assert (found["truncated"], found["count"], found["max"]) == (5000, 1, 4999.0)
