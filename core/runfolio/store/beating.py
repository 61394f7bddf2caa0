"""Heartbeat: a writer says that it lives, and how far it has come. Never needed for correctness.

Other writers than the main one beat seldom. What those on the same machine have come to is carried along by the main
writer's beat, each under its own key: no request more, and summaries stay those of one writer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runfolio import layout
from runfolio.store.documents import FORMAT, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.store.desk import Desk
    from runfolio.store.spooled import SpooledRunLike


def beat(desk: Desk, spooled: SpooledRunLike, counter: int, others: Mapping[str, Mapping[str, Any]]) -> None:
    """Put the own heartbeat (1 request), with the latest summaries.

    Args:
        desk: where the writer works.
        spooled: its journal.
        counter: how many heartbeats it has sent.
        others: what other writers of the run on this machine have come to, by writer key.

    Raises:
        ReadOnlyError: the store cannot be written.
        StorageError: the storage failed. The next heartbeat makes up for it.
    """
    document = sign(desk, spooled, counter)
    if others:
        document["others"] = dict(others)
    desk.backend.put(layout.beat(spooled.run_id, desk.ledger.state.writer), encode(document))


def sign(desk: Desk, spooled: SpooledRunLike, counter: int) -> dict[str, Any]:
    """Return how far a writer has come, as its heartbeat says it."""
    state = desk.ledger.state
    return {
        "format": FORMAT,
        "wid": f"{desk.ledger.uid}:{state.writer}:beat",
        "run": spooled.run_id,
        "project": spooled.project,
        "writer": state.writer,
        "main": state.main,
        "attempt": state.attempt,
        "counter": counter,
        "rows": spooled.cut() - state.base,
        "metrics": spooled.summaries(),
        "params": desk.ledger.facts("params"),
        "summary": desk.ledger.facts("summary"),
        "definitions": desk.ledger.facts("definitions"),
        "created": desk.environment.timestamp(),
    }


def spread(beats: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return heartbeats by writer, with those that another one carried along; of two, the one that has come further."""
    found = dict(beats)
    for carrier in beats.values():
        others = carrier.get("others")
        for writer, carried in others.items() if isinstance(others, dict) else ():
            if isinstance(carried, dict) and (writer not in found or _rows(carried) > _rows(found[writer])):
                found[writer] = carried
    return found


def _rows(beat: Mapping[str, Any]) -> int:
    rows = beat.get("rows")
    return rows if isinstance(rows, int) else 0
