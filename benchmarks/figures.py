"""One line of a report: what was measured, against which budget, and whether it holds."""

from __future__ import annotations

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
