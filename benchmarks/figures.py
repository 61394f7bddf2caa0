"""One line of a report: what was measured, against which budget, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Figure(NamedTuple):
    """A measured figure. Ratios are taken within one run, so that the machine's speed cancels out.

    Attributes:
        what: what was measured.
        measured: the figure.
        budget: the most that it may be, or the least.
        unit: of both.
        at_least: the budget is the least that it may be.
    """

    what: str
    measured: float
    budget: float
    unit: str = "x"
    at_least: bool = False

    @property
    def ok(self) -> bool:
        """Whether it is within its budget."""
        return self.measured >= self.budget if self.at_least else self.measured <= self.budget

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "missed"
        budget = f"{'at least ' if self.at_least else ''}{self.budget:g}{self.unit}"
        return f"{self.what:<78} {self.measured:>10.2f}{self.unit}  budget {budget}  {verdict}"


def show(figures: Iterable[Figure]) -> int:
    """Print figures; 1 when one of them is over its budget, else 0."""
    missed = 0
    for figure in figures:
        print(figure, flush=True)
        missed |= not figure.ok
    return int(missed)
