"""What requests and stored bytes cost, by prices that the user may set. An estimate: the provider's bill decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

WRITES: Final = frozenset({"put", "create", "list", "copy"})
"""Operations that clouds bill as writes ("class A" elsewhere): listings are among them."""
READS: Final = frozenset({"get", "stat"})
"""Operations that they bill as reads. A delete costs nothing."""
_GIGABYTE: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in any currency, by default those of Amazon S3 Standard in us-east-1, in US dollars.

    Attributes:
        write: of 1,000 requests that write or list.
        read: of 1,000 requests that read.
        storage: of a gigabyte (10^9 bytes) for a month.
    """

    write: float = 0.005
    read: float = 0.0004
    storage: float = 0.023

    def of_requests(self, counts: Mapping[str, int]) -> float:
        """Return what requests cost, counted by operation; ``copy`` is a copy on the server's side."""
        writes = sum(number for operation, number in counts.items() if operation in WRITES)
        reads = sum(number for operation, number in counts.items() if operation in READS)
        return (writes * self.write + reads * self.read) / 1000

    def of_storage(self, size: int) -> float:
        """Return what so many bytes cost a month."""
        return size / _GIGABYTE * self.storage
