"""Literals, read as the kind of what they are compared with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from runfolio.query.fields import STATUSES, similar
from runfolio.query.literals import read_duration, read_time
from runfolio.query.syntax import Operand, Operator, Value

if TYPE_CHECKING:
    from collections.abc import Callable


class Problem(Exception):  # noqa: N818  # never leaves this package: it becomes a QueryError with a caret line
    """What is wrong at one position of a query."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position
        self.message = message


class Literal(NamedTuple):
    """A value as written; ``None`` is the word null."""

    value: float | bool | str | None
    position: int


class Named(NamedTuple):
    """An operand, and where and how it was written."""

    operand: Operand
    position: int
    spelling: str


KINDS: Final = {"text": "text", "number": "number", "time": "time", "duration": "duration", "bool": "true or false"}


def fitted(named: Named, literal: Literal) -> Value:
    """Return a literal as the kind of what it is compared with."""
    operand, value = named.operand, literal.value
    if value is None:
        raise Problem(
            literal.position, f"nothing compares with null: write `{named.spelling} is null` or `is not null`"
        )
    fit = _FITS.get(operand.kind)
    try:
        found = float(value) if fit is None and isinstance(value, bool) else value if fit is None else fit(value)
    except ValueError as error:
        message = f"{named.spelling} is a {KINDS[operand.kind]}: {error}"
        raise Problem(literal.position, message) from None
    if operand == _STATUS and found not in STATUSES:
        meant = similar(str(found), STATUSES)
        advice = f"did you mean '{meant}'?" if meant else f"expected one of {', '.join(STATUSES)}"
        raise Problem(literal.position, f"no run has the status {str(found)!r}: {advice}")
    return found


_STATUS: Final = Operand("field", "status")


def _fit_text(value: float | bool | str) -> Value:
    if not isinstance(value, str):
        raise ValueError("expected a text in quotes")  # noqa: TRY004  # turned into a message about the query
    return value


def _fit_number(value: float | bool | str) -> Value:
    if isinstance(value, str):
        raise ValueError("expected a number without quotes")  # noqa: TRY004  # likewise
    return float(value)


def _fit_time(value: float | bool | str) -> Value:
    expected = "expected an ISO time in quotes, such as '2026-03-01' or '2026-03-01T12:30:00+01:00'"
    if not isinstance(value, str):
        raise ValueError(expected)  # noqa: TRY004  # likewise
    try:
        return read_time(value)
    except ValueError:
        raise ValueError(expected) from None


def _fit_duration(value: float | bool | str) -> Value:
    return read_duration(value) if isinstance(value, str) else float(value)


def _fit_bool(value: float | bool | str) -> Value:
    if isinstance(value, str) or value not in (0, 1):
        raise ValueError("expected true or false")
    return bool(value)


_FITS: Final[dict[str, Callable[[float | bool | str], Value]]] = {
    "text": _fit_text,
    "number": _fit_number,
    "time": _fit_time,
    "duration": _fit_duration,
    "bool": _fit_bool,
}


def check_order(value: Value, operator: Operator, literal: Literal) -> None:
    """Refuse values that are neither smaller nor larger than others where an operator asks for that."""
    if operator in ("=", "!="):
        return
    if isinstance(value, bool):
        raise Problem(literal.position, "true and false have no order: use = or !=")
    if isinstance(value, float) and math.isnan(value):
        raise Problem(literal.position, "nan has no order: use = nan or != nan")
