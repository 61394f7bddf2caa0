"""The grammar of queries, and errors that show the place and what was expected."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, cast

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from runfolio.errors import QueryError
from runfolio.query.building import Builder
from runfolio.query.fitting import Problem
from runfolio.query.names import KEYWORDS, PATH, TAG

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_TEXT: Final = 100_000
"""Longest query, in characters: room for a list of some thousand run ids."""

_SLASH: Final = r"\/"
_RULES: Final = rf"""
where: disjunction
disjunction: conjunction (OR conjunction)*
conjunction: condition (AND condition)*
?condition: NOT condition                     -> negation
    | LPAR disjunction RPAR                   -> group
    | TAG                                     -> has_tag
    | operand                                 -> flag
    | operand COMPARE value                   -> comparison
    | value COMPARE operand                   -> turned_comparison
    | operand [NOT] IN LPAR value (COMMA value)* RPAR      -> membership
    | operand [NOT] BETWEEN value AND value   -> range
    | operand [NOT] LIKE TEXT [ESCAPE TEXT]   -> like
    | operand IS [NOT] NULL                   -> missing
?operand: PATH                                -> path
    | STATISTIC LPAR PATH RPAR                -> statistic
?value: NUMBER                                -> number
    | TEXT                                    -> text
    | TRUE                                    -> true
    | FALSE                                   -> false
    | NAN                                     -> nan
    | INF                                     -> infinity
    | MINUS INF                               -> minus_infinity
    | NULL                                    -> null

order: order_key (COMMA order_key)*
order_key: MINUS? _column (ASC | DESC)?
columns: _column (COMMA _column)*
_column: tag_column | operand_column
tag_column: TAG
operand_column: operand

STATISTIC.3: /(?:min|max|last|count)(?=\s*\()/i
TAG.2: /tags?:{TAG.replace("/", _SLASH)}/i
PATH.1: /{PATH.replace("/", _SLASH)}/
NUMBER.2: /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/
TEXT: /'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"/s
COMPARE: /==|<=|>=|<>|!=|=|<|>/
MINUS: "-"
LPAR: "("
RPAR: ")"
COMMA: ","
%declare {" ".join(sorted({word.upper() for word in KEYWORDS} - {"INFINITY"}))}
%ignore /\s+/
"""

_WORDS: Final = {
    "PATH": "a name",
    "TAG": "tag:NAME",
    "STATISTIC": "max(METRIC)",
    "COMPARE": "a comparison (= != < <= > >=)",
    "NUMBER": "a number",
    "TEXT": "a quoted text",
    "LPAR": "'('",
    "RPAR": "')'",
    "COMMA": "','",
    "MINUS": "'-'",
    "$END": "the end of the text",
}
_VALUES: Final = frozenset(["NUMBER", "TEXT", "TRUE", "FALSE", "NAN", "INF", "NULL", "MINUS"])
_CONDITION: Final = frozenset(["PATH", "TAG", "STATISTIC", "NOT", "LPAR"]) | _VALUES


def parse(text: object, start: str) -> object:
    """Return what `Builder` makes of a text.

    Args:
        text: what the user wrote.
        start: ``where``, ``order`` or ``columns``.

    Raises:
        QueryError: the text cannot be read, is too long, or is nested too deeply.
    """
    if not isinstance(text, str):
        raise QueryError(f"A query must be a str, not {type(text).__name__}: {text!r}")
    if len(text) > MAX_TEXT:
        raise QueryError(f"The query is {len(text):,} characters long: the limit is {MAX_TEXT:,}")
    if not text.strip():
        raise QueryError("The query is empty: write for example params.lr < 0.01 and max(loss) < 1")
    try:
        text.encode("utf-8")
        return _parser().parse(text, start=start)
    except UnicodeEncodeError as error:
        raise query_error(text, error.start, "this is not valid Unicode") from None
    except Problem as problem:
        raise query_error(text, problem.position, problem.message) from None
    except UnexpectedInput as error:
        position, message = _explained(text, error)
        raise query_error(text, position, message) from None


def query_error(text: str, position: int, message: str) -> QueryError:
    """Return the error for one place of a query: what is wrong, the line, and a caret below the place."""
    position = min(max(position, 0), len(text))
    begin = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[begin : len(text) if end < 0 else end]
    column = position - begin
    cut = max(0, column - 60)
    shown = ("…" if cut else "") + line[cut : cut + 100] + ("…" if len(line) > cut + 100 else "")
    # Control characters and tabs would move the caret.
    shown = "".join(letter if letter.isprintable() else " " for letter in shown)
    caret = " " * (column - cut + (1 if cut else 0)) + "^"
    return QueryError(f"Cannot read the query at position {position + 1}: {message}\n  {shown}\n  {caret}", key=text)


@cache
def _parser() -> Lark:
    return Lark(
        _RULES,
        parser="lalr",
        lexer="basic",
        start=["where", "order", "columns"],
        transformer=Builder(),
        maybe_placeholders=False,
        lexer_callbacks={"PATH": _keyword},
    )


def _keyword(token: Token) -> Token:
    word = token.lower()
    if word not in KEYWORDS:
        return token
    return Token.new_borrow_pos("INF" if word == "infinity" else word.upper(), str(token), token)


def _explained(text: str, error: UnexpectedInput) -> tuple[int, str]:
    """Return the position of a complaint and a sentence about it."""
    found = cast("int | None", error.pos_in_stream) or 0
    position = found if found >= 0 else len(text)
    if isinstance(error, UnexpectedCharacters):
        return position, _stray(text, position)
    if not isinstance(error, UnexpectedToken):
        return position, "this cannot be read"
    expected = _expected(error.accepts or error.expected)
    if error.token.type == "$END":
        return len(text.rstrip()), f"the text ends here, but expected {expected}"
    note = ""
    if str(error.token).lower() in KEYWORDS and ("PATH" in error.expected):
        note = f" ({error.token} is a word of the query language: a metric of this name is written `{error.token}`)"
    elif error.token.type == "PATH" and "TEXT" in error.expected:
        note = f" (a text stands in quotes: '{error.token}')"
    elif error.token.type in ("MINUS", "NUMBER") and "COMPARE" in error.expected:
        note = " (a name with a dash stands in backquotes: `learning-rate`)"
    return position, f"expected {expected}, not {str(error.token)[:40]}{note}"


def _stray(text: str, position: int) -> str:
    letter = text[position]
    if letter in "'\"":
        return f"this text has no closing {letter}"
    if letter == "`":
        return "this name has no closing backquote" if text.find("`", position + 1) < 0 else "a name must not be empty"
    if letter == ":":
        return "expected the name of a tag after tag:, such as tag:prod"
    if letter in "&|":
        return f"expected {'and' if letter == '&' else 'or'}, not {letter}"
    if letter == "!":
        return "expected != or not, not a single !"
    return f"unexpected {letter!r}: names with other characters than letters, digits, _ . and / stand in backquotes"


def _expected(terminals: Iterable[str]) -> str:
    """Say in words what could have come."""
    left = set(terminals)
    words: list[str] = []
    if left >= _CONDITION:
        words.append("a condition such as params.lr < 0.01")
        left -= _CONDITION
    elif left >= _VALUES:
        words.append("a value: a number, a quoted text, true, false, nan or inf")
        left -= _VALUES
    words.extend(sorted(_WORDS.get(name, name.lower()) for name in left))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
