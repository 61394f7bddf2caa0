"""Turning any value into plain JSON data: what queries see, and what every output format starts from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

from runfolio.values import spell

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""JSON data in which every float is finite."""

NON_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
"""The words that stand for the floats that JSON does not have."""


def plain(value: object, *, sort: bool = True) -> Plain:
    """Return a value as plain data.

    Non-finite floats become the words ``NaN``, ``Infinity`` and ``-Infinity``; times become ISO 8601 text; what
    JSON has no form for becomes its ``str``.

    Args:
        value: anything.
        sort: put the keys of objects in ASCII order, as in records. Results of queries keep the order the user wrote.
    """
    if value is None or isinstance(value, (bool, str)):
        return value if value is None or isinstance(value, bool) else str(value)
    if isinstance(value, int):
        return _whole(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else spell(value)
    if isinstance(value, Decimal):
        return _whole(int(value)) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
        return {key: plain(item, sort=sort) for key, item in (sorted(items, key=_key) if sort else items)}
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (Sequence, AbstractSet)) and not isinstance(value, (bytes, bytearray)):
        return [plain(item, sort=sort) for item in value]
    return str(value)


def _key(item: tuple[str, object]) -> str:
    return item[0]


def _whole(value: int) -> int | str:
    try:
        str(int(value))
    except ValueError:  # beyond the interpreter's limit of digits
        return hex(value)
    return int(value)
