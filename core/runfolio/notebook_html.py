"""How runs look in a notebook: small, escaped HTML without scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

    from runfolio.comparing import Comparison
    from runfolio.records import Record

_SHOWN: Final = 20
_WIDTH, _HEIGHT, _MARGIN = 360, 90, 4


def cell(value: Any) -> str:
    """A value as a table cell shows it: numbers to six significant digits, text cut and escaped."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return escape(f"[{len(value)} values]")
    text = str(value)
    return escape(text if len(text) <= 80 else f"{text[:77]}…")  # noqa: PLR2004 (a readable width)


def table_html(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], total: int) -> str:
    """A table of flat records, with a line that says how many more there are."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell(row.get(column))}</td>" for column in columns) + "</tr>" for row in rows[:_SHOWN]
    )
    more = f"<p>{total - _SHOWN} more runs</p>" if total > _SHOWN else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def record_html(record: Record | None, problem: str = "") -> str:
    """One run: what it is, its params and its metrics."""
    if record is None:
        return f"<p>{escape(problem)}</p>"
    name = escape(record.name or record.run_id)
    title = f"<b>{name}</b> {escape(record.status)} · {escape(record.project)} #{cell(record.run_number)}"
    values = {**record.params, **{name: metric.value for name, metric in record.metrics.items()}}
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{cell(value)}</td></tr>" for name, value in values.items())
    return f"<div><p>{title}</p><table><tbody>{rows}</tbody></table></div>"


def comparison_html(comparison: Comparison) -> str:
    """What differs between runs, section by section; a line says how much is equal."""
    runs = [run.short_id for run in comparison.runs]
    parts = []
    for section, values in comparison.differences().sections.items():
        rows = [{section: value.name, **dict(zip(runs, value.values, strict=True))} for value in values]
        more = f"<p>{len(rows) - _SHOWN} more differ</p>" if len(rows) > _SHOWN else ""
        parts.append(table_html(rows[:_SHOWN], [section, *runs], 0) + more)
    equal = sum(not value.differs for values in comparison.sections.values() for value in values)
    return f"<div>{''.join(parts)}<p>{equal} more are equal</p></div>"


Curves = Mapping[str, Sequence[tuple[float, float]]]
"""Points (step, value) by writer."""


def points_of(table: pa.Table, name: str) -> Curves:
    """The scalars of one metric in a table with the columns of `Series.to_arrow`."""
    columns = (table.column(one).to_pylist() for one in ("writer", "name", "step", "value", "index"))
    points: dict[str, list[tuple[float, float]]] = {}
    for writer, metric, step, value, index in zip(*columns, strict=True):
        if metric == name and value is not None and index is None:
            points.setdefault(writer, []).append((step, value))
    return points


def curve_html(name: str, curves: Curves) -> str:
    """A curve as a picture that needs no scripts, with its last, smallest and largest value.

    NaN and infinities leave a gap.
    """
    finite = [point for points in curves.values() for point in points if math.isfinite(point[1])]
    if not finite:
        return f"<p>{escape(name)}: no numbers yet</p>"
    low, high = (extreme(value for _, value in finite) for extreme in (min, max))
    first, last = (extreme(step for step, _ in finite) for extreme in (min, max))

    def place(point: tuple[float, float]) -> str:
        x = _MARGIN + (_WIDTH - 2 * _MARGIN) * ((point[0] - first) / (last - first) if last > first else 0.5)
        y = _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * ((point[1] - low) / (high - low) if high > low else 0.5)
        return f"{x:.1f},{y:.1f}"

    lines = []
    for points in curves.values():
        for whole, part in groupby(points, key=lambda point: math.isfinite(point[1])):
            if whole:
                places = [place(point) for point in part]
                # A line of one point is invisible without its round end.
                lines.append(f'<polyline points="{" ".join(places * (1 if len(places) > 1 else 2))}"/>')
    text = f"{name}: last {cell(float(finite[-1][1]))}, min {cell(float(low))}, max {cell(float(high))}"
    return (
        f'<figure style="display:inline-block;margin:4px"><figcaption>{escape(text)}</figcaption>'
        f'<svg role="img" aria-label="{escape(text)}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" '
        f'stroke="currentColor" stroke-width="1.5" stroke-linecap="round">{"".join(lines)}</svg></figure>'
    )
