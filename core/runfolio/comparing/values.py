"""What a comparison is made of: one thing in each of the runs, whether it differs, and how much."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

_OPTION: Final = re.compile(r"--?[A-Za-z][^=]*")
_PARTS: Final = (0.8, 0.5, 0.3)
"""How much a package differs whose versions part in the first, second, third number."""
_LATER_PART: Final = 0.1
TRIFLE: Final = 0.001
"""How much weighs what differs each time: logs, metrics of the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedValue:
    """One thing in each of the runs.

    Attributes:
        name: what is compared, for example the name of a param or the path of an artifact.
        values: one for each run, in order; None where a run lacks it.
        differs: whether the runs do not all agree.
        difference: how much they differ, from 0 (not at all) to 1: for numbers relative to the larger one, for packages
            by the place in their versions. What differs most stands first in a section.
    """

    name: str
    values: Sequence[Any]
    differs: bool
    difference: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, without the name."""
        return {"values": list(self.values), "differs": self.differs, "difference": self.difference}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedMetric(ComparedValue):
    """A metric in each of the runs; `values` are the last ones.

    Attributes:
        goal: what is good, if a run said so with `define_metric`.
        best: the best value of each run, where there is a goal.
        lowest: the smallest number of each run.
        highest: the largest.
        last_steps: the step of each last value.
        common_steps: how many steps all runs have a number at; 0 when the curves were not compared.
        diverges_at: the first of these steps at which they do not agree to one part in a million; None while they do.
    """

    goal: Literal["max", "min"] | None = None
    best: Sequence[float | None] = ()
    lowest: Sequence[float | None] = ()
    highest: Sequence[float | None] = ()
    last_steps: Sequence[int | None] = ()
    common_steps: int = 0
    diverges_at: int | None = None

    @property
    def changes(self) -> Sequence[float | None]:
        """How far the last value of each run lies above that of the first one; None where one of them is no number."""
        return changes(self.values)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, without the name."""
        return {
            **ComparedValue.to_dict(self),
            "best": list(self.best),
            "best_changes": list(changes(self.best)),
            "changes": list(self.changes),
            "common_steps": self.common_steps,
            "diverges_at": self.diverges_at,
            "goal": self.goal,
            "highest": list(self.highest),
            "last_steps": list(self.last_steps),
            "lowest": list(self.lowest),
        }


def changes(values: Sequence[object]) -> Sequence[float | None]:
    """Return how far each value lies above the first; None where one of the two is no number."""
    first = values[0] if values else None
    return [None if not (_is_number(first) and _is_number(one)) else one - first for one in values]  # type: ignore[operator]  # numbers


def side_by_side(columns: Sequence[Mapping[str, Any]]) -> list[ComparedValue]:
    """Compare what runs have under the same names."""
    compared = []
    for name in dict.fromkeys(name for column in columns for name in column):
        values = [column.get(name) for column in columns]
        differs = not all(name in column for column in columns) or any(not same(values[0], one) for one in values[1:])
        compared.append(
            ComparedValue(name=name, values=values, differs=differs, difference=measure(values) if differs else 0.0)
        )
    return compared


def packages(columns: Sequence[Mapping[str, Any]]) -> list[ComparedValue]:
    """Compare versions of packages: one that is missing weighs most, then those that part early in the version."""
    return [
        _weighed(one, 1.0 if None in one.values else _measure_versions(one.values)) for one in side_by_side(columns)
    ]


def files(columns: Sequence[Mapping[str, Any]]) -> list[ComparedValue]:
    """Compare files by their hashes; outputs weigh more than logs."""
    return [_weighed(one, TRIFLE if one.name.startswith("logs/") else 1.0) for one in side_by_side(columns)]


def sorted_by_difference(values: Sequence[ComparedValue]) -> list[ComparedValue]:
    """Put what differs most first; what differs alike stays in order."""
    return sorted(values, key=lambda one: (not one.differs, -one.difference))


def named_arguments(words: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of a script by option, so that another order is no difference; the others by their place.

    A word after an option is taken for its value. Values of an option that is given again are a list.
    """
    found: dict[str, Any] = {}
    option, place = None, 0
    for word in words:
        name, equals, value = word.partition("=")
        if _OPTION.fullmatch(name):
            option = None if equals else name
            _add(found, name, value if equals else True)
        elif option is not None:
            found[option] = _replaced(found[option], word)
            option = None
        else:
            place += 1
            found[str(place)] = word
    return found


def _add(found: dict[str, Any], name: str, value: object) -> None:
    if name not in found:
        found[name] = value
    else:
        before = found[name]
        found[name] = [*(before if isinstance(before, list) else [before]), value]


def _replaced(value: Any, word: str) -> Any:
    """Put a word in the place of the True that an option began with."""
    return [*value[:-1], word] if isinstance(value, list) else word


def same(one: object, other: object) -> bool:
    """Equality in which NaN equals NaN and True is not 1."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def measure(values: Sequence[Any]) -> float:
    """Return how much values differ: numbers relative to the larger one, lists of them by their means, else wholly."""
    if all(isinstance(one, list) and one and all(map(_is_number, one)) for one in values):
        return measure([math.fsum(one) / len(one) for one in values])
    if not all(map(_is_number, values)):
        return 1.0
    low, high = min(values), max(values)
    largest = max(abs(low), abs(high))
    return min(1.0, (high - low) / largest) if largest else 0.0


def _measure_versions(versions: Sequence[str]) -> float:
    parts = [re.split(r"[.+!-]", str(one)) for one in versions]
    for place, numbers in enumerate(zip(*parts, strict=False)):
        if len(set(numbers)) > 1:
            return _PARTS[place] if place < len(_PARTS) else _LATER_PART
    return _LATER_PART


def _weighed(one: ComparedValue, difference: float) -> ComparedValue:
    return ComparedValue(
        name=one.name, values=one.values, differs=one.differs, difference=difference if one.differs else 0.0
    )
