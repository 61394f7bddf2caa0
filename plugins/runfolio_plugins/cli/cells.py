"""One value as a cell of a table: short, on one line, and harmless to the terminal."""

from __future__ import annotations

import unicodedata
from typing import Final

from runfolio_plugins.cli.escaping import escape
from runfolio_plugins.cli.plain import NON_FINITE, Plain

SIGNIFICANT: Final = 6
"""Digits of a float in a table. Ints are shown whole."""
LONGEST_TEXT: Final = 60
"""Columns that a text may take in a table."""
LONGEST_LIST: Final = 40
"""Columns that a list may take in a table."""
ELLIPSIS: Final = "…"


def number_text(value: float) -> str:
    """Return a number as tables show it: an int whole, a float cut to six significant digits."""
    return str(value) if isinstance(value, int) else format(value, f".{SIGNIFICANT}g")


def is_number(value: Plain) -> bool:
    """Whether a cell is aligned like a number: numbers, and the words for NaN and the infinities."""
    if isinstance(value, str):
        return value in NON_FINITE
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def cell(value: Plain, longest: int = LONGEST_TEXT) -> str:
    """Return a value as a cell: null is empty, lists show their beginning and their length, texts are cut."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, str):
        return cut(escape(value[: longest * 4]), longest)
    if isinstance(value, list):
        return _list_cell(value, min(longest, LONGEST_LIST))
    return _object_cell(value, longest)


def _list_cell(values: list[Plain], longest: int) -> str:
    shown: list[str] = []
    used = 2
    for value in values:
        text = cell(value, 16) if value is not None else "null"
        if used + width(text) > longest:
            break
        shown.append(text)
        used += width(text) + 2
    if len(shown) == len(values):
        return f"[{', '.join(shown)}]"
    return f"[{', '.join([*shown[:3], ELLIPSIS])} {len(values)} values]"


def _object_cell(mapping: dict[str, Plain], longest: int) -> str:
    parts: list[str] = []
    used = 0
    for key, value in mapping.items():
        parts.append(f"{cell(key, 24)}: {cell(value, 24) if value is not None else 'null'}")
        used += len(parts[-1])
        if used > longest:
            break
    return cut("{" + ", ".join(parts) + "}", longest)


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for wide letters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(_letter_width(letter) for letter in text)


def _letter_width(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1


def cut(text: str, longest: int) -> str:
    """Return a text that takes at most `longest` columns, with an ellipsis at its end when some of it is missing."""
    if len(text) <= longest // 2 or width(text) <= longest:
        return text
    kept: list[str] = []
    room = longest - 1
    for letter in text:
        room -= _letter_width(letter)
        if room < 0:
            break
        kept.append(letter)
    return "".join(kept) + ELLIPSIS


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Return a text filled with spaces to a width, at its left when it is aligned to the right."""
    spaces = " " * (columns - width(text))
    return spaces + text if right else text + spaces
