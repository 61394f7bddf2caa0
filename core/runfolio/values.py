"""The kinds of values that can be logged, and their spelling in JSON.

The kind comes back as it went in: 7 is an int, True a bool, "0.5" a str.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias, cast

from runfolio.errors import InvalidNameError, InvalidValueError

Scalar: TypeAlias = float | int | bool | str
Kind: TypeAlias = Literal["float", "int", "bool", "str"]
KINDS: Final[tuple[Kind, ...]] = ("float", "int", "bool", "str")
EXACT_INT: Final = 2**53
"""Ints up to this magnitude are exact as float64."""
MAX_TEXT_BYTES: Final = 16 * 1024 * 1024
"""Longest str value, in UTF-8 bytes. Longer text belongs into an artifact (`run.log_text`)."""
MAX_LIST: Final = 10_000_000
"""Longest list value. Longer columns belong into `run.log_columns`."""

_INSTEAD: Final = {
    "dict": "log several metrics with run.log({'name': value, ...}), or a document with run.log_text",
    "DataFrame": "use run.log_table(name, frame)",
    "Series": "use run.log(name, series.to_numpy()), or run.log_table(name, series.to_frame())",
    "Table": "use run.log_table(name, table)",
    "RecordBatch": "use run.log_table(name, batch)",
    "Figure": "use run.log_figure(name, figure)",
    "Image": "use run.log_image(name, image)",
    "NoneType": "leave the call out, or log float('nan')",
    "bytes": "use run.log_bytes(name, data)",
    "Path": "use run.log_artifact(path) for a file, or str(path) for its name",
}


def scalar(value: object) -> Scalar:
    """Return a value as one of the four plain kinds.

    NumPy, PyTorch and other scalars are recognised by what they can do.

    Raises:
        InvalidValueError: it is not a scalar. The message names the call that takes it.
    """
    plain = value.__class__
    if plain is float or plain is int or plain is bool or plain is str:
        return value  # type: ignore[return-value]  # checked on the line above; a cast would cost each value a call
    # Subclasses, such as an enum or numpy.float64.
    if isinstance(value, str):
        return str.__str__(value)
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    shape = getattr(value, "shape", None)
    item = getattr(value, "item", None)
    if callable(item) and (shape is None or math.prod(cast("Iterable[int]", shape)) == 1):
        plain_value = item()
        if isinstance(plain_value, (bool, str, int, float)):
            return plain_value
    if callable(getattr(type(value), "__index__", None)):
        return int(cast("Any", value))
    name = type(value).__name__
    if callable(getattr(type(value), "__float__", None)) and shape is None and name not in _INSTEAD:
        return float(cast("Any", value))
    raise InvalidValueError(unloggable(value))


def unloggable(value: object) -> str:
    """The message for a value that cannot be logged."""
    name = type(value).__name__
    shape = getattr(value, "shape", None)
    if name in _INSTEAD or isinstance(value, Mapping):
        advice = _INSTEAD.get(name, _INSTEAD["dict"])
    elif shape is not None and len(shape) > 1:
        advice = "log its rows one by one, or store the array with run.log_artifact or run.log_table"
    else:
        advice = (
            "log a number, bool, str, or a list or 1-D array of them; "
            "other types need a plugin (hook runfolio_convert_value)"
        )
    return f"A value of type {type(value).__module__}.{name} cannot be logged: {advice}"


def sequence(value: object) -> list[Scalar] | None:
    """Return the elements of a list, tuple, range or 1-D array as plain scalars.

    None when it is not a sequence of scalars.

    Raises:
        InvalidValueError: an element is not a scalar (nested lists, 2-D arrays, None).
    """
    if isinstance(value, (str, bytes, Mapping)):
        return None
    shape = getattr(value, "shape", None)
    tolist = getattr(value, "tolist", None)
    if shape is not None and callable(tolist):
        if len(shape) == 0:
            return None
        if len(shape) != 1 or type(value).__name__ in _INSTEAD:
            raise InvalidValueError(unloggable(value))
        elements = cast("list[object]", tolist())
    elif isinstance(value, (list, tuple, range, set, frozenset)):
        elements = sorted(value) if isinstance(value, (set, frozenset)) else [*value]
    else:
        return None
    if len(elements) > MAX_LIST:
        raise InvalidValueError(f"A list of {len(elements):,} elements is too long for one value: use run.log_columns")
    return [scalar(element) for element in elements]


def kind_of(value: Scalar) -> Kind:
    """The kind of a plain scalar."""
    return cast("Kind", value.__class__.__name__)


def flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested params as one flat mapping with dotted names: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``.

    Values are plain scalars, None, or lists of them. Anything else is stored as its ``str``.

    Raises:
        InvalidNameError: two params end up under one name.
    """
    flat: dict[str, Any] = {}
    for key, value in params.items():
        name = f"{prefix}{key}"
        found = flatten(value, f"{name}.") if isinstance(value, Mapping) and value else {name: _param(value)}
        for one, plain in found.items():
            if one in flat:
                raise InvalidNameError(f"Two params are named {one!r} after flattening", key=one)
            flat[one] = plain
    return flat


def _param(value: object) -> object:
    if value is None or isinstance(value, Mapping):
        return None if value is None else {}
    try:
        elements = sequence(value)
        return scalar(value) if elements is None else elements
    except InvalidValueError:
        return str(value)


def dump_json(document: object) -> bytes:
    """Return a document as UTF-8 JSON with sorted keys; non-finite floats as ``{"float": "NaN"}``.

    The same document gives the same bytes. A lone surrogate, as in the name of a file that is no UTF-8, becomes an
    escape of JSON.
    """
    return json.dumps(
        _encode(document), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode("utf-8", "backslashreplace")


def load_json(data: bytes) -> Any:
    """Return what `dump_json` made these bytes of.

    Raises:
        ValueError: the bytes are not JSON.
    """
    return json.loads(data.decode("utf-8", "surrogatepass"), object_hook=_decode)


_NON_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def spell(value: float) -> str:
    """The word for a non-finite float in JSON."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _encode(value: object) -> object:
    if type(value) is float:
        return value if math.isfinite(value) else {"float": spell(value)}
    if isinstance(value, Mapping):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    return value


def _decode(mapping: dict[str, Any]) -> Any:
    if len(mapping) == 1:
        word = mapping.get("float")
        if isinstance(word, str) and word in _NON_FINITE:
            return _NON_FINITE[word]
    return mapping
