"""Literals of a query: reading and printing numbers, strings, times and durations."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Final

_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "0": "\0"}
_LAST_CHARACTER: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)
_PLAIN_INT: Final = 1e15
_CODE: Final = r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))"
_INNER: Final = {quote: re.compile(f"{_CODE}|({quote}){quote}", re.DOTALL) for quote in "'\""}
_SPECIAL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DURATION_PART: Final = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]+)")
_SECONDS: Final = {
    **dict.fromkeys(["ms"], 0.001),
    **dict.fromkeys(["s", "sec", "secs", "second", "seconds"], 1.0),
    **dict.fromkeys(["m", "min", "mins", "minute", "minutes"], 60.0),
    **dict.fromkeys(["h", "hour", "hours"], 3600.0),
    **dict.fromkeys(["d", "day", "days"], 86400.0),
    **dict.fromkeys(["w", "week", "weeks"], 604800.0),
}


def read_text(token: str) -> str:
    r"""Return the text of a quoted string.

    The quote itself may be doubled or escaped. ``\\``, ``\n``, ``\t``, ``\r``, ``\0``, ``\uXXXX`` and ``\UXXXXXXXX``
    are known; before any other character the backslash stays, so that ``like '50\%'`` needs no second one.

    Raises:
        ValueError: an escape names no character.
    """
    return _INNER[token[0]].sub(_unescape, token[1:-1])


def _unescape(found: re.Match[str]) -> str:
    if found[4]:
        return found[4]
    digits = found[1] or found[2]
    if digits is None:
        return _ESCAPES.get(found[3], f"\\{found[3]}")
    code = int(digits, 16)
    if code > _LAST_CHARACTER or code in _SURROGATES:
        raise ValueError(f"{found[0]} is not a character")
    return chr(code)


def quote_text(text: str) -> str:
    """Return a text as a query spells it: in single quotes, with escapes where needed."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + _SPECIAL.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped) + "'"


def read_number(token: str) -> float:
    """Return the number that a token spells.

    Raises:
        ValueError: it is larger than any float.
    """
    number = float(token)
    if math.isinf(number):
        raise ValueError("the number is too large: write inf for infinity")
    return number


def quote_number(number: float) -> str:
    """Return a number as a query spells it."""
    if math.isnan(number):
        return "nan"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    return (
        repr(int(number))
        if number == int(number) and abs(number) < _PLAIN_INT and str(number) != "-0.0"
        else repr(number)
    )


def read_time(text: str) -> datetime:
    """Return the moment that an ISO 8601 text names: a date, or a date and time; UTC unless it carries an offset.

    Raises:
        ValueError: it names none.
    """
    moment = datetime.fromisoformat(text.strip())
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text} is outside the years 1 to 9999") from None


def read_duration(text: str) -> float:
    """Return the seconds that a text such as ``90s``, ``5 min`` or ``1h30m`` stands for.

    Raises:
        ValueError: it is no duration.
    """
    wanted = text.strip().lower()
    at, seconds = 0, 0.0
    while at < len(wanted):
        found = _DURATION_PART.match(wanted, at)
        if found is None or found[2] not in _SECONDS:
            break
        seconds += float(found[1]) * _SECONDS[found[2]]
        at = found.end()
    if not wanted or at < len(wanted) or math.isinf(seconds):
        raise ValueError(f"{text!r} is no duration: write seconds, or a text such as '90s', '5 min' or '1h30m'")
    return seconds
