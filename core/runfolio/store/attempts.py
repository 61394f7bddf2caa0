"""Attempt: a run goes on in another process, under a new writer key."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from runfolio import layout
from runfolio.errors import FormatError, NotFoundError, RunStateError
from runfolio.store.documents import FORMAT, decode
from runfolio.store.folder_listing import sort_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.store.desk import Desk


def intend_attempt(desk: Desk, document: Mapping[str, Any], uid: str, *, wid: str | None = None) -> None:
    """Journal an attempt. No request; after this a replay can do the rest.

    Args:
        desk: where to work.
        document: the fields of ``attempt-<n>.json``; the number is given later.
        uid: the uid of the run.
        wid: write id, where `main` is the main writer of another attempt too.
    """
    desk.ledger.note("writer", {"uid": uid, "main": True, "attempt": 1})
    fields = {**document, "format": FORMAT, "wid": wid or f"{uid}:{document['main']}", "kind": "attempt", "attempt": 0}
    desk.ledger.note("attempt", {"document": fields, "entry": desk.environment.microseconds()})


def attempt(desk: Desk) -> int:
    """Do the rest of an intended attempt and return its number (3 requests). Harmless to repeat.

    Raises:
        RunStateError: no attempt was journaled, or the run has no record.
        StorageError: the storage failed. A replay finishes the attempt.
    """
    state = desk.ledger.state
    if state.resumed is None:
        raise RunStateError("No attempt was journaled: call intend_attempt first")
    if state.attempted and state.attempt_number is not None:
        return state.attempt_number
    document = state.resumed.document
    number = state.attempt_number  # a replay tries the one that may be ours already
    if number is None:
        number = _choose(desk, document)
    while True:
        desk.ledger.note("attempt-number", {"attempt": number})
        creation = desk.create(layout.attempt(document["run"], number), {**document, "attempt": number})  # 2
        if creation.ours:
            break
        number += 1
    desk.announce(state.resumed.entry, document["main"], creation.document)  # 3
    desk.ledger.note("attempted", {"attempt": number})
    return number


def _choose(desk: Desk, document: Mapping[str, Any]) -> int:
    """Attempt 1: the first attempt is the start itself.

    One of the attempts that are there may be this one: made by another replay of the same journal, which runs beside
    this. It is looked for, else the run would get two attempts of one process.
    """
    run_id = document["run"]
    listing = sort_out(run_id, desk.backend.list(layout.run_folder(run_id)))
    if not listing.started:
        raise RunStateError(f"The run {run_id} has no start in this store, so it cannot be resumed here", key=run_id)

    def is_mine(key: str) -> bool:
        try:
            return bool(decode(desk.backend.get(key), key)["wid"] == document["wid"])
        except (NotFoundError, FormatError):
            return False

    mine = desk.environment.gather([partial(is_mine, key) for key in listing.attempts.values()])
    for number, found in zip(listing.attempts, mine, strict=True):
        if found:
            return number
    return max(listing.attempts, default=1) + 1
