"""Values of documents as cells of typed columns, and back.

A cell that cannot hold a value is null; the column `rest` then keeps the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from runfolio.index.difference import from_json_text, json_text
from runfolio.values import EXACT_INT

Cell: TypeAlias = Any
Item: TypeAlias = dict[str, Cell]
INT64_TOP: Final = 2**63
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")
START, END = 1, 2


def text_cell(value: object) -> str | None:
    """A str that UTF-8 can hold. Lone surrogates are shown as question marks."""
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode()
    return value


def int_cell(value: object) -> int | None:
    """An int of 64 bits."""
    if isinstance(value, int) and not isinstance(value, bool) and -INT64_TOP <= value < INT64_TOP:
        return value
    return None


def hex_cell(value: object, size: int) -> bytes | None:
    """A text of 2 x `size` hex digits as bytes."""
    if isinstance(value, str) and len(value) == 2 * size and _HEX.fullmatch(value):
        return bytes.fromhex(value)
    return None


def time_cell(value: object) -> int | None:
    """An ISO 8601 time as microseconds since 1970."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def time_text(cell: int) -> str:
    """The text that documents carry for a time."""
    return (_EPOCH + timedelta(microseconds=cell)).isoformat(timespec="microseconds")


def texts_cell(value: object) -> list[str] | None:
    """A list of texts; what is no text in it is left out."""
    if not isinstance(value, list):
        return None
    return [cell for item in value if (cell := text_cell(item)) is not None]


def json_cell(value: object) -> str | None:
    """A mapping that is not empty as JSON."""
    return json_text(value) if isinstance(value, Mapping) and value else None


def number_cell(value: float) -> float | None:
    """The nearest float64; infinite for an int beyond its range."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def value_cells(value: object) -> tuple[str, float | None, str | None]:
    """Kind, number and text of a param, a summary value or a metric's last value; lists and mappings are ``json``."""
    if value is None:
        return "null", None, None
    if isinstance(value, bool):
        return "bool", float(value), None
    if isinstance(value, int):
        return "int", number_cell(value), None if -EXACT_INT <= value <= EXACT_INT else str(value)
    if isinstance(value, float):
        return "float", value, None
    if isinstance(value, str):
        return "str", None, text_cell(value)
    return "json", None, json_text(value)


def value_of(kind: str | None, number: float | None, text: str | None) -> Any:
    """The value that `value_cells` made these of."""
    if kind == "str":
        return text
    if kind == "int":
        return int(text) if text is not None else None if number is None else int(number)
    if kind == "bool":
        return bool(number)
    if kind == "json":
        return None if text is None else from_json_text(text)
    return number if kind == "float" else None


def value_items(values: Mapping[str, object]) -> list[Item]:
    """The elements of a list column of named values, sorted by name."""
    items = []
    for name in sorted(values):
        kind, number, text = value_cells(values[name])
        items.append({"name": text_cell(name), "kind": kind, "value": number, "text": text})
    return items


def values_of(items: list[Item] | None) -> dict[str, Any]:
    """The named values that `value_items` made these of."""
    return {item["name"]: value_of(item["kind"], item["value"], item["text"]) for item in items or ()}


def metric_item(name: str, summary: Mapping[str, Any]) -> Item:
    """One element of the list column of metrics."""
    last = summary.get("last")
    listed = isinstance(last, list)
    # The kind of a scalar is that of the value itself, so that whoever reads the columns is never told wrong.
    kind, number, text = (text_cell(summary.get("kind")), None, None) if listed else value_cells(last)
    return {
        "name": text_cell(name),
        "kind": kind,
        "count": int_cell(summary.get("count")),
        "last": number,
        "text": text,
        "last_step": int_cell(summary.get("last_step")),
        "min": _extreme(summary.get("min")),
        "max": _extreme(summary.get("max")),
        "min_step": int_cell(summary.get("min_step")),
        "max_step": int_cell(summary.get("max_step")),
        "list": json_text(last) if listed else None,
    }


def summary_of(item: Item) -> dict[str, Any]:
    """The summary that `metric_item` most often made this of: the kind tells how numbers were spelt."""
    kind = item["kind"]
    summary: dict[str, Any] = {key: item[key] for key in _COPIED if item[key] is not None}
    if item["list"] is not None:
        summary["last"] = from_json_text(item["list"])
        summary["list"] = True
    else:
        last = value_of(kind, item["last"], item["text"])
        if last is not None:
            summary["last"] = last
    for extreme in ("min", "max"):
        number = item[extreme]
        if number is not None:
            whole = kind in ("int", "bool") and number == number // 1 and abs(number) <= EXACT_INT
            summary[extreme] = int(number) if whole else number
    return summary


_COPIED: Final = ("kind", "count", "last_step", "min_step", "max_step")


def _extreme(value: object) -> float | None:
    return number_cell(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
