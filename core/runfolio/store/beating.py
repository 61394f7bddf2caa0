"""Heartbeat: a writer says that it lives, and how far it has come. Never needed for correctness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runfolio import layout
from runfolio.store.documents import FORMAT, encode

if TYPE_CHECKING:
    from runfolio.store.desk import Desk
    from runfolio.store.spooled import SpooledRunLike


def beat(desk: Desk, spooled: SpooledRunLike, counter: int) -> None:
    """Put the own heartbeat (1 request), with the latest summaries.

    Raises:
        ReadOnlyError: the store cannot be written.
        StorageError: the storage failed. The next heartbeat makes up for it.
    """
    state = desk.ledger.state
    document: dict[str, Any] = {
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
    desk.backend.put(layout.beat(spooled.run_id, state.writer), encode(document))
