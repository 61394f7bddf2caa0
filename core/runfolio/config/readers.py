"""Reading one setting: a TOML value, the text of a variable, or a Python argument becomes the type that is wanted.

A reader raises ValueError with what it expected; who calls it adds the key and the place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from runfolio.errors import RunfolioError
from runfolio.names import validate_path

Reader: TypeAlias = Callable[[object], object]
"""Takes a value as it was found, returns it as the setting's type. Variables come as `EnvironmentText`."""

_TRUE: Final = frozenset(["1", "true", "yes", "on"])
_FALSE: Final = frozenset(["0", "false", "no", "off"])
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)
_SECONDS: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h)?\s*", re.IGNORECASE)
_UNITS: Final = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class EnvironmentText(str):
    """The text of an environment variable, in which numbers, flags and lists are spelled as words."""

    __slots__ = ()


def text(value: object) -> str:
    """Any text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected a text")
    return str(value)


def location(value: object) -> str:
    """A path or URL; Python callers may give a `pathlib.Path`."""
    return os.fspath(value) if isinstance(value, Path) else text(value)


def flag(value: object) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    if isinstance(value, EnvironmentText) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError("expected true or false")


def one_of(*words: str) -> Callable[[object], str]:
    """One of a few words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return str(value)

    return read


def texts(value: object) -> tuple[str, ...]:
    """A list of texts; in the environment they are separated by commas."""
    if isinstance(value, EnvironmentText):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(part, str) for part in value):
        raise ValueError("expected a list of texts")
    return tuple(str(part) for part in value)


def folders(value: object) -> tuple[str, ...]:
    """A list of relative folders inside the project; a slash at the end is allowed."""
    found = tuple(part.rstrip("/") for part in texts(value))
    for part in found:
        try:
            validate_path(part)
        except RunfolioError as error:
            raise ValueError(f"expected relative folders of the project: {error}") from None
    return found


def size(value: object) -> int:
    """A number of bytes, or a text such as ``512 MB`` (powers of 1000) or ``512 MiB`` (powers of 1024)."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None or (found[3] and not found[2]):
        raise ValueError("expected a number of bytes, or a text such as '512 MiB'")
    power = " kmgt".index(found[2].lower() or " ")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** power)


def seconds(value: object) -> float:
    """A positive number of seconds, or a text such as ``15s``, ``5 min``, ``500ms``."""
    number: float | None = None
    if isinstance(value, str):
        found = _SECONDS.fullmatch(value)
        number = float(found[1]) * _UNITS[(found[2] or "").lower()] if found else None
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
    if number is None or not 0 < number < float("inf"):
        raise ValueError("expected a positive number of seconds, or a text such as '15s' or '5 min'")
    return number


def whole(value: object) -> int:
    """A whole number above zero."""
    if isinstance(value, EnvironmentText) and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("expected a whole number above zero")
    return value


def price(value: object) -> float:
    """A number that is not negative: a price in any currency."""
    if isinstance(value, EnvironmentText):
        try:
            value = float(value)
        except ValueError:
            value = None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise ValueError("expected a price: a number that is not negative")
    return float(value)
