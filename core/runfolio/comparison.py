"""Two or more runs side by side, section by section."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from runfolio.run import Run

_RECORD: Final = [
    "run_number",
    "status",
    "name",
    "experiment",
    "script_name",
    "user_id",
    "host",
    "target",
    "parent_run_id",
    "created_utc",
    "start_time_utc",
    "end_time_utc",
    "duration_seconds",
    "note",
    "description",
]


@dataclass(frozen=True, slots=True)
class ComparedValue:
    """One thing in each of the runs.

    Attributes:
        name: what is compared, for example the name of a metric or the path of an artifact.
        values: one for each run, in order; None where a run lacks it.
        differs: whether the runs do not all agree.
    """

    name: str
    values: Sequence[Any]
    differs: bool


class Comparison:
    """What two or more runs have in common and where they differ.

    Attributes:
        runs: the runs, in the order given.
        sections: ``record``, ``params``, ``arguments``, ``metrics``, ``properties``, ``packages``, ``artifacts``
            (SHA-256 by path), each a list of values; what differs stands first.
    """

    def __init__(self, runs: Sequence[Run], sections: Mapping[str, Sequence[ComparedValue]]) -> None:
        self.runs = list(runs)
        self.sections = {name: list(values) for name, values in sections.items()}

    def differences(self) -> Comparison:
        """Return the same comparison with only the values that differ, empty sections left out."""
        kept = {name: [value for value in values if value.differs] for name, values in self.sections.items()}
        return Comparison(self.runs, {name: values for name, values in kept.items() if values})

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data.

        That is the run ids, and by section and name the values and whether they differ.
        """
        return {
            "runs": [run.id for run in self.runs],
            "sections": {
                section: {value.name: {"values": list(value.values), "differs": value.differs} for value in values}
                for section, values in self.sections.items()
            },
        }

    def __repr__(self) -> str:
        count = sum(value.differs for values in self.sections.values() for value in values)
        return f"<Comparison of {', '.join(run.short_id for run in self.runs)}: {count} differences>"


def compare(runs: Sequence[Run]) -> Comparison:
    """Compare runs. See `runfolio.history.History.compare`."""
    columns = [_sections(run) for run in runs]
    return Comparison(runs, {section: _side_by_side([column[section] for column in columns]) for section in columns[0]})


def _sections(run: Run) -> dict[str, Mapping[str, Any]]:
    record = run.record
    flat = record.to_dict()
    return {
        "record": {name: flat.get(name) for name in _RECORD} | {"tags": list(record.tags)},
        "params": dict(record.params) | {f"summary.{name}": value for name, value in record.summary.items()},
        "arguments": {str(place): word for place, word in enumerate(record.arguments, 1)},
        "metrics": {name: metric.value for name, metric in record.metrics.items()},
        "properties": {**record.properties, "CommitId": record.commit_id},
        "packages": run.packages,
        "artifacts": {artifact.path: artifact.sha256 for artifact in run.artifacts.list()},
    }


def _side_by_side(columns: Sequence[Mapping[str, Any]]) -> list[ComparedValue]:
    names = dict.fromkeys(name for column in columns for name in column)
    compared = []
    for name in names:
        values = [column.get(name) for column in columns]
        present = [name in column for column in columns]
        differs = not all(present) or any(not _same(values[0], value) for value in values[1:])
        compared.append(ComparedValue(name, values, differs))
    return sorted(compared, key=lambda value: not value.differs)


def _same(one: object, other: object) -> bool:
    """Equality in which NaN equals NaN and True is not 1."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other
