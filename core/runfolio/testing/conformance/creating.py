"""Rules of `create`: an object is made once, and exactly one of many makers succeeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from runfolio.errors import AlreadyExistsError
from runfolio.store.opening import open_store
from runfolio.testing.conformance.abilities import needs, refuses_to_be_shared
from runfolio.testing.conformance.concurrency import race
from runfolio.testing.conformance.stores import StoreRules
from runfolio.testing.other_processes import created

if TYPE_CHECKING:
    from runfolio.backend import Backend

_RACERS: Final = 8


class ConditionalCreateConformance(StoreRules):
    """create. Without the capability `conditional_create`: the place is refused as a shared store."""

    @needs("conditional_create", otherwise=refuses_to_be_shared)
    def test_create(self, backend: Backend) -> None:
        """Create stores an object once; afterwards it fails and leaves the object as it is."""
        for data in (b"", b"first"):
            key = f"a/{len(data)}"
            backend.create(key, data)
            for other in (b"", b"second"):
                with pytest.raises(AlreadyExistsError):
                    backend.create(key, other)
            assert self.raw_get(backend, key) == data

    @needs("conditional_create", otherwise=refuses_to_be_shared)
    def test_create_large(self, backend: Backend) -> None:
        """The condition holds for large objects too, where uploads in parts would forget it."""
        data = b"\x01" * 9_000_000
        backend.create("k", data)
        with pytest.raises(AlreadyExistsError):
            backend.create("k", b"\x02" * 9_000_000)
        assert backend.get("k") == data

    @needs("conditional_create", otherwise=refuses_to_be_shared)
    def test_create_after_delete(self, backend: Backend) -> None:
        """A deleted key can be created again."""
        backend.create("k", b"1")
        backend.delete(["k"])
        backend.create("k", b"2")
        assert self.raw_get(backend, "k") == b"2"

    @needs("conditional_create", otherwise=refuses_to_be_shared)
    def test_create_over_put(self, backend: Backend) -> None:
        """Create respects an object that was put, and put replaces one that was created."""
        self.raw_put(backend, "k", b"1")
        with pytest.raises(AlreadyExistsError):
            backend.create("k", b"2")
        backend.put("k", b"3")
        assert backend.get("k") == b"3"
        backend.create("k2", b"1")
        backend.put("k2", b"2")
        assert backend.get("k2") == b"2"

    @needs("conditional_create", otherwise=refuses_to_be_shared)
    def test_one_creator_wins(self, backend: Backend) -> None:
        """Of many threads that create one key at one instant exactly one succeeds, and its bytes are stored."""
        for at in range(10):
            size = 0 if at % 3 == 0 else 70_000 * (at % 2) + 1

            def create(who: int, at: int = at, size: int = size) -> bool:
                return created(self.again(backend), f"race/{at}", bytes([who]) * size)

            winners = race(_RACERS, create)
            assert len(winners) == 1, f"{len(winners)} of {_RACERS} threads created one key"
            assert self.raw_get(backend, f"race/{at}") == bytes([winners[0]]) * size

    @needs("conditional_create", otherwise=refuses_to_be_shared)
    def test_becomes_a_store(self, backend: Backend) -> None:
        """The place can be made a shared store, and is the same store for whoever opens it next."""
        made = open_store(backend, create=True)
        assert made.created
        assert open_store(self.again(backend), create=True).store_id == made.store_id
