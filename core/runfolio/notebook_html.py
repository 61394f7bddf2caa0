"""How runs look in a notebook: small, escaped HTML without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runfolio.records import Record

_SHOWN = 20


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
