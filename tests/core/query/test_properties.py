"""Properties that hold for any query: it prints as what it was read from, and selects what plain Python selects."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runfolio.errors import QueryError
from runfolio.query import Term, Where, column_name, materialise, parse_columns, parse_order_by, parse_where
from runfolio.query.fields import FIELDS, STATUSES
from runfolio.query.syntax import (
    And,
    Comparison,
    Flag,
    HasTag,
    Like,
    Membership,
    Missing,
    Node,
    Not,
    Operand,
    Or,
    Range,
)

Row = Mapping[str, object]
Extracts = Callable[[Sequence[Row]], Callable[[Term], pa.Array]]

_text = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["a", "b", "ab", "a%", "A_b", "it's", "\\", ""]
)
_name = _text.filter(bool) | st.sampled_from(
    ["loss", "val/acc", "a.b", "and", "status", "params.x", "tag", "max", "x`y", "metrics"]
)
_number = st.floats() | st.integers(-3, 3).map(float) | st.sampled_from([0.0, -0.0, 0.5])
_time = st.integers(0, 3 * 10**15).map(lambda micros: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros))
_fields: dict[str, list[str]] = {
    kind: [name for name, found in FIELDS.items() if found == kind and name != "status"]
    for kind in set(FIELDS.values())
}


def _operands(kind: str) -> st.SearchStrategy[Operand]:
    if kind != "any":
        return st.sampled_from(_fields[kind]).map(lambda name: Operand("field", name))
    metric = _name.filter(lambda name: name not in FIELDS).map(lambda name: Operand("metric", name))
    return metric | _name.map(lambda name: Operand("param", name)) | _name.map(lambda name: Operand("metric", name))


_statistic = st.builds(
    lambda name, word: Operand("metric", name, word, called=True), _name, st.sampled_from(["min", "max", "count"])
)


def _ordered(value: object) -> bool:
    return not (isinstance(value, float) and math.isnan(value))


def _conditions(operand: st.SearchStrategy[Operand], value: st.SearchStrategy[object]) -> st.SearchStrategy[Node]:
    ordered = value.filter(_ordered)
    equal = st.builds(Comparison, operand, st.sampled_from(["=", "!="]), value)
    unequal = st.builds(Comparison, operand, st.sampled_from(["<", "<=", ">", ">="]), ordered)
    among = st.builds(Membership, operand, st.lists(value, min_size=1, max_size=4).map(tuple), st.booleans())
    missing = st.builds(Missing, operand, st.booleans())
    return equal | unequal | among | missing | st.builds(Range, operand, ordered, ordered, st.booleans())


_like = st.builds(Like, _operands("any") | _operands("text"), _text, st.sampled_from(["\\", "!", "'"]), st.booleans())
_leaf: st.SearchStrategy[Node] = st.one_of(
    _conditions(_operands("any"), _number),
    _conditions(_operands("any"), _text),
    st.builds(
        Membership, _operands("any"), st.lists(_number | _text, min_size=1, max_size=4).map(tuple), st.booleans()
    ),
    _conditions(_statistic, _number),
    _conditions(_operands("number"), _number),
    _conditions(_operands("duration"), _number),
    _conditions(_operands("text"), _text),
    _conditions(_operands("time"), _time),
    _conditions(st.just(Operand("field", "status")), st.sampled_from(STATUSES)),
    st.builds(Comparison, _operands("bool"), st.sampled_from(["=", "!="]), st.booleans()),
    _like,
    _name.map(HasTag),
    st.just(Flag(Operand("field", "hidden"))),
)
_node: st.SearchStrategy[Node] = st.recursive(
    _leaf,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


@given(_node)
@settings(max_examples=300)
def test_printed_tree_reads_back_as_the_same_tree(node: Node) -> None:
    where = Where(node)
    assert repr(parse_where(str(where)).node) == repr(node)


# Few names and values, so that conditions and runs meet.
_few = st.sampled_from(["a", "b"])
_value = st.sampled_from([0.0, -0.0, 1.0, 2.5, -1.0, math.nan, math.inf, "", "x", "xy", "x%", "X\ny", "é"])
_moment = st.integers(0, 3).map(lambda day: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day))
_row = st.fixed_dictionaries(
    {"tags": st.sets(_few)},
    optional={
        "metric:a": _value,
        "metric:b": _value,
        "param:a": _value,
        "max:a": st.sampled_from([0.0, 1.0, math.inf]),
        "field:name": st.sampled_from(["", "x", "xy"]),
        "field:run_number": st.integers(0, 3),
        "field:created_utc": _moment,
        "field:hidden": st.booleans(),
    },
)
_short = st.sampled_from([Operand("metric", "a"), Operand("metric", "b"), Operand("param", "a")])
_numbers, _texts = (
    _value.filter(lambda value: isinstance(value, float)),
    _value.filter(lambda value: isinstance(value, str)),
)
_pattern = st.text(st.sampled_from("xy%_\\é\n."), max_size=5)
_small_leaf: st.SearchStrategy[Node] = st.one_of(
    _conditions(_short, _numbers),
    _conditions(_short, _texts),
    st.builds(Membership, _short, st.lists(_value, min_size=1, max_size=3).map(tuple), st.booleans()),
    _conditions(st.just(Operand("metric", "a", "max", called=True)), _numbers),
    _conditions(st.just(Operand("field", "name")), _texts),
    _conditions(st.just(Operand("field", "run_number")), _numbers),
    _conditions(st.just(Operand("field", "created_utc")), _moment),
    st.builds(Like, _short | st.just(Operand("field", "name")), _pattern, st.just("\\"), st.booleans()),
    _few.map(HasTag),
    st.builds(Comparison, st.just(Operand("field", "hidden")), st.sampled_from(["=", "!="]), st.booleans()),
    st.just(Flag(Operand("field", "hidden"))),
)
_small: st.SearchStrategy[Node] = st.recursive(
    _small_leaf,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=5,
)


@given(st.lists(_row, min_size=1, max_size=6), _small)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_selects_what_plain_python_selects(extract_from: Extracts, rows: list[Row], node: Node) -> None:
    where = Where(node)
    table = materialise(where.terms, extract_from(rows), len(rows))
    expected = [_holds(node, row) for row in rows]
    assert where.mask(table).to_pylist() == expected
    # The same as an expression, which other engines of Arrow run.
    numbered = table.append_column("row", pa.array(range(len(rows))))
    found = numbered.filter(where.expression({term: column_name(term) for term in where.terms}))
    assert found["row"].to_pylist() == [number for number, holds in enumerate(expected) if holds]


def _holds(node: Node, row: Row) -> bool | None:
    """The truth of a condition, written as naively as can be."""
    match node:
        case And(items) | Or(items):
            found = [_holds(item, row) for item in items]
            decisive = isinstance(node, Or)
            return decisive if decisive in found else None if None in found else not decisive
        case Not(item):
            return _negated(_holds(item, row), negated=True)
        case HasTag(name):
            return name in row["tags"]  # type: ignore[operator]
        case Flag(operand):
            return None if _value_in(row, operand) is None else bool(_value_in(row, operand))
        case Missing(operand, negated):
            return (_value_in(row, operand) is None) != negated
        case Comparison(operand, operator, value):
            return _compare(_value_in(row, operand), operator, value)
        case Range(operand, low, high, negated):
            above, below = _compare(_value_in(row, operand), ">=", low), _compare(_value_in(row, operand), "<=", high)
            # Ends of two kinds cannot be written; a value is of the kind of both or of neither.
            return _negated(None if above is None or below is None else above and below, negated)
        case Membership(operand, values, negated):
            each = [_compare(_value_in(row, operand), "=", value) for value in values]
            return _negated(True if True in each else False if False in each else None, negated)
        case Like(operand, pattern, _, negated):
            text = _value_in(row, operand)
            return _negated(_like_match(text, pattern) if isinstance(text, str) else None, negated)


def _negated(found: bool | None, negated: bool) -> bool | None:
    return None if found is None else found != negated


def _value_in(row: Row, operand: Operand) -> object:
    key = operand.statistic if operand.called else operand.source
    return row.get(f"{key}:{operand.name}")


def _compare(found: Any, operator: str, value: Any) -> bool | None:
    if found is None or isinstance(found, str) != isinstance(value, str):
        return None
    if isinstance(value, float) and math.isnan(value):
        return math.isnan(found) == (operator == "=")
    found, value = _comparable(found), _comparable(value)
    truth: dict[str, Callable[[], bool]] = {
        "=": lambda: found == value,
        "!=": lambda: found != value,
        "<": lambda: found < value,
        "<=": lambda: found <= value,
        ">": lambda: found > value,
        ">=": lambda: found >= value,
    }
    return truth[operator]()


def _comparable(value: object) -> Any:
    """Arrow compares texts as UTF-8."""
    return value.encode() if isinstance(value, str) else value


def _like_match(text: str, pattern: str) -> bool:
    tokens = re.findall(r"\\[%_\\]|.", pattern, re.DOTALL)
    expression = "".join(
        {"%": ".*", "_": "."}.get(token) or re.escape(token[1:] if len(token) > 1 else token) for token in tokens
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None


_fragment = st.sampled_from(
    [
        "and",
        "or",
        "not",
        "in",
        "between",
        "like",
        "escape",
        "is",
        "null",
        "true",
        "nan",
        "inf",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "-",
        "`a`",
        "'x'",
        '"y"',
        "5",
        ".9",
        "-1e3",
        "params.",
        "params.x",
        "tag:x",
        "tag:",
        "max(",
        "count(a)",
        "status",
        "created",
        "`val/acc`",
        "metrics.y",
        "asc",
        "desc",
        "'2026-01-01'",
        "``",
        "'",
        '"',
        "\\",
        "%",
        "\x00",
        "é",
        "�",
        "\n",
    ]
)


@given(
    st.text(max_size=40)
    | st.lists(_fragment, max_size=14).map(" ".join)
    | st.lists(_fragment, max_size=14).map("".join)
)
@settings(max_examples=600)
def test_any_text_is_read_or_refused_with_a_query_error(text: str) -> None:
    for parse in (parse_where, parse_order_by, parse_columns):
        with suppress(QueryError):
            found = parse(text)
            if isinstance(found, Where):
                assert parse_where(str(found)) == found
