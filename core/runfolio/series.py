"""One metric of one run: its rows, its values, its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

    from runfolio.run import Run

_DRAWN: Final = 400
"""How many points of a curve a notebook draws."""


class Series:
    """A metric of a run. Nothing is read before it is asked for.

    Attributes:
        run: the run.
        name: the name of the metric.
    """

    def __init__(self, run: Run, name: str) -> None:
        self.run = run
        self.name = name

    def to_arrow(self, *, steps: slice | None = None, max_points: int | None = None) -> pa.Table:
        """Return the rows as an Arrow table with the columns ``name step index time value text kind writer``.

        Args:
            steps: only the steps from ``steps.start`` up to, not including, ``steps.stop``.
            max_points: at most about so many rows, chosen so that the smallest and largest value of every stretch
                stay: a single spike in a million points is kept.
        """
        return self.run._rows([self.name], steps=steps, max_points=max_points)  # noqa: SLF001 (one subject in two files)

    def values(self) -> list[Any]:
        """Return what was logged, in order and in its kind; a list that was logged as one value is one element."""
        from runfolio.rows.view import values  # noqa: PLC0415 (loads pyarrow)

        return [one.value for one in values(self.to_arrow())]

    def steps(self) -> list[int]:
        """Return the step of each of `values`."""
        from runfolio.rows.view import values  # noqa: PLC0415 (loads pyarrow)

        return [one.step for one in values(self.to_arrow())]

    def __repr__(self) -> str:
        return f"<Series {self.name!r} of {self.run.id}>"

    def _repr_html_(self) -> str:
        from runfolio.notebook_html import curve_html, points_of  # noqa: PLC0415 (only in notebooks)

        return curve_html(self.name, points_of(self.to_arrow(max_points=_DRAWN), self.name))
