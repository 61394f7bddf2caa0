"""The kit that every backend has to pass: the rules of `runfolio.backend`, one test each. Likewise for targets.

Subclass `BackendConformance` in a test module and say how to make an empty store::

    class TestOurs(BackendConformance):
        def make_backend(self, folder: Path) -> Backend:
            return OurBackend(str(folder))

It bundles the suites, each of which can be used alone: `ReadConformance`, `WriteConformance`, `ListConformance`,
`ConditionalCreateConformance`, `ConcurrencyConformance`, `ProcessConformance`, `FailureConformance`,
`LostResponseConformance` and `ModelConformance`. What `StoreRules` lets you say besides: how another process opens the
store, and how to read and write it behind the backend's back.

A rule that your storage cannot keep is overridden with `deviates`, which names the reason; shadowing one without it is
an error when the class is made. An ability that `Backend.capabilities` does not declare gets the negative rules
instead: it must be refused, or be visibly absent. Nothing is skipped in silence.

`TargetConformance` does the same for `runfolio.target`.
"""

from __future__ import annotations

from runfolio.testing.conformance.abilities import ABILITIES
from runfolio.testing.conformance.bundle import BackendConformance
from runfolio.testing.conformance.concurrency import ConcurrencyConformance
from runfolio.testing.conformance.creating import ConditionalCreateConformance
from runfolio.testing.conformance.failures import FailureConformance
from runfolio.testing.conformance.listing import ListConformance
from runfolio.testing.conformance.lost_responses import LostResponseConformance
from runfolio.testing.conformance.model import ModelConformance
from runfolio.testing.conformance.processes import ProcessConformance
from runfolio.testing.conformance.reading import ReadConformance
from runfolio.testing.conformance.rules import KIT_VERSION, deviates
from runfolio.testing.conformance.stores import StoreRules
from runfolio.testing.conformance.targets import TargetConformance
from runfolio.testing.conformance.writing import WriteConformance

__all__ = [
    "ABILITIES",
    "KIT_VERSION",
    "BackendConformance",
    "ConcurrencyConformance",
    "ConditionalCreateConformance",
    "FailureConformance",
    "ListConformance",
    "LostResponseConformance",
    "ModelConformance",
    "ProcessConformance",
    "ReadConformance",
    "StoreRules",
    "TargetConformance",
    "WriteConformance",
    "deviates",
]
