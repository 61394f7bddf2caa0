"""What runs and what waits, as a table: of the project, and of the sweeps of this machine."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from runfolio_plugins.launch.sweep_plan import TaskState, all_sweeps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from runfolio.history import History
    from runfolio.records import MetricSummary, Record

_ACTIVE: Final = "status in ('Submitting', 'Queued', 'Running', 'Lost')"
_RECENT: Final = 24 * 3600.0
"""Seconds for which a lost run is shown."""
_TOTALS: Final = ("epochs", "n_epochs", "num_epochs", "max_epochs", "steps", "max_steps", "total_steps")
"""Params that say how many steps there will be."""
_STYLES: Final = {"Running": "blue", "Lost": "red", "Queued": "dim"}


@dataclass(frozen=True, slots=True)
class JobRow:
    """One line.

    Attributes:
        run_id: the run; None where there is none yet.
        what: its name, or what is special about it.
        status: how it stands.
        progress: how far it is, as a text; None where nothing says it.
        metric: the metric that was logged furthest, with its value; None before the first one.
        seconds: since it began; None while it waits.
        sweep: the sweep that it belongs to.
    """

    run_id: str | None
    what: str
    status: str
    progress: str | None = None
    metric: str | None = None
    seconds: float | None = None
    sweep: str | None = None


def rows_of(history: History, project: str | None) -> list[JobRow]:
    """Return what runs in a project, and what waits in the sweeps of this machine. Values are those of the last beat.

    Raises:
        StorageError: the store cannot be read.
    """
    now = time.time()
    shown = []
    for record in history.runs(project, where=_ACTIVE).records():
        age = now - record.start_time_utc.timestamp() if record.start_time_utc is not None else 0.0
        if record.status != "Lost" or age < _RECENT:
            shown.append(_row(record, age))
    known = {row.run_id for row in shown}
    return [*shown, *(row for row in _waiting() if row.run_id is None or row.run_id not in known)]


def _row(record: Record, age: float) -> JobRow:
    sweep = record.properties.get("Sweep")
    what = record.name or " ".join([record.script_name or "", *record.arguments])
    latest = _latest(record)
    return JobRow(
        record.run_id,
        what.strip(),
        record.status,
        _progress(record, latest),
        None if latest is None else f"{latest[0]}={_short(latest[1].value)}",
        age,
        sweep if isinstance(sweep, str) else None,
    )


def _latest(record: Record) -> tuple[str, MetricSummary] | None:
    own = [(name, one) for name, one in record.metrics.items() if not name.startswith("system/") and name != "progress"]
    # Of those at the last step, one that the run says the goal of comes first.
    return max(
        own, key=lambda pair: (pair[1].last_step or 0, pair[0] in record.definitions, pair[1].count), default=None
    )


def _progress(record: Record, latest: tuple[str, MetricSummary] | None) -> str | None:
    told = record.metrics.get("progress")
    if told is not None and isinstance(told.value, int | float):
        return f"{told.value:.0%}"
    if latest is None or latest[1].last_step is None:
        return None
    total = next((record.params[name] for name in _TOTALS if isinstance(record.params.get(name), int)), None)
    step = latest[1].last_step
    return f"step {step}" if total is None else f"step {step} of {total}"


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:20]


def _waiting() -> Iterator[JobRow]:
    for sweep in all_sweeps():
        if sweep.ended:
            continue
        for task in sweep.tasks:
            state = task.state
            if state is not TaskState.ENDED:
                yield JobRow(task.run_id, task.shown, str(state), sweep=sweep.id)


def as_dicts(rows: list[JobRow]) -> list[dict[str, Any]]:
    """Return rows as plain data."""
    return [asdict(row) for row in rows]


def as_table(rows: list[JobRow]) -> Table:
    """Return rows as a table for a terminal."""
    from rich.markup import escape  # noqa: PLC0415 (loaded on use)
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("Run", "What", "Status", "Progress", "Last metric", "Time", "Sweep"):
        table.add_column(header, justify="right" if header == "Time" else "left", no_wrap=header in ("Run", "Status"))
    for row in rows:
        cells = (row.run_id or "", row.what, row.status, row.progress or "", row.metric or "", _time(row.seconds))
        plain = [escape(_printable(cell)) for cell in (*cells, row.sweep or "")]
        table.add_row(*plain, style=_STYLES.get(row.status))
    return table


def _printable(text: str) -> str:
    """What comes from a store may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
