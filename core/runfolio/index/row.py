"""A row of the index, and how log entries are applied to it (``docs/design/002-store-protocol.md``, section 3).

`apply` and `join` are commutative, associative and idempotent: entries may come in any order, twice, through several
checkpoints, days late. What a row holds of a document is the document without its envelope (`body_of`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, TypedDict, cast

from runfolio.store.documents import FOLDER_ONLY
from runfolio.values import dump_json

Document: TypeAlias = dict[str, Any]
EntryKind: TypeAlias = Literal["start", "attempt", "end", "edit", "delete"]
ENTRY_KINDS: Final = frozenset({"start", "attempt", "end", "edit", "delete"})


class Row(TypedDict, total=False):
    """What the index knows of one run. Every key may be missing.

    Attributes:
        start: the start record. Without it the row is kept but not shown.
        attempts: by number (2 or more), the record of each attempt.
        ends: by writer key, the end record of each writer. Counts stay per writer; sums are formed when shown.
        edits: by field, the edit that wins, with its stamp and token.
        deleted: the tombstone. It stays for ever and absorbs everything else.
        changed: sequence number of the checkpoint that last changed the row.
    """

    start: Document
    attempts: dict[int, Document]
    ends: dict[str, Document]
    edits: dict[str, Document]
    deleted: bool
    changed: int


_ENVELOPE: Final = frozenset({"format", "wid", "kind", "run", "project"})
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    # Some fields stay in the folder (log entries leave them out too); the others are the key under which the rest is
    # kept.
    "start": _ENVELOPE | FOLDER_ONLY,
    "attempt": _ENVELOPE | FOLDER_ONLY | {"attempt"},
    "end": _ENVELOPE | {"writer"},
    "edit": _ENVELOPE | {"field"},
    "delete": _ENVELOPE | {"field"},
}


def body_of(kind: str, document: Mapping[str, Any]) -> Document:
    """Return what a row keeps of a document: without envelope, and without fields that are null (absent means null)."""
    left_out = _KEYS[kind]
    body = {key: value for key, value in document.items() if key not in left_out and value is not None}
    if kind == "edit":
        body["value"] = document.get("value")  # here null says something: the field was cleared
    metrics = body.get("metrics")
    if kind == "end" and isinstance(metrics, dict):
        body["metrics"] = {name: _summary(summary) for name, summary in metrics.items()}
    return body


def _summary(summary: object) -> object:
    if not isinstance(summary, dict):
        return summary
    return {
        key: value for key, value in summary.items() if value is not None and not (key == "list" and value is False)
    }


def row_of(kind: str, document: Mapping[str, Any]) -> Row:
    """Return the row that knows of this one document, which was checked (`runfolio.index.entries.check`)."""
    body = body_of(kind, document)
    if kind == "start":
        return {"start": body}
    if kind == "attempt":
        return {"attempts": {document["attempt"]: body}}
    if kind == "end":
        return {"ends": {document["writer"]: body}}
    if kind == "edit":
        return {"edits": {document["field"]: body}}
    return {"deleted": True}


def apply(row: Row, kind: str, document: Mapping[str, Any]) -> Row:
    """Return the row after an entry of this kind. `row` is left as it is."""
    return join(row, row_of(kind, document))


def join(one: Row, other: Row) -> Row:
    """Return the row that knows what both know. Neither is changed; documents are shared."""
    changed = max(one.get("changed", 0), other.get("changed", 0))
    joined: Row = {}
    if one.get("deleted") or other.get("deleted"):
        joined["deleted"] = True
    else:
        if "start" in one or "start" in other:
            joined["start"] = cast("Document", _first(one.get("start"), other.get("start")))
        if "attempts" in one or "attempts" in other:
            joined["attempts"] = _registers(one.get("attempts", {}), other.get("attempts", {}))
        if "ends" in one or "ends" in other:
            joined["ends"] = _registers(one.get("ends", {}), other.get("ends", {}))
        if "edits" in one or "edits" in other:
            joined["edits"] = _latest(one.get("edits", {}), other.get("edits", {}))
    if changed:
        joined["changed"] = changed
    return joined


_Key: TypeAlias = Any


def _registers(one: dict[_Key, Document], other: dict[_Key, Document]) -> dict[_Key, Document]:
    joined = dict(one)
    for key, document in other.items():
        joined[key] = cast("Document", _first(joined.get(key), document))
    return joined


def _first(one: Document | None, other: Document | None) -> Document | None:
    """The stored content of a created object is one; should two differ, all readers must choose the same."""
    if one is None or other is None:
        return other if one is None else one
    if one is other or identical(one, other):
        return one
    return min(one, other, key=dump_json)


def _latest(one: dict[str, Document], other: dict[str, Document]) -> dict[str, Document]:
    joined = dict(one)
    for field, edit in other.items():
        held = joined.get(field)
        if held is None or _order(edit) > _order(held):
            joined[field] = edit
        elif _order(edit) == _order(held):
            joined[field] = cast("Document", _first(held, edit))
    return joined


def _order(edit: Document) -> tuple[int, str]:
    return edit["stamp"], edit["token"]


def identical(one: object, other: object) -> bool:
    """Equality of JSON values in which 1, 1.0 and True differ, 0.0 and -0.0 differ, and NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        theirs = cast("dict[object, object]", other)
        return one.keys() == theirs.keys() and all(identical(value, theirs[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        elements = cast("list[object]", other)
        return len(one) == len(elements) and all(map(identical, one, elements))
    if isinstance(one, float):
        return repr(one) == repr(other)
    return one == other


def main_writer(row: Row) -> str | None:
    """The writer key whose end is the run's end: the main writer of the highest attempt."""
    attempts = row.get("attempts")
    if attempts:
        return attempts[max(attempts)].get("main")
    return row.get("start", {}).get("main")


def main_end(row: Row) -> Document | None:
    """The end record that gives the status, or None. A zombie of an older attempt changes nothing."""
    writer = main_writer(row)
    return row.get("ends", {}).get(writer) if writer is not None else None


def main_writers(row: Row) -> list[str]:
    """The main writers of all attempts, the latest first."""
    attempts = row.get("attempts", {})
    mains = [attempts[number].get("main") for number in sorted(attempts, reverse=True)]
    mains.append(row.get("start", {}).get("main"))
    return [main for main in mains if isinstance(main, str)]
