"""Metrics of several runs, with their curves laid over each other by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from runfolio.comparing.values import TRIFLE, ComparedMetric, measure, side_by_side

if TYPE_CHECKING:
    import pyarrow as pa

    from runfolio.records import MetricSummary, Record

AGREE: Final = 1e-6
"""Relative difference up to which two points of curves count as equal: what another order of additions makes."""
MACHINE: Final = "system/"
"""Metrics of the machine: their curves never agree, and are not compared point by point."""


def compared_metrics(records: Sequence[Record], tables: Sequence[pa.Table | None]) -> list[ComparedMetric]:
    """Compare the metrics of runs.

    Args:
        records: one for each run.
        tables: the rows of the metrics that `curves_of` names, one table for each run; None where they were not read.
    """
    curves = {name: _parting(name, tables) for name in curves_of(records)}
    found = []
    for one in side_by_side([{name: metric.value for name, metric in record.metrics.items()} for record in records]):
        summaries = [record.metrics.get(one.name) for record in records]
        goal = _goal(one.name, records)
        lowest = [None if summary is None else summary.min for summary in summaries]
        highest = [None if summary is None else summary.max for summary in summaries]
        best = {"max": highest, "min": lowest, None: []}[goal]
        common, diverges = curves.get(one.name, (0, None))
        found.append(
            ComparedMetric(
                name=one.name,
                values=one.values,
                differs=one.differs or diverges is not None,
                difference=max(one.difference, measure(best) if best else 0.0)
                * (TRIFLE if one.name.startswith(MACHINE) else 1.0),
                goal=goal,
                best=best,
                lowest=lowest,
                highest=highest,
                last_steps=[None if summary is None else summary.last_step for summary in summaries],
                common_steps=common,
                diverges_at=diverges,
            )
        )
    return found


def curves_of(records: Sequence[Record]) -> list[str]:
    """Return the metrics that are worth laying over each other: series of numbers in each of the runs."""
    shared = [name for name in records[0].metrics if all(name in record.metrics for record in records)]
    return [
        name
        for name in shared
        if not name.startswith(MACHINE) and all(_is_curve(record.metrics[name]) for record in records)
    ]


def _is_curve(metric: MetricSummary) -> bool:
    return metric.count > 1 and metric.kind in ("float", "int", "bool") and not isinstance(metric.value, list)


def _goal(name: str, records: Sequence[Record]) -> Literal["max", "min"] | None:
    for record in records:
        goal = record.definitions.get(name, {}).get("goal")
        if goal in ("max", "min"):
            return goal  # type: ignore[no-any-return]  # checked on the line above
    return None


def aligned(name: str, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Return a metric of several runs by step: the column `step`, and one for each run with its number there, or null.

    Of several values at one step the last one counts; texts and lists are left out.

    Args:
        name: the metric.
        tables: rows by run, as `Run.metrics` gives them.
    """
    import pyarrow as pa  # noqa: PLC0415 (loaded on use)

    together: pa.Table | None = None
    for run_id, table in tables.items():
        part = _by_step(name, table).rename_columns(["step", run_id])
        together = part if together is None else together.join(part, "step", join_type="full outer")
    if together is None:
        return pa.table({"step": pa.array([], pa.int64())})
    return together.sort_by("step").combine_chunks()


def _by_step(name: str, table: pa.Table) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 (loaded on use)
    import pyarrow.compute as pc  # noqa: PLC0415

    kept = pc.and_(
        pc.equal(table.column("name").cast(pa.string()), name),
        pc.and_(pc.is_null(table.column("index")), pc.is_valid(table.column("value"))),
    )
    rows = table.filter(kept).select(["step", "value"])
    # In one thread: only then is the last of a group the last that was logged.
    return rows.group_by("step", use_threads=False).aggregate([("value", "last")]).select(["step", "value_last"])


def _parting(name: str, tables: Sequence[pa.Table | None]) -> tuple[int, int | None]:
    """How many steps all runs share, and the first of them at which they do not agree."""
    import pyarrow as pa  # noqa: PLC0415 (loaded on use)
    import pyarrow.compute as pc  # noqa: PLC0415

    present: dict[str, pa.Table] = {str(place): table for place, table in enumerate(tables) if table is not None}
    if len(present) < len(tables):
        return 0, None
    shared = aligned(name, present).drop_null()
    numbers = shared.drop_columns("step").columns
    nans = [pc.is_nan(one).cast(pa.int8()) for one in numbers]
    missing = nans[0]
    for one in nans[1:]:
        missing = pc.add(missing, one)
    low, high = pc.min_element_wise(*numbers), pc.max_element_wise(*numbers)
    tolerance = pc.multiply(AGREE, pc.max_element_wise(pc.abs(low), pc.abs(high)))
    apart = pc.subtract(high, low)
    close = pc.or_(pc.equal(low, high), pc.and_(pc.is_finite(apart), pc.less_equal(apart, tolerance)))
    agree = pc.or_(pc.and_(pc.equal(missing, 0), close), pc.equal(missing, len(numbers)))
    first: Any = pc.min(shared.column("step").filter(pc.invert(agree))).as_py()
    return shared.num_rows, first
