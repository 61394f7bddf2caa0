"""The syntax tree of a query: small immutable values that print themselves as the text they were parsed from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from runfolio.query.fields import field_kind, field_named
from runfolio.query.literals import quote_number, quote_text
from runfolio.query.names import quote_path
from runfolio.query.terms import Reading, Source, Statistic, Term

if TYPE_CHECKING:
    from collections.abc import Iterator

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]
Value: TypeAlias = float | bool | str | datetime
"""A literal, already of the kind that its operand is compared with: ints are floats here, as the number reading is."""


@dataclass(frozen=True, slots=True)
class Operand:
    """What a comparison is about: a field, a param, or a number that stands for a metric.

    Attributes:
        source: where the value is found.
        name: its name there; fields by their full name.
        statistic: for a metric, which number stands for the series.
        called: whether the statistic was spelled out, which makes the value a number.
    """

    source: Source
    name: str
    statistic: Statistic = "last"
    called: bool = False

    @property
    def kind(self) -> str:
        """``text``, ``number``, ``time``, ``duration``, ``bool``; ``any`` where it may be a number or a text."""
        if self.source == "field":
            return field_kind(self.name)
        return "number" if self.called and self.statistic != "last" else "any"

    def term(self, reading: Reading) -> Term:
        """The value as a query needs it from the runs."""
        return Term(self.source, self.name, self.statistic, reading)

    def __str__(self) -> str:
        if self.source == "field":
            return self.name
        if self.source == "param":
            return f"params.{quote_path(self.name)}"
        plain = quote_path(self.name)
        clash = field_named(self.name) is not None
        name = f"metrics.{plain}" if clash or self.name.split(".", 1)[0].lower() in _PREFIX_LIKE else plain
        return f"{self.statistic}({name})" if self.called else name


_PREFIX_LIKE: Final = frozenset(["params", "metrics", "param", "parameter", "parameters", "metric", "tag", "tags"])


@dataclass(frozen=True, slots=True)
class Comparison:
    """``operand operator value``."""

    operand: Operand
    operator: Operator
    value: Value

    def __str__(self) -> str:
        return f"{self.operand} {self.operator} {_shown(self.value)}"


@dataclass(frozen=True, slots=True)
class Membership:
    """``operand in (values)``."""

    operand: Operand
    values: tuple[Value, ...]
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.operand} {_not(self.negated)}in ({', '.join(_shown(value) for value in self.values)})"


@dataclass(frozen=True, slots=True)
class Range:
    """``operand between low and high``, both ends included."""

    operand: Operand
    low: Value
    high: Value
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.operand} {_not(self.negated)}between {_shown(self.low)} and {_shown(self.high)}"


@dataclass(frozen=True, slots=True)
class Like:
    """``operand like pattern escape character``."""

    operand: Operand
    pattern: str
    escape: str = "\\"
    negated: bool = False

    def __str__(self) -> str:
        escape = "" if self.escape == "\\" else f" escape {quote_text(self.escape)}"
        return f"{self.operand} {_not(self.negated)}like {quote_text(self.pattern)}{escape}"


@dataclass(frozen=True, slots=True)
class Missing:
    """``operand is null``."""

    operand: Operand
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.operand} is {_not(self.negated)}null"


@dataclass(frozen=True, slots=True)
class HasTag:
    """``tag:name``."""

    name: str

    def __str__(self) -> str:
        return f"tag:{quote_path(self.name, whole=True)}"


@dataclass(frozen=True, slots=True)
class Flag:
    """A field that is true or false by itself: ``hidden``."""

    operand: Operand

    def __str__(self) -> str:
        return str(self.operand)


@dataclass(frozen=True, slots=True)
class Not:
    """``not item``."""

    item: Node

    def __str__(self) -> str:
        return f"not {_wrapped(self.item)}"


@dataclass(frozen=True, slots=True)
class And:
    """``a and b and c``; at least two items."""

    items: tuple[Node, ...]

    def __str__(self) -> str:
        return " and ".join(_wrapped(item) for item in self.items)


@dataclass(frozen=True, slots=True)
class Or:
    """``a or b or c``; at least two items."""

    items: tuple[Node, ...]

    def __str__(self) -> str:
        return " or ".join(_wrapped(item) for item in self.items)


Node: TypeAlias = Comparison | Membership | Range | Like | Missing | HasTag | Flag | Not | And | Or


def leaves(node: Node) -> Iterator[Comparison | Membership | Range | Like | Missing | HasTag | Flag]:
    """Yield the conditions of a query from left to right, without the words that join them."""
    if isinstance(node, (And, Or)):
        for item in node.items:
            yield from leaves(item)
    elif isinstance(node, Not):
        yield from leaves(node.item)
    else:
        yield node


def _wrapped(node: Node) -> str:
    return f"({node})" if isinstance(node, (And, Or)) else str(node)


def _not(negated: bool) -> str:
    return "not " if negated else ""


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return quote_text(value.astimezone(UTC).isoformat())
    return quote_text(value) if isinstance(value, str) else quote_number(value)
