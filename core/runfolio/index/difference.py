"""What columns cannot say of a row, as a small JSON patch: how the row differs from what they give back."""

from __future__ import annotations

from typing import Any, Final

from runfolio.index.row import identical
from runfolio.values import dump_json, load_json

SET: Final = "="
"""Keys with another value, or that are missing in what the columns give."""
DROP: Final = "-"
"""Keys that only the columns give."""
INTO: Final = "~"
"""Keys whose values are mappings on both sides, each with its own patch."""


def difference(given: dict[str, Any], actual: dict[str, Any]) -> dict[str, Any] | None:
    """Return the patch that makes `actual` of `given`, or None when they are identical."""
    patch: dict[str, Any] = {}
    for key, value in actual.items():
        if key not in given:
            patch.setdefault(SET, {})[key] = value
            continue
        other = given[key]
        if isinstance(value, dict) and isinstance(other, dict):
            inner = difference(other, value)
            if inner is not None:
                patch.setdefault(INTO, {})[key] = inner
        elif not identical(value, other):
            patch.setdefault(SET, {})[key] = value
    dropped = [key for key in given if key not in actual]
    if dropped:
        patch[DROP] = dropped
    return patch or None


def patched(given: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return what `difference` was made from."""
    actual = {key: value for key, value in given.items() if key not in patch.get(DROP, ())}
    actual.update(patch.get(SET, {}))
    for key, inner in patch.get(INTO, {}).items():
        actual[key] = patched(given[key], inner)
    return actual


def json_text(value: object) -> str:
    """Return a value as compact JSON text."""
    return dump_json(value).decode()


def from_json_text(text: str) -> Any:
    """Return what `json_text` made this of."""
    return load_json(text.encode())
