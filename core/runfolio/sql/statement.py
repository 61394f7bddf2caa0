"""What a statement is, as DuckDB's own parser sees it, before anything is read for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from runfolio.errors import QueryError
from runfolio.query import query_error

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLES: Final = ("runs", "metrics", "artifacts")
"""The tables that there are."""
_FUNCTIONS: Final = frozenset({"generate_series", "json_each", "json_tree", "range", "repeat", "unnest"})
"""Functions that may stand where a table stands. Others read files, settings, memory, or text as a statement."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that may run.

    Attributes:
        text: what the user wrote.
        tables: those of `TABLES` that it names.
    """

    text: str
    tables: frozenset[str]


def read_statement(connection: DuckDBPyConnection, text: str) -> Statement:
    """Take a statement apart and check it.

    Args:
        connection: any connection to DuckDB; only its parser is used.
        text: the statement.

    Raises:
        QueryError: it cannot be read, is not one SELECT, or names something else than our tables.
    """
    if not isinstance(text, str):
        raise QueryError(f"A statement must be a str, not {type(text).__name__}: {text!r}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise query_error(text, error.start, "this is not valid Unicode") from None
    ((answer,),) = connection.execute("select json_serialize_sql(?::varchar)", [text]).fetchall()
    tree = json.loads(answer)
    if tree["error"]:
        if tree.get("error_type") == "parser":
            raise query_error(text, _place(text, tree.get("position")), str(tree["error_message"]))
        raise query_error(text, 0, "only SELECT is possible here: nothing can be written, loaded or set")
    statements = tree["statements"]
    if len(statements) != 1:
        what = "there is no statement" if not statements else f"there are {len(statements)} statements"
        raise query_error(text, 0, f"{what}; write one SELECT, as in: from runs")
    return Statement(text, frozenset(_check(text, statements[0])))


def _check(text: str, tree: dict[str, Any]) -> Iterator[str]:
    """Yield the tables of ours that are named; raise for anything else that stands where a table stands."""
    nodes = [*_nodes(tree)]
    # Whoever names a common table expression like a table of ours may mean either: it is read, to be safe.
    known = {one["key"].lower() for node in nodes for one in node.get("cte_map", {}).get("map", ())}
    for node in nodes:
        kind, place = node.get("type"), _place(text, node.get("query_location"))
        if kind == "BASE_TABLE":
            name = str(node["table_name"]).lower()
            qualified = node.get("schema_name") or node.get("catalog_name")
            if not qualified and name in TABLES:
                yield name
            elif qualified or name not in known:
                raise query_error(text, place, f"there is no table {node['table_name']!r}; {_there_are()}")
        elif kind == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name", "")).lower()
            if name not in _FUNCTIONS:
                raise query_error(text, place, f"the function {name!r} cannot be used as a table; {_there_are()}")
        elif kind == "SHOW_REF" and node.get("query") is None:
            name = str(node.get("table_name")).lower()
            if name in TABLES:  # describe, as older versions have it in their tree
                yield name
                continue
            raise query_error(text, 0, f"describe a table instead, for example describe runs; {_there_are()}")


def _nodes(tree: object) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _there_are() -> str:
    return f"the tables are {', '.join(TABLES)}"


def _place(text: str, told: object) -> int:
    """The character at a byte offset of the parser; the beginning where it tells none."""
    try:
        offset = int(str(told))
    except ValueError:
        return 0
    data = text.encode("utf-8")
    return len(data[:offset].decode("utf-8", "ignore")) if offset <= len(data) else 0
