"""What the caller of `log` gave, checked and made into frames. The hot path does without (see ``writer``)."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable
from typing import Final, TypeAlias, cast

from runfolio.errors import InvalidValueError
from runfolio.journal import frames
from runfolio.values import MAX_LIST, MAX_TEXT_BYTES, Scalar, dump_json, scalar, sequence

Convert: TypeAlias = Callable[[object], object]
"""Turns a value of a foreign type into one that can be logged, or returns None."""
Plain: TypeAlias = Scalar | list[Scalar]

INT64: Final = range(-(2**63), 2**63)
_PLAIN: Final = frozenset([float, int, bool, str])
_BIG_DIGITS: Final = 4300
"""The most digits that Python turns into an int by default (see ``sys.set_int_max_str_digits``)."""
_BIG_BITS: Final = 14_000


def plain(value: object, convert: Convert | None = None) -> Plain:
    """Return a value as a plain scalar or a list of them.

    Args:
        value: what the caller gave to `log`.
        convert: asked for values that are neither.

    Raises:
        InvalidValueError: it cannot be logged.
    """
    if value.__class__ in _PLAIN:
        return cast("Scalar", value)
    if isinstance(value, (bool, str, int, float)):
        return scalar(value)
    try:
        elements = _quick_list(value)
        if elements is None:
            elements = sequence(value)
        return scalar(value) if elements is None else elements
    except InvalidValueError:
        converted = convert(value) if convert is not None else None
        if converted is None:
            raise
    return plain(converted)


def _quick_list(value: object) -> list[Scalar] | None:
    """The elements of a list or of a 1-D array of numbers, without a look at each one in Python."""
    elements: object = value
    if value.__class__ is not list:
        if hasattr(value, "to_numpy"):  # a Series has an index that would be lost: `sequence` says what to do
            return None
        shape, tolist = getattr(value, "shape", None), getattr(value, "tolist", None)
        if not (isinstance(shape, tuple) and len(shape) == 1 and callable(tolist)) or shape[0] > MAX_LIST:
            return None
        elements = tolist()
    if not isinstance(elements, list) or len(elements) > MAX_LIST or not set(map(type, elements)) <= _PLAIN:
        return None
    return list(elements)


def checked_step(step: object) -> int:
    """Return an explicit step as an int.

    Raises:
        InvalidValueError: it is not an integer of 64 bits. NumPy's and others' integers are welcome.
    """
    if not isinstance(step, bool):
        try:
            number = operator.index(step)  # type: ignore[arg-type]  # whatever the caller gave: the point is to find out
        except TypeError:
            pass
        else:
            if number in INT64:
                return number
            raise InvalidValueError(f"The step {number} does not fit into 64 bits")
    raise InvalidValueError(
        f"A step is an int, not a {type(step).__name__}: {str(step)[:80]!r}. Log another axis as a metric of its own"
    )


def encode(value: Plain, name: int, step: int, time: int, salt: int) -> bytes:
    """Return the frame of one value.

    Raises:
        InvalidValueError: a text is too long or no valid Unicode, or an int is beyond all measure.
    """
    if isinstance(value, list):
        kind, data = _list_data(value)
        data = frames.COUNT.pack(len(value) or 1) + data
    elif isinstance(value, str):
        kind, data = frames.TEXT, _text_data(value)
    else:
        number = cast("float", value)
        code = frames.FLOAT if value.__class__ is float else frames.BOOL if value.__class__ is bool else frames.INT
        if code == frames.INT and number not in INT64:
            kind, data = frames.BIG_INT, _digits(cast("int", number))
        elif name < frames.FIXED_NAMES:
            return frames.fixed(code, name, step, time, number, salt=salt)
        else:
            pack = frames.WIDE_FLOAT.pack if code == frames.FLOAT else frames.WIDE_INT.pack
            kind, data = frames.WIDE, pack(code, number)
    return frames.extended(kind, name, frames.STAMP.pack(step, time) + data, salt)


def _text_data(text: str) -> bytes:
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidValueError(
            f"The text {text[:60]!r} is not valid Unicode: it holds a lone surrogate. "
            "Use text.encode('utf-8', 'replace').decode()"
        ) from error
    if len(data) > MAX_TEXT_BYTES:
        raise InvalidValueError(f"A text of {len(data):,} bytes is too long to be logged: use run.log_text(name, text)")
    return data


def _digits(number: int) -> bytes:
    if number.bit_length() > _BIG_BITS:
        raise InvalidValueError(
            f"An int of more than {_BIG_DIGITS:,} digits is too long: log its str, or its logarithm"
        )
    return str(number).encode("ascii")


def _list_data(elements: list[Scalar]) -> tuple[int, bytes]:
    classes = set(map(type, elements))
    if classes == {float}:
        return frames.LIST_FLOAT, array("d", cast("list[float]", elements)).tobytes()
    if classes == {bool}:
        return frames.LIST_BOOL, bytes(cast("list[bool]", elements))
    if classes == {int}:
        try:
            return frames.LIST_INT, array("q", cast("list[int]", elements)).tobytes()
        except OverflowError:
            pass
    for element in elements:
        if isinstance(element, str):
            _text_data(element)
        elif isinstance(element, int) and element not in INT64:
            _digits(element)
    data = dump_json(elements)
    if len(data) > 4 * MAX_TEXT_BYTES:
        raise InvalidValueError(
            f"A list of {len(data):,} bytes is too long for one value: use run.log_columns or run.log_table"
        )
    return frames.LIST_JSON, data
