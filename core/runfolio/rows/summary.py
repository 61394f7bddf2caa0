"""Summaries of metrics: count, last value, least and greatest, kept up to date batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.compute as pc

from runfolio.rows import raw
from runfolio.values import EXACT_INT, Scalar

LONGEST_LIST: Final = 1000
"""Elements of a list value that a summary holds."""
LONGEST_TEXT: Final = 1000
"""Characters of a text, or of all texts of a list, that a summary holds."""

_LONG: Final = 4096
"""Batches from this length on are looked at by themselves."""


@dataclass(slots=True)
class _Metric:
    """What is known of one metric. `low` and `high` stay None while no finite number was seen."""

    kind: str
    count: int
    last: Scalar | list[Scalar]
    last_step: int
    truncated: int | None = None
    low: float | None = None
    low_step: int = 0
    high: float | None = None
    high_step: int = 0

    def follow(self, later: _Metric) -> None:
        """Take in what was logged after this."""
        self.count += later.count
        self.kind, self.last, self.last_step = later.kind, later.last, later.last_step
        self.truncated = later.truncated
        if later.low is not None and (self.low is None or later.low < self.low):
            self.low, self.low_step = later.low, later.low_step
        if later.high is not None and (self.high is None or later.high > self.high):
            self.high, self.high_step = later.high, later.high_step

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "kind": self.kind, "count": self.count, "last": self.last, "last_step": self.last_step
        }  # fmt: skip
        is_list = isinstance(self.last, list)
        if is_list:
            found["list"] = True
        if self.truncated is not None:
            found["truncated"] = self.truncated
        if self.low is not None and self.high is not None and (self.count > 1 or is_list):
            found |= {"min": self._shown(self.low), "max": self._shown(self.high)}
            found |= {"min_step": self.low_step, "max_step": self.high_step}
        return found

    def _shown(self, number: float) -> float:
        """An extreme as ints were logged, where they were."""
        whole = self.kind in ("int", "bool") and float(number).is_integer() and abs(number) <= EXACT_INT
        return int(number) if whole else number


class Summaries:
    """The summaries of one writer's metrics (``docs/format.md``, "Summary of a metric")."""

    def __init__(self) -> None:
        self._metrics: dict[str, _Metric] = {}

    def update(self, rows: raw.Rows) -> None:
        """Take in the rows that follow those seen so far."""
        mixed: list[pa.RecordBatch] = []
        for batch in rows.batches:
            metric = _one_series(batch) if batch.num_rows >= _LONG else None
            if metric is None:
                mixed.append(batch)
                continue
            self._follow(rows.names, _summarize(raw.Rows(mixed).table()))
            mixed.clear()
            self._follow(rows.names, [(batch.column("name")[0].as_py(), metric)])
        self._follow(rows.names, _summarize(raw.Rows(mixed).table()))

    def _follow(self, names: Sequence[str], found: Iterable[tuple[int, _Metric]]) -> None:
        for identifier, metric in found:
            name = names[identifier]
            if name in self._metrics:
                self._metrics[name].follow(metric)
            else:
                self._metrics[name] = metric

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Name to summary, by name."""
        return {name: self._metrics[name].to_dict() for name in sorted(self._metrics)}

    def __len__(self) -> int:
        return len(self._metrics)


def summaries_of(table: pa.Table) -> dict[str, dict[str, Any]]:
    """Name to summary of rows in the schema of the format, or of a view of them, as they are ordered."""
    if not table.num_rows:
        return {}
    whole = table.combine_chunks()
    names = whole["name"].chunk(0)
    columns = {
        "name": names.indices,
        "step": whole["step"].chunk(0),
        "time": whole["time"].chunk(0),
        "kind": pc.index_in(whole["kind"].cast(pa.string()), value_set=pa.array(raw.KINDS)).chunk(0).cast(pa.int8()),
        "value": whole["value"].chunk(0),
        "index": whole["index"].chunk(0),
        "text": whole["text"].chunk(0),
    }
    summaries = Summaries()
    summaries.update(raw.Rows([raw.batch(columns)], names.dictionary.to_pylist()))
    return summaries.to_dict()


def _one_series(batch: pa.RecordBatch) -> _Metric | None:
    """The summary of a batch that holds finite scalars of one name only, without grouping; None for any other batch."""
    names, values = pc.min_max(batch.column("name")).as_py(), batch.column("value")
    if names["min"] != names["max"] or "index" in batch.schema.names or "text" in batch.schema.names:
        return None
    if values.null_count:  # an empty list
        return None
    extremes = pc.min_max(values).as_py()
    low, high = extremes["min"], extremes["max"]
    if low is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    last = batch.slice(batch.num_rows - 1).to_pylist()[0]
    element = scalar_of(last)
    steps = batch.column("step")
    return _Metric(
        raw.KINDS[last["kind"]], batch.num_rows, element, last["step"],
        low=low, low_step=steps[pc.index(values, low).as_py()].as_py(),
        high=high, high_step=steps[pc.index(values, high).as_py()].as_py(),
    )  # fmt: skip


def _summarize(table: pa.Table) -> Iterator[tuple[int, _Metric]]:
    """The summary of each name id in these rows."""
    if not table.num_rows:
        return
    begins = raw.starts_of_values(table)
    value = table.column("value")
    finite = pc.if_else(pc.fill_null(pc.is_finite(value), fill_value=False), value, pa.scalar(None, pa.float64()))
    position = raw.arange(0, table.num_rows)
    work = pa.table(
        {
            "name": table.column("name"),
            "step": table.column("step"),
            "begins": pc.cast(begins, pa.int64()),
            "begin": pc.if_else(begins, position, pa.scalar(None, pa.int64())),
            "finite": finite,
        }
    )
    grouped = work.group_by("name", use_threads=False).aggregate(
        [("begins", "sum"), ("begin", "max"), ("finite", "min"), ("finite", "max")]
    )
    low_steps, high_steps = (_steps_of(work, grouped, f"finite_{which}") for which in ("min", "max"))
    # A value's rows lie in one batch, so the last one of each name begins here.
    last_rows = table.take(grouped.column("begin_max")).to_pylist()
    for one, last in zip(grouped.to_pylist(), last_rows, strict=True):
        identifier: int = one["name"]
        element = scalar_of(last)
        metric = _Metric(raw.KINDS[last["kind"]], one["begins_sum"], element, last["step"])
        if last["kind"] == raw.EMPTY:
            metric.last = []
        elif last.get("index") is not None:
            metric.last, metric.truncated = _last_list(table, begins, one["begin_max"])
        elif isinstance(element, str) and len(element) > LONGEST_TEXT:
            metric.last, metric.truncated = element[:LONGEST_TEXT], len(element)
        metric.low, metric.high = one["finite_min"], one["finite_max"]
        metric.low_step, metric.high_step = low_steps.get(identifier, 0), high_steps.get(identifier, 0)
        yield identifier, metric


def _steps_of(work: pa.Table, grouped: pa.Table, column: str) -> dict[int, int]:
    """For each name, the step of its first row that has the extreme in `column`."""
    if grouped.num_rows == 1:
        extreme = grouped.column(column)[0]
    else:
        place = pc.index_in(work.column("name"), value_set=grouped.column("name").combine_chunks())
        extreme = pc.take(grouped.column(column), place)
    equal = pc.fill_null(pc.equal(work.column("finite"), extreme), fill_value=False)
    first = (
        work.select(["name", "step"]).filter(equal).group_by("name", use_threads=False).aggregate([("step", "first")])
    )
    return dict(zip(first.column("name").to_pylist(), first.column("step_first").to_pylist(), strict=True))


def _last_list(table: pa.Table, begins: pa.ChunkedArray, start: int) -> tuple[list[Scalar], int | None]:
    """The list that begins at row `start`, cut to what a summary holds, and its full length when it was cut."""
    following = pc.index(begins.slice(start + 1), pa.scalar(value=True)).as_py()
    length = table.num_rows - start if following < 0 else following + 1
    elements = [scalar_of(one) for one in table.slice(start, min(length, LONGEST_LIST)).to_pylist()]
    letters = 0
    for place, element in enumerate(elements):
        letters += len(element) if isinstance(element, str) else 0
        if letters > LONGEST_TEXT and place:
            return elements[:place], length
    return elements, length if length > LONGEST_LIST else None


def scalar_of(row: Mapping[str, Any]) -> Scalar:
    """The Python value of one raw row, as it was logged."""
    kind, value = row["kind"], row["value"]
    if kind == raw.FLOAT:
        return cast("float", value)
    if kind == raw.STR:
        return cast("str", row["text"])
    if kind == raw.BOOL:
        return bool(value)
    text = row.get("text")
    return 0 if kind == raw.EMPTY else int(value if text is None else text)
