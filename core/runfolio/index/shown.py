"""What people see of a row: edits applied, several writers and attempts put together. Plain Python, one run at a time.

Most rows never come here: a run with one writer and no edits is shown straight from its columns
(`runfolio.index.table`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from runfolio.index.row import Document, Row, main_end, main_writers

MAX_ATTACHMENTS: Final = 64
TAG: Final = "tag:"


class Shown(TypedDict):
    """One run as it is shown. Times are the texts of the documents."""

    start: Mapping[str, Any]
    end: Mapping[str, Any] | None
    name: object
    note: object
    description: object
    hidden: bool
    tags: list[str]
    attachments: list[str] | None
    files: int | None
    bytes: int | None
    rows: int | None
    properties: dict[str, Any]
    params: dict[str, Any]
    metrics: dict[str, Mapping[str, Any]]
    summary: dict[str, Any]
    definitions: dict[str, Any]


def shown(row: Row, beats: Mapping[str, Mapping[str, Any]] | None = None) -> Shown:
    """Put together what is known of a run.

    Args:
        row: its row, with a start.
        beats: by writer key, the last beats of writers that still write. A writer's end takes the place of its beat.
    """
    start = row.get("start", {})
    by_writer = _reports(row, beats or {})
    reports = [*by_writer.values()]
    edits = row.get("edits", {})
    return {
        "start": start,
        "end": main_end(row),
        "name": _edited(edits, "name", start.get("name")),
        "note": _edited(edits, "note", start.get("note")),
        "description": _edited(edits, "description", start.get("description")),
        "hidden": bool(_edited(edits, "archived", start.get("archived", False))),
        "tags": _tags(start.get("tags"), edits),
        "attachments": _attachments(reports),
        "files": _total(reports, "files"),
        "bytes": _total(reports, "bytes"),
        "rows": _total(reports, "rows"),
        "properties": _merged([start, *reports], "properties"),
        "params": _merged([start, *reports], "params"),
        "metrics": combine_metrics(_summaries(row.get("attempts", {}), by_writer)),
        "summary": _merged(reports, "summary"),
        "definitions": _merged(reports, "definitions"),
    }


def _reports(row: Row, beats: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Ends and beats of all writers by time; the main writer of the highest attempt, which counts most, is last."""
    found: dict[str, Mapping[str, Any]] = {**beats, **row.get("ends", {})}
    latest = next(iter(main_writers(row)), None)

    def weight(item: tuple[str, Mapping[str, Any]]) -> tuple[bool, str, str]:
        writer, report = item
        when = report.get("ended") or report.get("created")
        return writer == latest, when if isinstance(when, str) else "", writer

    ordered = sorted(found.items(), key=weight)
    return dict(ordered)


def _summaries(attempts: Mapping[int, Document], reports: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The summaries of all writers; an attempt that went on at a step sums up what it left of those before it."""
    since = max((number for number, attempt in attempts.items() if attempt.get("at_step") is not None), default=1)
    if since == 1:
        return [_mapping(report.get("metrics")) for report in reports.values()]
    main = attempts[since].get("main")
    counted = [
        report for writer, report in reports.items() if writer == main or (_int(report.get("attempt")) or 1) >= since
    ]
    return [_mapping(one.get("metrics")) for one in (attempts[since], *counted)]


def combine_metrics(summaries: list[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Combine the summaries of several writers: counts are added, the last writer's value is the last."""
    combined: dict[str, Mapping[str, Any]] = {}
    for metrics in summaries:
        for name, summary in metrics.items():
            if not isinstance(summary, Mapping):
                continue
            held = combined.get(name)
            combined[name] = summary if held is None else _combine(held, summary)
    return combined


def _combine(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Document:
    combined: Document = dict(later)
    counts = [_int(earlier.get("count")), _int(later.get("count"))]
    combined["count"] = sum(count for count in counts if count is not None)
    for extreme, better in (("min", min), ("max", max)):
        found = [extreme_of(one, extreme) for one in (earlier, later)]
        known = [pair for pair in found if pair is not None]
        for key in (extreme, f"{extreme}_step"):
            combined.pop(key, None)
        if known:
            value, step = better(known, key=lambda pair: pair[0])
            combined[extreme] = value
            if step is not None:
                combined[f"{extreme}_step"] = step
    return combined


def extreme_of(summary: Mapping[str, Any], extreme: str) -> tuple[float, int | None] | None:
    """The smallest or largest finite number of a summary with its step, or None. A single scalar is both."""
    value, step = summary.get(extreme), summary.get(f"{extreme}_step")
    if value is None and summary.get("count") == 1 and not summary.get("list"):
        value, step = summary.get("last"), summary.get("last_step")
    if not isinstance(value, (int, float)) or not -float("inf") < value < float("inf"):
        return None
    return value, _int(step)


def _edited(edits: Mapping[str, Document], field: str, value: object) -> object:
    edit = edits.get(field)
    return value if edit is None else edit.get("value")


def _tags(first: object, edits: Mapping[str, Document]) -> list[str]:
    tags = dict.fromkeys(tag for tag in first if isinstance(tag, str)) if isinstance(first, list) else {}
    for field, edit in sorted(edits.items(), key=lambda item: (item[1]["stamp"], item[1]["token"])):
        if field.startswith(TAG):
            tag = field.removeprefix(TAG)
            if edit.get("value"):
                tags.setdefault(tag)
            else:
                tags.pop(tag, None)
    return list(tags)


def _attachments(reports: list[Mapping[str, Any]]) -> list[str] | None:
    lists = [found for report in reports if isinstance(found := report.get("attachments"), list)]
    if not lists:
        return None
    return sorted({path for paths in lists for path in paths if isinstance(path, str)})[:MAX_ATTACHMENTS]


def _total(reports: list[Mapping[str, Any]], field: str) -> int | None:
    counts = [count for report in reports if (count := _int(report.get(field))) is not None]
    return sum(counts) if counts else None


def _merged(documents: list[Mapping[str, Any]], field: str) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for document in documents:
        merged.update(_mapping(document.get(field)))
    return merged


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
