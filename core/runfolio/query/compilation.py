"""From the syntax tree to Arrow expressions, with the three-valued logic of SQL.

A condition on a value that a run does not have, or has in the other kind, is neither true nor false: the run does not
match, and does not match the ``not`` of it either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never

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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Part: TypeAlias = Any
"""A `pc.Expression`, or an array of bools: the compute functions take either, and have no common type for it."""

TIME_TYPE: Final = pa.timestamp("us", "UTC")
"""The type of the columns of time fields."""

_OPERATORS: Final[dict[Operator, Callable[[Part, Part], Part]]] = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What names and values become: expressions to be run later, or arrays to be computed now.

    Attributes:
        column: gives what holds a term.
        constant: wraps a scalar.
    """

    column: Callable[[Term], Part]
    constant: Callable[[Any], Part]


def expressions(column: Callable[[Term], pc.Expression]) -> Scope:
    """Compile to an expression."""
    return Scope(column, pc.scalar)


def arrays(column: Callable[[Term], Any]) -> Scope:
    """Compute at once, from columns. This needs no query engine, whose import takes long."""
    return Scope(column, lambda scalar: scalar)


def compiled(node: Node, scope: Scope) -> Part:  # noqa: C901  # one case a kind of node
    """Return what is true for the runs that a query selects, false or null for the others."""
    match node:
        case And(items):
            return _balanced([compiled(item, scope) for item in items], pc.and_kleene)
        case Or(items):
            return _balanced([compiled(item, scope) for item in items], pc.or_kleene)
        case Not(item):
            return pc.invert(compiled(item, scope))
        case Comparison(operand, operator, value):
            return _compared(scope, _term(operand, value), operator, value)
        case Membership():
            return _maybe_not(_contained(node, scope), node.negated)
        case Range(operand, low, high, negated):
            term = _term(operand, low)
            both = pc.and_kleene(_compared(scope, term, ">=", low), _compared(scope, term, "<=", high))
            return _maybe_not(both, negated)
        case Like(operand, pattern, escape, negated):
            found = scope.column(operand.term("text"))
            return _maybe_not(pc.match_substring_regex(found, like_regex(pattern, escape)), negated)
        case Missing(operand, negated):
            return _maybe_not(_present(operand, scope), not negated)
        case HasTag(name):
            return scope.column(Term("tag", name, "last", "present"))
        case Flag(operand):
            return _compared(scope, operand.term("number"), "=", 1.0)
        case _:
            assert_never(node)


def _balanced(parts: Sequence[Part], join: Callable[[Part, Part], Part]) -> Part:
    """Join conditions as a balanced tree: Arrow walks expressions recursively, and a chain would be too deep."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return join(_balanced(parts[:middle], join), _balanced(parts[middle:], join))


def _maybe_not(part: Part, negated: bool) -> Part:
    return pc.invert(part) if negated else part


def _reading(operand: Operand, value: Value) -> Reading:
    if operand.kind == "any":
        return "text" if isinstance(value, str) else "number"
    return natural_reading(operand)


def natural_reading(operand: Operand) -> Reading:
    """The reading in which an operand of one fixed kind is compared."""
    return "text" if operand.kind == "text" else "number"


def _term(operand: Operand, value: Value) -> Term:
    return operand.term(_reading(operand, value))


def _scalar(value: Value) -> pa.Scalar:
    if isinstance(value, datetime):
        return pa.scalar(value, TIME_TYPE)
    return pa.scalar(value, pa.string()) if isinstance(value, str) else pa.scalar(float(value), pa.float64())


def _is_nan(value: Value) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _compared(scope: Scope, term: Term, operator: Operator, value: Value) -> Part:
    column = scope.column(term)
    if _is_nan(value):
        # By the rules of floats nothing equals NaN, which would leave no way to ask for the runs that diverged.
        return _maybe_not(pc.is_nan(column), operator == "!=")
    return _OPERATORS[operator](column, scope.constant(_scalar(value)))


def _contained(node: Membership, scope: Scope) -> Part:
    """True or false where the run has a value of a kind that the list holds, null elsewhere."""
    by_reading: dict[Reading, list[Value]] = {}
    for value in node.values:
        by_reading.setdefault(_reading(node.operand, value), []).append(value)
    found: list[Part] = []
    known: list[Part] = []
    for reading, values in by_reading.items():
        column = scope.column(node.operand.term(reading))
        known.append(pc.is_valid(column))
        plain = [value for value in values if not _is_nan(value)]
        if plain:
            found.append(pc.is_in(column, value_set=_value_set(plain)))
        if len(plain) < len(values):
            found.append(pc.and_kleene(pc.is_valid(column), pc.is_nan(column)))
    # `is_in` says false for null, and `not in` must not turn that into a match.
    nothing = scope.constant(pa.scalar(None, pa.bool_()))
    return pc.if_else(_balanced(known, pc.or_kleene), _balanced(found, pc.or_kleene), nothing)


def _value_set(values: Sequence[Value]) -> pa.Array:
    if isinstance(values[0], datetime):
        return pa.array(values, TIME_TYPE)
    if isinstance(values[0], str):
        return pa.array(values, pa.string())
    numbers = [float(value) for value in values if not isinstance(value, (str, datetime))]
    # Sets compare bits: both zeros, else 0 would not find a run that logged -0.0.
    return pa.array([*numbers, *([0.0, -0.0] if 0.0 in numbers else [])], pa.float64())


def _present(operand: Operand, scope: Scope) -> Part:
    if operand.kind == "any":
        return scope.column(operand.term("present"))
    return pc.is_valid(scope.column(operand.term(natural_reading(operand))))


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
