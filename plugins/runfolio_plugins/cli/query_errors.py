"""What to say when a query cannot be read or does not fit: which run, which field, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from jmespath.exceptions import (
    ArityError,
    IncompleteExpressionError,
    JMESPathTypeError,
    LexerError,
    ParseError,
    UnknownFunctionError,
)
from jmespath.functions import Functions

from runfolio_plugins.cli.plain import NON_FINITE, Plain

if TYPE_CHECKING:
    from jmespath.visitor import _TreeNode

_SHOWN: Final = 3
_LONGEST: Final = 30
_HINT: Final = (
    "Names with spaces, dots, slashes or dashes stand in double quotes, numbers in backquotes, texts in single quotes: "
    """[?"val/acc" > `0.9` && status == 'Completed']"""
)


def kind_of(value: object) -> str:
    """Return the kind of a value in words of the user: number, text, true/false, list, object or null."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true/false"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "object"


def describe(value: object) -> str:
    """Return the kind of a value, and the value itself where it is short."""
    kind = kind_of(value)
    if kind == "text":
        text = str(value)
        return f"the text {text if len(text) <= _LONGEST else text[:_LONGEST] + '…'!r}"
    if kind == "list" and isinstance(value, list):
        return f"a list of {len(value)}"
    return {"number": f"the number {value}", "true/false": str(value).lower(), "object": "an object"}.get(kind, kind)


def label(element: object, place: int) -> str:
    """Return what people call an element of the data: a run by its id, anything else by its place."""
    if isinstance(element, Mapping) and isinstance(element.get("run_id"), str):
        return str(element["run_id"])
    return f"element {place}"


def expression_text(node: _TreeNode) -> str:
    """Return an expression as the user may have written it, where it is a path of names; else a word for it."""
    names = [child["value"] for child in _nodes(node) if child["type"] == "field"]
    return ".".join(name if name.isidentifier() else f'"{name}"' for name in names) or "key"


def unreadable(expression: str, error: Exception) -> str:
    """Return the message for an expression that cannot be parsed, with a mark under the place."""
    if not expression.strip():
        return "The query is empty"
    if isinstance(error, RecursionError):
        return "The query is nested too deep"
    place, reason = None, "it is no JMESPath expression"
    if isinstance(error, IncompleteExpressionError):
        place, reason = len(expression), "it ends too early"
    elif isinstance(error, LexerError):
        place, reason = error.lexer_position, "this begins nothing that is known"
    elif isinstance(error, ParseError):
        place, reason = error.lex_position, "something else is expected here"
    mark = "" if place is None else f"\n  {expression}\n  {' ' * place}^ {reason}"
    return f"The query cannot be read{'' if place is not None else ': ' + reason}{mark}\n{_HINT}"


def misfit(expression: str, tree: _TreeNode, data: Plain, error: Exception) -> str:
    """Return the message for an expression that cannot be applied to this data."""
    if isinstance(error, UnknownFunctionError):
        called = [node["value"] for node in _nodes(tree) if node["type"] == "function_expression"]
        unknown = next((name for name in called if name not in Functions.FUNCTION_TABLE), "")
        known = ", ".join(sorted(Functions.FUNCTION_TABLE))
        return f"The query calls {unknown}(), which JMESPath does not have; it has: {known}"
    if isinstance(error, ArityError):
        given, wanted = error.actual_arity, error.expected_arity
        return f"The query {expression!r} gives {error.function_name}() {given} arguments; it takes {wanted}"
    if isinstance(error, RecursionError):
        return "The query is nested too deep"
    lines = [f"The query {expression!r} does not fit the data: {_reason(error)}"]
    if isinstance(data, list) and isinstance(error, JMESPathTypeError) and error.current_value is None:
        lines.append("The data is a list: the values of all its elements are [].NAME")
    lines += _fields(tree, data)
    return "\n".join(lines)


def _reason(error: Exception) -> str:
    if isinstance(error, JMESPathTypeError):
        wanted = " or ".join(_words(one) for one in error.expected_types)
        return f"{error.function_name}() takes {wanted}, and got {describe(error.current_value)}"
    return str(error) or type(error).__name__


def _words(expected: str) -> str:
    kind, _, inside = expected.partition("-")
    kinds = {
        "number": "a number",
        "string": "a text",
        "array": "a list",
        "object": "an object",
        "expref": "an expression (&name)",
    }
    many = {"number": " of numbers", "string": " of texts"}
    return kinds.get(kind, kind) + many.get(inside, "")


def _fields(tree: _TreeNode, data: Plain) -> list[str]:
    """Say for each field of the query which kinds it has in which runs, where that may be why the query failed."""
    elements = data if isinstance(data, list) else [data]
    lines = []
    for name in dict.fromkeys(node["value"] for node in _nodes(tree) if node["type"] == "field"):
        kinds: dict[str, list[str]] = {}
        for place, element in enumerate(elements):
            if isinstance(element, dict) and name in element:
                value = element[name]
                kind = "NaN or infinite" if isinstance(value, str) and value in NON_FINITE else kind_of(value)
                kinds.setdefault(kind, []).append(label(element, place))
        if len(kinds) > 1 or (kinds and next(iter(kinds)) not in ("number", "text")):
            common = max(kinds, key=lambda kind: (len(kinds[kind]), kind == "number"))
            rare = [f"{kind} in {_some(runs)}" for kind, runs in kinds.items() if kind != common or len(kinds) == 1]
            lines.append(f"  {name}: " + "; ".join([*rare, *([f"{common} in the others"] if len(kinds) > 1 else [])]))
    if lines:
        lines.append("Narrow the runs first, for example with [?type(NAME) == 'number']")
    return lines


def _some(runs: list[str]) -> str:
    more = f" and {len(runs) - _SHOWN} more" if len(runs) > _SHOWN else ""
    return ", ".join(runs[:_SHOWN]) + more


def _nodes(tree: object) -> Iterator[_TreeNode]:
    """All nodes of a parsed expression, outermost first."""
    waiting = [tree]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, dict) and "type" in node:
            yield node  # type: ignore[misc]  # told apart by its keys
            waiting = [*node.get("children", []), *waiting]
