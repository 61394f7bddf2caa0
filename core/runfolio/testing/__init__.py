"""For those who write backends, and for tests of programs that use Runfolio.

`runfolio.testing.conformance` is the kit that every backend has to pass; `counting`, `faults` and `latency` wrap a
backend to count its requests, to let them fail, and to slow them down; `scheduling` interleaves and kills actors
between any two requests. Nothing outside of this package imports pytest or hypothesis.
"""

from __future__ import annotations

from runfolio.testing.counting import CountingBackend, Request
from runfolio.testing.faults import FaultyBackend
from runfolio.testing.latency import LatencyBackend, no_wait

__all__ = ["CountingBackend", "FaultyBackend", "LatencyBackend", "Request", "no_wait"]
