"""What the protocol needs of a local journal. `runfolio.journal` has the real one; tests bring one in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Notes(Protocol):
    """A durable list of what was promised and what was done."""

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Return everything noted so far, by this process and by earlier ones, in order."""
        ...

    def note(self, kind: str, body: Mapping[str, Any], /) -> None:
        """Append one event. When this returns, the event outlives the process."""
        ...


class SpooledRunLike(Notes, Protocol):
    """The journal of one writer of one run."""

    @property
    def run_id(self) -> str:
        """The run."""
        ...

    @property
    def project(self) -> str:
        """Its project."""
        ...

    @property
    def writer(self) -> str:
        """The writer key that the journal was made with."""
        ...

    def cut(self) -> int:
        """Return how many rows the journal holds now. Rows below that position never change."""
        ...

    def encode(self, first: int, after: int, metadata: Mapping[str, str]) -> bytes:
        """Return the rows ``[first, after)`` as a Parquet file with this key-value metadata.

        Its `writer` column holds ``metadata["runfolio.writer"]``.
        """
        ...

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Return the summary of each metric over all rows, as end documents carry it."""
        ...

    def discard(self) -> None:
        """Delete the journal: everything in it is in the store."""
        ...


@dataclass(slots=True)
class MemoryNotes:
    """Notes that die with the process: for an edit whose loss with the process is acceptable, and for tests."""

    noted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Return everything noted so far."""
        return list(self.noted)

    def note(self, kind: str, body: Mapping[str, Any], /) -> None:
        """Append one event."""
        self.noted.append((kind, dict(body)))
