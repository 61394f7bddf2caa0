"""The built-in fields of a run that a query may name, their kinds and their short names."""

from __future__ import annotations

from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FieldKind: TypeAlias = Literal["text", "number", "time", "duration", "bool"]

FIELDS: Final[Mapping[str, FieldKind]] = MappingProxyType(
    {
        "project": "text",
        "run_id": "text",
        "run_number": "number",
        "experiment": "text",
        "script_name": "text",
        "name": "text",
        "note": "text",
        "description": "text",
        "status": "text",
        "target": "text",
        "user_id": "text",
        "host": "text",
        "parent_run_id": "text",
        "created_utc": "time",
        "start_time_utc": "time",
        "end_time_utc": "time",
        "duration_seconds": "duration",
        "hidden": "bool",
        "files": "number",
        "bytes": "number",
        "rows": "number",
        "commit_id": "text",
    }
)
"""Each field of the flat record that a query can compare, with its kind."""

ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "number": "run_number",
        "id": "run_id",
        "created": "created_utc",
        "started": "start_time_utc",
        "ended": "end_time_utc",
        "duration": "duration_seconds",
        "user": "user_id",
        "script": "script_name",
        "parent": "parent_run_id",
        "commit": "commit_id",
        "archived": "hidden",
    }
)
"""Short names, and the field that each stands for."""

STATUSES: Final = ("Submitting", "Queued", "Running", "Completed", "Failed", "Canceled", "Lost")
"""Every status a run can have."""

PREFIXES: Final = ("params", "metrics")
"""Words before a dot that say where the rest of a name is looked up."""

_MISSPELT_PREFIXES: Final = MappingProxyType(
    {
        "param": "params",
        "parameter": "params",
        "parameters": "params",
        "metric": "metrics",
        "tags": "tag:",
        "tag": "tag:",
    }
)


def field_named(word: str) -> str | None:
    """Return the field that a word names, in full or short, or None when it names none."""
    return word if word in FIELDS else ALIASES.get(word)


def field_kind(name: str) -> FieldKind:
    """Return the kind of a built-in field."""
    return FIELDS[name]


def corrected_prefix(word: str) -> str | None:
    """Return the prefix that a first word was probably meant to be: ``params`` for ``param``, ``tag:`` for ``tags``."""
    found = _MISSPELT_PREFIXES.get(word.lower())
    if found is None and word not in PREFIXES and word.lower() in PREFIXES:
        return word.lower()
    return found


def similar(word: str, among: Iterable[str]) -> str | None:
    """Return the one of these words that this one is probably a misspelling of, or None.

    Letter case does not count, so ``completed`` finds ``Completed``.
    """
    choices = {choice.lower(): choice for choice in among}
    found = get_close_matches(word.lower(), choices, n=1, cutoff=0.75)
    return choices[found[0]] if found else None


def similar_field(word: str) -> str | None:
    """Return the field, in full or short, that a word is probably a misspelling of, or None."""
    return None if field_named(word) else similar(word, (*FIELDS, *ALIASES))
