"""All rules for a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runfolio.testing.conformance.concurrency import ConcurrencyConformance
from runfolio.testing.conformance.creating import ConditionalCreateConformance
from runfolio.testing.conformance.failures import FailureConformance
from runfolio.testing.conformance.listing import ListConformance
from runfolio.testing.conformance.lost_responses import LostResponseConformance
from runfolio.testing.conformance.model import ModelConformance
from runfolio.testing.conformance.processes import ProcessConformance
from runfolio.testing.conformance.reading import ReadConformance
from runfolio.testing.conformance.writing import WriteConformance

if TYPE_CHECKING:
    from runfolio.backend import Backend


class BackendConformance(
    ReadConformance,
    WriteConformance,
    ListConformance,
    ConditionalCreateConformance,
    ConcurrencyConformance,
    ProcessConformance,
    FailureConformance,
    LostResponseConformance,
    ModelConformance,
):
    """All rules. Subclasses bring `make_backend`."""

    def test_lazy(self, backend: Backend) -> None:
        """A backend describes itself without a request: name, URL without credentials, capabilities."""
        assert backend.name
        assert "://" in backend.url
        assert "@" not in backend.url.split("/", 3)[2]
        assert backend.capabilities is not None
        assert [*backend.list()] == []

    def test_sweep(self, backend: Backend) -> None:
        """Sweeping up after killed processes touches no object."""
        backend.put("a/b", b"x")
        assert backend.sweep(0.0) == 0
        assert [info.key for info in backend.list()] == ["a/b"]
        assert backend.get("a/b") == b"x"
