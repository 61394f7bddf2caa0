"""The record of a run as people and programs see it.

It has typed attributes, and the flat form that the command line prints.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from runfolio.values import EXACT_INT, Scalar, load_json

_EXPERIMENTS: Final = uuid.UUID("5f0c3f6e-8a52-5b5e-9d1a-2f4c0e6d7b11")
"""Name space of `experiment_id`: the same project and experiment give the same id on every machine."""

FINAL_STATUSES: Final = frozenset({"Completed", "Failed", "Canceled"})
"""Statuses that a run never leaves, except by a new attempt."""


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """What is known of a metric without reading its rows.

    Attributes:
        kind: kind of the last value: ``float``, ``int``, ``bool``, ``str``, or ``empty`` for an empty list.
        count: how many values were logged; a list is one.
        value: the last value, in its kind; the elements for a list (at most 1,000 of them).
        last_step: its step.
        min: smallest finite number logged, list elements included; None when there was none.
        max: largest finite number logged.
        min_step: step of `min`.
        max_step: step of `max`.
    """

    kind: str
    count: int
    value: Scalar | list[Any] | None
    last_step: int | None = None
    min: float | None = None
    max: float | None = None
    min_step: int | None = None
    max_step: int | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, and what of it is not in the store.

    Attributes:
        reason: a line for people: the exception, the signal; None when there is nothing to say.
        exit_code: of the process that ran.
        traceback: of the user's code, when that is why the run failed.
        failed_uploads: files that were not stored: ``{"path": …, "reason": …}`` each.
        left_behind: files that were made outside of what is captured, at most 64 of them.
    """

    reason: str | None = None
    exit_code: int | None = None
    traceback: str | None = None
    failed_uploads: Sequence[Mapping[str, str]] = ()
    left_behind: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "exit_code": self.exit_code,
            "failed_uploads": [dict(one) for one in self.failed_uploads],
            "left_behind": list(self.left_behind),
            "reason": self.reason,
            "traceback": self.traceback,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything the index knows of one run. Times are aware datetimes in UTC."""

    run_id: str
    run_number: int | None
    project: str
    experiment: str | None
    script_name: str | None
    name: str | None
    note: str | None
    description: str | None
    status: str
    target: str | None
    user_id: str | None
    host: str | None
    parent_run_id: str | None
    created_utc: datetime | None
    start_time_utc: datetime | None
    end_time_utc: datetime | None
    duration_seconds: float | None
    hidden: bool
    files: int | None
    bytes: int | None
    rows: int | None
    commit_id: str | None
    tags: Sequence[str] = ()
    arguments: Sequence[str] = ()
    attachments: Sequence[str] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, MetricSummary] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    definitions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def short_id(self) -> str:
        """The five characters that name the run on a command line."""
        return self.run_id[-5:]

    @property
    def experiment_id(self) -> str:
        """A UUID that all runs of one experiment of one project share."""
        return str(uuid.uuid5(_EXPERIMENTS, f"{self.project}\n{self.experiment}"))

    @property
    def ended(self) -> bool:
        """Whether the run has come to its end."""
        return self.status in FINAL_STATUSES

    def to_dict(self) -> dict[str, Any]:
        """Return the flat record: each metric's last value as a key beside the built-in fields.

        Built-in fields win a clash; the metric then stands under ``metrics.<name>``. A list metric is a list. Times
        are ISO 8601 text, `duration` is text as ``0:00:04.892389``, `duration_seconds` is the same as a number.
        """
        flat: dict[str, Any] = self._fields()
        for name, metric in self.metrics.items():
            flat[f"metrics.{name}" if name in FIELDS else name] = metric.value
        return dict(sorted(flat.items()))

    def _fields(self) -> dict[str, Any]:
        seconds = self.duration_seconds
        return {
            "arguments": list(self.arguments),
            "attachments": ", ".join(self.attachments),
            "created_utc": _iso(self.created_utc),
            "description": self.description,
            "duration": None if seconds is None else str(timedelta(seconds=seconds)),
            "duration_seconds": seconds,
            "end_time_utc": _iso(self.end_time_utc),
            "experiment": self.experiment,
            "experiment_id": self.experiment_id,
            "heartbeat_enabled": True,
            "hidden": self.hidden,
            "host": self.host,
            "name": self.name,
            "note": self.note,
            "params": dict(self.params),
            "parent_run_id": self.parent_run_id,
            "project": self.project,
            "properties": {**self.properties, "CommitId": self.commit_id},
            "run_id": self.run_id,
            "run_number": self.run_number,
            "script_name": self.script_name,
            "start_time_utc": _iso(self.start_time_utc),
            "status": self.status,
            "summary": dict(self.summary),
            "tags": list(self.tags),
            "target": self.target,
            "user_id": self.user_id,
        }


FIELDS: Final = frozenset(
    [
        "arguments",
        "attachments",
        "created_utc",
        "description",
        "duration",
        "duration_seconds",
        "end_time_utc",
        "ending",
        "experiment",
        "experiment_id",
        "heartbeat_enabled",
        "hidden",
        "host",
        "name",
        "note",
        "params",
        "parent_run_id",
        "project",
        "properties",
        "run_id",
        "run_number",
        "script_name",
        "start_time_utc",
        "status",
        "summary",
        "tags",
        "target",
        "user_id",
    ]
)
"""The built-in keys of the flat record: every other one is a metric. The command line adds `ending` to one run."""


def record_of(row: Mapping[str, Any]) -> Record:
    """Make a record of one row of `runfolio.index.view.View.table`, as ``to_pylist`` gives it."""
    return Record(
        tags=tuple(row["tags"] or ()),
        arguments=tuple(row["argv"] or ()),
        attachments=tuple(row["attachments"] or ()),
        properties=_json(row["properties"]),
        params={one["name"]: plain(one) for one in row["params"] or ()},
        metrics={one["name"]: _metric(one) for one in row["metrics"] or ()},
        summary={one["name"]: plain(one) for one in row["summary"] or ()},
        definitions=_json(row["definitions"]),
        hidden=bool(row["hidden"]),
        **{name: _aware(row[name]) for name in _COPIED},
    )


_COPIED: Final = [
    "run_id",
    "run_number",
    "project",
    "experiment",
    "script_name",
    "name",
    "note",
    "description",
    "status",
    "target",
    "user_id",
    "host",
    "parent_run_id",
    "created_utc",
    "start_time_utc",
    "end_time_utc",
    "duration_seconds",
    "files",
    "bytes",
    "rows",
    "commit_id",
]


def plain(item: Mapping[str, Any]) -> Any:
    """Return a value from its columns (kind, value, text) in the kind it was logged with.

    Kind ``json`` is a document in `text`.
    """
    kind, value, text = item["kind"], item["value"], item["text"]
    if kind == "str":
        return text
    if kind == "json":
        return load_json(text.encode())
    if kind == "int":
        return int(text) if text is not None else int(value)
    if kind == "bool":
        return bool(value)
    return value


def _metric(item: Mapping[str, Any]) -> MetricSummary:
    elements = item["list"]
    if elements is not None:
        value: Any = load_json(elements.encode())
    else:
        value = plain({"kind": item["kind"], "value": item["last"], "text": item["text"]})
    lowest, highest = item["min"], item["max"]
    if lowest is None and item["count"] == 1 and isinstance(value, (int, float)) and abs(value) <= EXACT_INT:
        lowest = highest = float(value)
    return MetricSummary(
        kind=item["kind"],
        count=item["count"],
        value=value,
        last_step=item["last_step"],
        min=lowest,
        max=highest,
        min_step=item["min_step"],
        max_step=item["max_step"],
    )


def _json(text: str | None) -> dict[str, Any]:
    return load_json(text.encode()) if text else {}


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")
