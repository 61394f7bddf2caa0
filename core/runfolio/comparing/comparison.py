"""Two or more runs side by side, section by section: what explains their results on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from runfolio.comparing.curves import aligned, compared_metrics, curves_of
from runfolio.comparing.sources import Source, compared_sources
from runfolio.comparing.values import (
    ComparedValue,
    files,
    named_arguments,
    packages,
    side_by_side,
    sorted_by_difference,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from runfolio.run import Run
    from runfolio.store.environment import Gather

SECTIONS: Final = (
    "source",
    "params",
    "arguments",
    "packages",
    "hardware",
    "properties",
    "metrics",
    "summary",
    "artifacts",
    "record",
)
"""What goes into a run first, then what came out of it, then what is different each time."""
_HARDWARE: Final = ("Cpu", "Gpu", "Host", "Memory", "Platform")
"""How the names of properties begin that are about the machine."""
_RECORD: Final = [
    "run_number",
    "status",
    "name",
    "experiment",
    "script_name",
    "user_id",
    "target",
    "parent_run_id",
    "created_utc",
    "start_time_utc",
    "end_time_utc",
    "duration_seconds",
    "note",
    "description",
]


class Comparison:
    """What two or more runs have in common and where they differ.

    Attributes:
        runs: the runs, in the order given.
        sections: ``source`` (hashes by path, with diffs), ``params``, ``arguments``, ``packages``, ``hardware``,
            ``properties``, ``metrics``, ``summary``, ``artifacts`` (SHA-256 by path) and ``record``, each a list of
            values. Sections in which the runs differ come first, and in each what differs most.
        problems: what could not be compared, with the reason.
    """

    def __init__(
        self, runs: Sequence[Run], sections: Mapping[str, Sequence[ComparedValue]], problems: Sequence[str] = ()
    ) -> None:
        self.runs = list(runs)
        self.problems = list(problems)
        self.sections = {name: list(values) for name, values in sections.items()}

    def differences(self) -> Comparison:
        """Return the same comparison with only the values that differ, empty sections left out."""
        kept = {name: [value for value in values if value.differs] for name, values in self.sections.items()}
        return Comparison(self.runs, {name: values for name, values in kept.items() if values}, self.problems)

    def curves(self, name: str) -> pa.Table:
        """Return a metric of all runs by step: the column ``step``, and one for each run, called after its id.

        Null stands where a run has no number at a step; of several values at one step the last one counts.
        """
        return aligned(name, {run.id: run.metrics([name]) for run in self.runs})

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data.

        That is the run ids, and by section and name the values, whether they differ and how much; for metrics also best
        values, and where the curves part.
        """
        return {
            "problems": self.problems,
            "runs": [run.id for run in self.runs],
            "sections": {
                section: {value.name: value.to_dict() for value in values} for section, values in self.sections.items()
            },
        }

    def __repr__(self) -> str:
        count = sum(value.differs for values in self.sections.values() for value in values)
        return f"<Comparison of {', '.join(run.short_id for run in self.runs)}: {count} differences>"

    def _repr_html_(self) -> str:
        from runfolio.notebook_html import comparison_html  # noqa: PLC0415 (only in notebooks)

        return comparison_html(self)


def compare(
    runs: Sequence[Run],
    gather: Gather,
    *,
    curves: bool = True,
    sources: Sequence[Source | None] | None = None,
    problems: Sequence[str] = (),
) -> Comparison:
    """Compare runs. See `runfolio.history.History.compare`.

    Args:
        runs: the runs.
        gather: runs requests side by side.
        curves: read the curves, to say where they part.
        sources: the source of each run; without it there is no section of that name.
        problems: what is known not to be comparable.
    """
    columns = gather([lambda run=run: _columns(run) for run in runs])  # type: ignore[misc]  # one run each
    records = [run.record for run in runs]
    names = curves_of(records) if curves else []
    tables = gather([lambda run=run: run.metrics(names) for run in runs]) if names else [None] * len(runs)  # type: ignore[misc]
    found: dict[str, Sequence[ComparedValue]] = {
        section: _COMPARE.get(section, side_by_side)([column[section] for column in columns]) for section in columns[0]
    }
    found["metrics"] = compared_metrics(records, tables)
    if sources is not None:
        found["source"] = compared_sources(sources, [run.short_id for run in runs])
    sections = {name: sorted_by_difference(found[name]) for name in SECTIONS if name in found}
    order = sorted(sections, key=lambda name: not any(value.differs for value in sections[name]))
    return Comparison(runs, {name: sections[name] for name in order}, problems)


_COMPARE: Final = {"packages": packages, "artifacts": files}


def _columns(run: Run) -> dict[str, Mapping[str, Any]]:
    """What a run has in each section but those that need all runs together."""
    record = run.record
    flat = record.to_dict()
    hardware = {name: value for name, value in record.properties.items() if name.startswith(_HARDWARE)}
    return {
        "params": record.params,
        "arguments": named_arguments(record.arguments),
        "packages": run.packages,
        "hardware": {"Host": record.host, **hardware},
        "properties": {
            **{name: value for name, value in record.properties.items() if name not in hardware},
            "CommitId": record.commit_id,
        },
        "summary": record.summary,
        "artifacts": {artifact.path: artifact.sha256 for artifact in run.artifacts.list()},
        "record": {name: flat.get(name) for name in _RECORD} | {"tags": list(record.tags)},
    }
