"""Where an actor of the protocol works: its storage, its journal, its world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runfolio import layout
from runfolio.store.created import Creation, create_document, create_parquet
from runfolio.store.documents import encode, entry_document
from runfolio.store.environment import Environment
from runfolio.store.retrying import PATIENT, Patience, RetryingBackend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.backend import Backend
    from runfolio.store.ledger import Ledger


@dataclass(slots=True)
class Desk:
    """What the steps of an actor share.

    Attributes:
        storage: the backend, as the caller gave it.
        ledger: what was promised, and what of it is done.
        environment: clocks, chance, parallelism.
        patience: how often and how long failed requests are sent again.
        backend: the backend whose reads, puts and deletes are sent again.
    """

    storage: Backend
    ledger: Ledger
    environment: Environment = field(default_factory=Environment)
    patience: Patience = PATIENT
    backend: Backend = field(init=False)

    def __post_init__(self) -> None:
        self.backend = RetryingBackend(self.storage, self.patience, self.environment)

    def create(self, key: str, document: Mapping[str, Any]) -> Creation:
        """Create a document; what is stored counts."""
        return create_document(self.storage, key, document, self.environment, self.patience)

    def create_parquet(self, key: str, data: bytes, wid: str) -> Creation:
        """Create a Parquet file."""
        return create_parquet(self.storage, key, data, wid, self.environment, self.patience)

    def announce(self, microseconds: int, who: str, stored: Mapping[str, Any]) -> None:
        """Put the log entry of a stored document.

        Its name is derived from what was journaled: a replay writes the same.
        """
        name = layout.EntryName(microseconds, stored["run"], stored["kind"], who)
        self.backend.put(layout.entry(name), encode(entry_document(stored)))
