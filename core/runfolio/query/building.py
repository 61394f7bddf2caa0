"""From tokens to the syntax tree: names are resolved and literals are read as the kind they are compared with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from lark import Token, Transformer, v_args

from runfolio.query.fields import corrected_prefix, field_named
from runfolio.query.fitting import KINDS, Literal, Named, Problem, check_order, fitted
from runfolio.query.literals import read_number, read_text
from runfolio.query.names import split_path, unquote
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
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from runfolio.query.terms import Statistic

MAX_DEPTH: Final = 100
"""How deep parentheses and ``not`` may be nested."""
MAX_CONDITIONS: Final = 1000
"""How many conditions one query may hold; the values of an ``in`` list count as one."""
MAX_PATTERN: Final = 1000
"""Longest pattern of ``like``, in characters."""

_TURNED: Final[dict[str, Operator]] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
_SPELLINGS: Final = {"==": "=", "<>": "!="}


class Tagged(NamedTuple):
    """A tag, as a column or a key to sort by."""

    name: str
    position: int


class Built(NamedTuple):
    """A part of the tree, with its size, so that no walk over it is needed to refuse one that is too large."""

    node: Node
    depth: int = 1
    conditions: int = 1


class OrderItem(NamedTuple):
    """One key to sort by."""

    column: Named | Tagged
    descending: bool


_Child: TypeAlias = Token | Literal | Named | Tagged | Built | OrderItem


def _is(child: _Child, kind: str) -> bool:
    return isinstance(child, Token) and child.type == kind


@v_args(inline=True)
class Builder(Transformer[Token, object]):  # one method a rule
    """Called bottom up while the text is parsed, so that no recursion over the input takes place."""

    def where(self, built: Built) -> Node:
        return built.node

    def disjunction(self, *children: _Child) -> Built:
        return _joined(children, Or)

    def conjunction(self, *children: _Child) -> Built:
        return _joined(children, And)

    def negation(self, word: Token, built: Built) -> Built:
        return _limited(Built(Not(built.node), built.depth + 1, built.conditions), word)

    def group(self, opening: Token, built: Built, _closing: Token) -> Built:
        return _limited(Built(built.node, built.depth + 1, built.conditions), opening)

    def has_tag(self, token: Token) -> Built:
        return Built(HasTag(_tag_name(token)))

    def flag(self, named: Named) -> Built:
        if named.operand.kind != "bool":
            end = named.position + len(named.spelling)
            raise Problem(
                end, f"expected a comparison after {named.spelling}, such as = != < <= > >= in like between is null"
            )
        return Built(Flag(named.operand))

    def comparison(self, named: Named, operator: Token, literal: Literal) -> Built:
        sign = cast("Operator", _SPELLINGS.get(operator, str(operator)))
        value = fitted(named, literal)
        check_order(value, sign, literal)
        return Built(Comparison(named.operand, sign, value))

    def turned_comparison(self, literal: Literal, operator: Token, named: Named) -> Built:
        sign = _TURNED[_SPELLINGS.get(operator, str(operator))]
        value = fitted(named, literal)
        check_order(value, sign, literal)
        return Built(Comparison(named.operand, sign, value))

    def membership(self, named: Named, *children: _Child) -> Built:
        values = tuple(fitted(named, child) for child in children if isinstance(child, Literal))
        return Built(Membership(named.operand, values, _is(children[0], "NOT")))

    def range(self, named: Named, *children: _Child) -> Built:
        first, second = (child for child in children if isinstance(child, Literal))
        low, high = fitted(named, first), fitted(named, second)
        check_order(low, "<=", first)
        check_order(high, "<=", second)
        if isinstance(low, str) != isinstance(high, str):
            raise Problem(second.position, "both ends of a range must be numbers, or both texts")
        return Built(Range(named.operand, low, high, _is(children[0], "NOT")))

    def like(self, named: Named, *children: _Child) -> Built:
        if named.operand.kind not in ("text", "any"):
            raise Problem(named.position, f"like compares texts, but {named.spelling} is a {KINDS[named.operand.kind]}")
        texts = [child for child in children if _is(child, "TEXT")]
        pattern = _text(cast("Token", texts[0]))
        escape = _text(cast("Token", texts[1])) if len(texts) > 1 else "\\"
        if len(escape) != 1 or escape in "%_":
            raise Problem(_start(cast("Token", texts[1])), "the escape must be one character other than % and _")
        if len(pattern) > MAX_PATTERN:
            raise Problem(_start(cast("Token", texts[0])), f"the pattern is longer than {MAX_PATTERN} characters")
        return Built(Like(named.operand, pattern, escape, _is(children[0], "NOT")))

    def missing(self, named: Named, *children: _Child) -> Built:
        return Built(Missing(named.operand, any(_is(child, "NOT") for child in children)))

    def path(self, token: Token) -> Named:
        return Named(_resolved(token), _start(token), str(token))

    def statistic(self, word: Token, _opening: Token, token: Token, _closing: Token) -> Named:
        spelling = f"{word}({token})"
        words = split_path(token)
        if words[0] == "params" and len(words) > 1:
            raise Problem(_start(token), f"{word}() takes a metric, and {token} is a param: compare the param itself")
        name = ".".join(words[1:] if words[0] == "metrics" and len(words) > 1 else words)
        return Named(Operand("metric", name, cast("Statistic", word.lower()), called=True), _start(word), spelling)

    def number(self, token: Token) -> Literal:
        try:
            return Literal(read_number(token), _start(token))
        except ValueError as error:
            raise Problem(_start(token), str(error)) from None

    def text(self, token: Token) -> Literal:
        return Literal(_text(token), _start(token))

    def true(self, token: Token) -> Literal:
        return Literal(value=True, position=_start(token))

    def false(self, token: Token) -> Literal:
        return Literal(value=False, position=_start(token))

    def nan(self, token: Token) -> Literal:
        return Literal(math.nan, _start(token))

    def infinity(self, token: Token) -> Literal:
        return Literal(math.inf, _start(token))

    def minus_infinity(self, sign: Token, _word: Token) -> Literal:
        return Literal(-math.inf, _start(sign))

    def null(self, token: Token) -> Literal:
        return Literal(None, _start(token))

    def order(self, *items: _Child) -> list[OrderItem]:
        return [item for item in items if isinstance(item, OrderItem)]

    def order_key(self, *children: _Child) -> OrderItem:
        column = next(child for child in children if isinstance(child, (Named, Tagged)))
        minus, word = _is(children[0], "MINUS"), _is(children[-1], "DESC") or _is(children[-1], "ASC")
        if minus and word:
            raise Problem(_start(cast("Token", children[-1])), "say the direction once: '-' or asc or desc")
        return OrderItem(column, minus or _is(children[-1], "DESC"))

    def columns(self, *columns: _Child) -> list[Named | Tagged]:
        return [column for column in columns if isinstance(column, (Named, Tagged))]

    def tag_column(self, token: Token) -> Tagged:
        return Tagged(_tag_name(token), _start(token))

    def operand_column(self, named: Named) -> Named:
        return named


def _joined(children: tuple[_Child, ...], join: Callable[[tuple[Node, ...]], Node]) -> Built:
    parts = [child for child in children if isinstance(child, Built)]
    if len(parts) == 1:
        return parts[0]
    whole = Built(
        join(tuple(part.node for part in parts)),
        1 + max(part.depth for part in parts),
        sum(part.conditions for part in parts),
    )
    return _limited(whole, next(child for child in children if isinstance(child, Token)))


def _limited(built: Built, token: Token) -> Built:
    if built.depth > MAX_DEPTH:
        raise Problem(_start(token), f"the query is nested more than {MAX_DEPTH} levels deep")
    if built.conditions > MAX_CONDITIONS:
        raise Problem(
            _start(token), f"the query has more than {MAX_CONDITIONS} conditions: `in (...)` takes any number of values"
        )
    return built


def _start(token: Token) -> int:
    return token.start_pos or 0


def _tag_name(token: Token) -> str:
    return unquote(token.split(":", 1)[1].strip())


def _text(token: Token) -> str:
    try:
        return read_text(token)
    except ValueError as error:
        raise Problem(_start(token), str(error)) from None


def _resolved(token: Token) -> Operand:
    """Say what a path names: a field, a param or a metric."""
    first, *rest = split_path(token)
    if not rest:
        field = field_named(first)
        return Operand("metric", first) if field is None else Operand("field", field)
    if first == "params":
        return Operand("param", ".".join(rest))
    if first == "metrics":
        return Operand("metric", ".".join(rest))
    meant = None if token.startswith("`") else corrected_prefix(first)
    if meant is not None:
        tail = str(token)[len(first) + 1 :]
        better = f"{meant}{tail}" if meant.endswith(":") else f"{meant}.{tail}"
        whole = ".".join([first, *rest]).replace("`", "``")
        raise Problem(_start(token), f"did you mean {better}? (a metric of this name is written `{whole}`)")
    return Operand("metric", ".".join([first, *rest]))
