"""Log entries: read, checked, applied. What cannot be understood is neither applied nor held, and stays in ``log/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runfolio.errors import RunfolioError
from runfolio.index.row import ENTRY_KINDS, Row, apply
from runfolio.layout import LOG, SUFFIX, entry_of
from runfolio.store.documents import FORMAT
from runfolio.values import load_json


@dataclass(frozen=True, slots=True)
class Entry:
    """A readable log entry.

    Attributes:
        key: its key.
        kind: start, attempt, end, edit or delete.
        run_id: the run it is about.
        document: the whole document that it announces.
    """

    key: str
    kind: str
    run_id: str
    document: Mapping[str, Any]


def is_entry(key: str) -> bool:
    """Whether a key under ``log/`` is named like an entry; the fold's advice and strangers' files are not."""
    try:
        return entry_of(key) is not None
    except RunfolioError:
        return False


def short_name(key: str) -> str:
    """The name of an entry as `held` lists it."""
    return key.removeprefix(LOG).removesuffix(SUFFIX)


def read(key: str, data: bytes) -> Entry | None:
    """Return what an entry says, or None when it is damaged, of an unknown kind, or of a newer format."""
    try:
        name = entry_of(key)
        found = load_json(data)
    except (ValueError, RecursionError):  # our errors about names are ValueErrors too
        return None
    if name is None or not isinstance(found, dict):
        return None
    kind, body = found.get("kind"), found.get("body")
    if kind != name.kind or not isinstance(body, dict) or body.get("run") != name.run_id or not check(kind, body):
        return None
    return Entry(key, name.kind, name.run_id, body)


def check(kind: object, document: Mapping[str, Any]) -> bool:
    """Whether a document has what `apply` needs of it. Everything else in it is optional."""
    version = document.get("format", FORMAT)
    if kind not in ENTRY_KINDS or not isinstance(version, int) or version > FORMAT:
        return False
    if kind == "start":
        return isinstance(document.get("uid"), str) and isinstance(document.get("main"), str)
    if kind == "attempt":
        number = document.get("attempt")
        return _is_int(number) and isinstance(document.get("main"), str)
    if kind == "end":
        return isinstance(document.get("writer"), str)
    if kind == "edit":
        return isinstance(document.get("field"), str) and _is_int(document.get("stamp")) and _is_str(document, "token")
    return True


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_str(document: Mapping[str, Any], field: str) -> bool:
    return isinstance(document.get(field), str)


def apply_all(rows: dict[str, Row], entries: list[Entry], changed: int = 0) -> set[str]:
    """Apply entries to rows by run id, in place, and return the ids of the runs they are about.

    Args:
        rows: at least the rows of these runs that are known so far.
        entries: in any order.
        changed: the sequence number to stamp on rows that became different; 0 leaves the stamp.
    """
    touched: set[str] = set()
    for entry in entries:
        before = rows.get(entry.run_id, {})
        after = apply(before, entry.kind, entry.document)
        if changed and after != before:
            after["changed"] = changed
        rows[entry.run_id] = after
        touched.add(entry.run_id)
    return touched
