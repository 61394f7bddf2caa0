"""Start: a run gets its number and its record."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final

from runfolio import layout
from runfolio.errors import RunStateError
from runfolio.store.documents import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.backend import Backend
    from runfolio.store.desk import Desk

_LONGEST_SKIP: Final = 64
_LIST_EVERY: Final = 4


def intend_start(desk: Desk, document: Mapping[str, Any]) -> None:
    """Journal a start (Start 0). No request; after this a replay can do the rest.

    Args:
        desk: where to work.
        document: the fields of ``start.json``; `number` is given later.
    """
    fields = {**document, "format": FORMAT, "wid": document["uid"], "kind": "start", "number": None}
    desk.ledger.note("start", {"document": fields, "entry": desk.environment.microseconds()})


def start(desk: Desk) -> int:
    """Do the rest of an intended start and return the run's number (4 requests). Harmless to repeat.

    Raises:
        RunStateError: no start was journaled, or another run has this id.
        ReadOnlyError: the store cannot be written.
        StorageError: the storage failed. A replay finishes the start.
    """
    state = desk.ledger.state
    if state.start is None:
        raise RunStateError("No start was journaled: call intend_start first")
    if state.started and state.number is not None:
        return state.number
    document = state.start.document
    number = claim_number(desk, document)
    key = layout.start(document["run"])
    creation = desk.create(key, {**document, "number": number})  # Start 3
    if not creation.ours:
        raise RunStateError(
            f"The run id {document['run']} belongs to another run: start this one again, which gives it another id",
            key=key,
        )
    stored = creation.document  # an earlier attempt may have stored another number: that one counts
    desk.announce(state.start.entry, document["main"], stored)  # Start 4
    desk.ledger.note("started", {"number": stored["number"]})
    return int(stored["number"])


def claim_number(desk: Desk, document: Mapping[str, Any], above: int = 0) -> int:
    """Claim a number for a run (Start 1 and 2). A claim that is not used any more is a gap, which is allowed.

    Args:
        desk: where to work.
        document: the fields of ``start.json``.
        above: only a number greater than this.
    """
    project, uid = document["project"], document["uid"]
    number = desk.ledger.state.number  # a replay tries the one that may be ours already
    if number is None:
        number = max(above, highest_number(desk.backend, project)) + 1
    for tries in count(1):
        desk.ledger.note("number", {"number": number})
        claim = {"format": FORMAT, "wid": uid, "run": document["run"]}
        if desk.create(layout.number(project, number), claim).ours:
            return number
        if tries % _LIST_EVERY == 0:
            number = max(number, highest_number(desk.backend, project))
        number += 1 + desk.environment.chance.randrange(min(2**tries, _LONGEST_SKIP))
    raise AssertionError("unreachable: the loop has no end")


def highest_number(backend: Backend, project: str) -> int:
    """Return the highest number that was ever claimed in a project (1 request); 0 for none."""
    for info in backend.list(layout.numbers(project), limit=1):
        return layout.number_of(info.key)
    return 0
