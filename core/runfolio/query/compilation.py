"""From the syntax tree to Arrow expressions, with the three-valued logic of SQL.

A condition on a value that a run does not have, or has in the other kind, is neither true nor false: the run does not
match, and does not match the ``not`` of it either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeAlias, assert_never

import pyarrow as pa
import pyarrow.compute as pc

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
    Operator,
    Or,
    Range,
    Value,
)
from runfolio.query.terms import Reading, Term

Lookup: TypeAlias = Callable[[Term], pc.Expression]
"""Gives the column that holds a term."""

TIME_TYPE: Final = pa.timestamp("us", "UTC")
"""The type of the columns of time fields."""


def compiled(node: Node, column: Lookup) -> pc.Expression:  # noqa: C901  # one case a kind of node
    """Return the expression that is true for the runs that a query selects, false or null for the others."""
    match node:
        case And(items):
            return _balanced([compiled(item, column) for item in items], all_of=True)
        case Or(items):
            return _balanced([compiled(item, column) for item in items], all_of=False)
        case Not(item):
            return ~compiled(item, column)
        case Comparison(operand, operator, value):
            return _compared(column(_term(operand, value)), operator, value)
        case Membership():
            return _maybe_not(_contained(node, column), node.negated)
        case Range(operand, low, high, negated):
            found = column(_term(operand, low))
            return _maybe_not(_compared(found, ">=", low) & _compared(found, "<=", high), negated)
        case Like(operand, pattern, escape, negated):
            found = column(operand.term("text"))
            return _maybe_not(pc.match_substring_regex(found, like_regex(pattern, escape)), negated)
        case Missing(operand, negated):
            return _missing(operand, column, negated=negated)
        case HasTag(name):
            return column(Term("tag", name, "last", "present"))
        case Flag(operand):
            return column(operand.term("number")) == pc.scalar(1.0)
        case _:
            assert_never(node)


def _balanced(parts: Sequence[pc.Expression], *, all_of: bool) -> pc.Expression:
    """Join conditions as a balanced tree: Arrow walks expressions recursively, and a chain would be too deep."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    left, right = _balanced(parts[:middle], all_of=all_of), _balanced(parts[middle:], all_of=all_of)
    return left & right if all_of else left | right


def _maybe_not(expression: pc.Expression, negated: bool) -> pc.Expression:
    return ~expression if negated else expression


def _reading(operand: Operand, value: Value) -> Reading:
    if operand.kind == "any":
        return "text" if isinstance(value, str) else "number"
    return natural_reading(operand)


def natural_reading(operand: Operand) -> Reading:
    """The reading in which an operand of one fixed kind is compared."""
    return "text" if operand.kind == "text" else "number"


def _term(operand: Operand, value: Value) -> Term:
    return operand.term(_reading(operand, value))


def _scalar(value: Value) -> pc.Expression:
    if isinstance(value, datetime):
        return pc.scalar(pa.scalar(value, TIME_TYPE))
    return pc.scalar(pa.scalar(value, pa.string()) if isinstance(value, str) else pa.scalar(float(value), pa.float64()))


def _is_nan(value: Value) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _compared(column: pc.Expression, operator: Operator, value: Value) -> pc.Expression:
    if _is_nan(value):
        # By the rules of floats nothing equals NaN, which would leave no way to ask for the runs that diverged.
        return _maybe_not(pc.is_nan(column), operator == "!=")
    scalar = _scalar(value)
    match operator:
        case "=":
            return column == scalar
        case "!=":
            return column != scalar
        case "<":
            return column < scalar
        case "<=":
            return column <= scalar
        case ">":
            return column > scalar
        case ">=":
            return column >= scalar
        case _:
            assert_never(operator)


def _contained(node: Membership, column: Lookup) -> pc.Expression:
    """True or false where the run has a value of a kind that the list holds, null elsewhere."""
    by_reading: dict[Reading, list[Value]] = {}
    for value in node.values:
        by_reading.setdefault(_reading(node.operand, value), []).append(value)
    found: list[pc.Expression] = []
    known: list[pc.Expression] = []
    for reading, values in by_reading.items():
        one = column(node.operand.term(reading))
        known.append(one.is_valid())
        plain = [value for value in values if not _is_nan(value)]
        if plain:
            found.append(one.isin(_value_set(plain)))
        if len(plain) < len(values):
            found.append(one.is_valid() & pc.is_nan(one))
    # `isin` says false for null, and `not in` must not turn that into a match.
    nothing = pc.scalar(pa.scalar(None, pa.bool_()))
    return pc.if_else(_balanced(known, all_of=False), _balanced(found, all_of=False), nothing)


def _value_set(values: Sequence[Value]) -> pa.Array:
    if isinstance(values[0], datetime):
        return pa.array(values, TIME_TYPE)
    if isinstance(values[0], str):
        return pa.array(values, pa.string())
    numbers = [float(value) for value in values if not isinstance(value, (str, datetime))]
    # Sets compare bits: both zeros, else 0 would not find a run that logged -0.0.
    return pa.array([*numbers, *([0.0, -0.0] if 0.0 in numbers else [])], pa.float64())


def _missing(operand: Operand, column: Lookup, *, negated: bool) -> pc.Expression:
    if operand.kind == "any":
        present = column(operand.term("present"))
        return _maybe_not(present, not negated)
    found = column(operand.term(natural_reading(operand)))
    return found.is_valid() if negated else ~found.is_valid()


def like_regex(pattern: str, escape: str) -> str:
    """Return the regular expression of a ``like`` pattern: ``%`` is any text, ``_`` any one character.

    An escape character at the end of the pattern, or before a character that needs none, stands for itself.
    """
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == escape and pattern[at + 1 : at + 2] in ("%", "_", escape):
            at += 1
            parts.append(_literal(pattern[at]))
        elif letter == "%":
            if parts[-1:] != [".*"]:
                parts.append(".*")
        else:
            parts.append("." if letter == "_" else _literal(letter))
        at += 1
    return rf"(?s)\A{''.join(parts)}\z"


def _literal(letter: str) -> str:
    return letter if letter.isalnum() and letter.isascii() else f"\\x{{{ord(letter):x}}}"
