"""One line of a report: what was measured, against which budget, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Figure(NamedTuple):
    """A measured figure. Ratios are taken within one run, so that the machine's speed cancels out."""

    what: str
    measured: float
    budget: float
    unit: str = "x"

    @property
    def ok(self) -> bool:
        """Whether it is within its budget."""
        return self.measured <= self.budget

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "missed"
        return f"{self.what:<78} {self.measured:>10.2f}{self.unit}  budget {self.budget:g}{self.unit}  {verdict}"


def show(figures: Iterable[Figure]) -> int:
    """Print figures; 1 when one of them is over its budget, else 0."""
    missed = 0
    for figure in figures:
        print(figure, flush=True)
        missed |= not figure.ok
    return int(missed)
