"""The arguments of the runs of a sweep: every combination of lists, a few of them by chance, or the rows of a file."""

from __future__ import annotations

import csv
import itertools
import math
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runfolio.errors import ConfigurationError
from runfolio_plugins.launch.shell_metric import parse_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST: Final = 100_000
"""Runs that one sweep may have."""
_COMMA: Final = re.compile(r"(?<!\\),")
_NUMBER: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_RANGE: Final = re.compile(rf"(?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER})(?P<log>:log)?")


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one run.

    Attributes:
        words: what the script is given.
        params: what is special about this run, by name, each value in its kind.
    """

    words: tuple[str, ...]
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Axis:
    """A word that differs from run to run.

    Attributes:
        place: which word.
        name: of the param.
        before: what stands before the value in the same word, as in ``--lr=0.1,1``.
        values: what it may be; empty for a range.
        spread: the range to draw from.
    """

    place: int
    name: str
    before: str
    values: tuple[str, ...]
    spread: _Range | None

    def draw(self, chance: random.Random) -> str:
        """One of its values."""
        return self.spread.draw(chance) if self.spread is not None else chance.choice(self.values)


@dataclass(frozen=True, slots=True)
class _Range:
    low: float
    high: float
    whole: bool
    logarithmic: bool

    def draw(self, chance: random.Random) -> str:
        if self.logarithmic:
            found = math.exp(chance.uniform(math.log(self.low), math.log(self.high)))
            return str(min(max(round(found), int(self.low)), int(self.high))) if self.whole else f"{found:.6g}"
        if self.whole:
            return str(chance.randint(int(self.low), int(self.high)))
        return f"{chance.uniform(self.low, self.high):.6g}"


def grid(words: Sequence[str]) -> list[Arguments]:
    r"""Return every combination of the lists among words; the last list changes fastest.

    >>> [one.words for one in grid(["--lr", "0.1,1", "x"])]
    [('--lr', '0.1', 'x'), ('--lr', '1', 'x')]
    >>> [dict(one.params) for one in grid(["--lr=0.1,1", r"a\,b"])]
    [{'lr': 0.1}, {'lr': 1}]

    Raises:
        ConfigurationError: a word is a range, or there are too many combinations.
    """
    axes = _axes(words)
    for axis in axes:
        if axis.spread is not None:
            raise ConfigurationError(
                f"{words[axis.place]!r} is a range, and only --random draws from ranges: give a list of values",
                key=axis.name,
            )
    _refuse_too_many(math.prod(len(axis.values) for axis in axes))
    return [_arguments(words, axes, values) for values in itertools.product(*(axis.values for axis in axes))]


def sample(words: Sequence[str], count: int, seed: int | None) -> list[Arguments]:
    """Return some combinations by chance, each one once: from lists, and from ranges like ``0.001..1:log``.

    Args:
        words: the arguments.
        count: how many; fewer where the lists have fewer combinations.
        seed: the same seed gives the same combinations; None: others each time.

    Raises:
        ConfigurationError: there is nothing to choose from, or `count` is too much.
    """
    _refuse_too_many(count)
    axes, chance = _axes(words), random.Random(seed)
    if not axes:
        raise ConfigurationError("There is nothing to choose from: give lists (0.1,1) or ranges (0.1..1)")
    if all(axis.spread is None for axis in axes):
        total = math.prod(len(axis.values) for axis in axes)
        places = sorted(chance.sample(range(total), min(count, total)))
        return [_arguments(words, axes, _combination(axes, place)) for place in places]
    return [_arguments(words, axes, [axis.draw(chance) for axis in axes]) for _ in range(count)]


def from_csv(words: Sequence[str], path: Path) -> list[Arguments]:
    """Return one combination for each row of a CSV file: a column ``lr`` becomes ``--lr VALUE``, after `words`.

    A column whose name begins with a dash is taken as it is. An empty cell leaves its argument out.

    Raises:
        ConfigurationError: the file cannot be read, or has no rows.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"The file {path} cannot be read: {error}", key=str(path)) from error
    header, *rest = [row for row in rows if any(cell.strip() for cell in row)] or [[]]
    names = [name.strip() for name in header]
    if not rest or not all(names) or len(set(names)) < len(names):
        raise ConfigurationError(
            f"The file {path} needs a first line with a name for each column, and a line for each run", key=str(path)
        )
    _refuse_too_many(len(rest))
    found = []
    for number, row in enumerate(rest, 1):
        if len(row) > len(names):
            raise ConfigurationError(f"Run {number} in {path} has more values than there are columns", key=str(path))
        cells = {name: cell.strip() for name, cell in zip(names, row, strict=False) if cell.strip()}
        added = [word for name, cell in cells.items() for word in (_option(name), cell)]
        params = {name.lstrip("-"): parse_value(cell) for name, cell in cells.items()}
        found.append(Arguments((*words, *added), params))
    return found


def _option(name: str) -> str:
    return name if name.startswith("-") else f"-{name}" if len(name) == 1 else f"--{name}"


def _axes(words: Sequence[str]) -> list[_Axis]:
    found = [axis for axis in _look_through(words) if axis.spread is not None or len(axis.values) > 1]
    names = [axis.name for axis in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{name} has two lists: it would not be clear which is which", key=name)
    return found


def _look_through(words: Sequence[str]) -> Iterator[_Axis]:
    positional = 0
    for place, word in enumerate(words):
        before, name, text = "", "", word
        if word.startswith("-") and "=" in word:
            option, _, text = word.partition("=")
            before, name = f"{option}=", option.lstrip("-")
        elif place and words[place - 1].startswith("-") and "=" not in words[place - 1]:
            name = words[place - 1].lstrip("-")
        elif not word.startswith("-"):
            positional += 1
            name = f"arg{positional}"
        if name:
            values = tuple(value.replace("\\,", ",") for value in _COMMA.split(text))
            yield _Axis(place, name, before, values, _range(text))


def _range(text: str) -> _Range | None:
    found = _RANGE.fullmatch(text)
    if found is None:
        return None
    low, high = parse_value(found["low"]), parse_value(found["high"])
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if low >= high or (found["log"] and low <= 0):
        raise ConfigurationError(f"{text!r} is no range: it begins below its end, and above 0 with :log", key=text)
    return _Range(low, high, isinstance(low, int) and isinstance(high, int), bool(found["log"]))


def _combination(axes: Sequence[_Axis], place: int) -> list[str]:
    """One combination by its place in the grid."""
    values = []
    for axis in reversed(axes):
        place, one = divmod(place, len(axis.values))
        values.append(axis.values[one])
    return values[::-1]


def _arguments(words: Sequence[str], axes: Sequence[_Axis], values: Sequence[str]) -> Arguments:
    chosen = [word.replace("\\,", ",") for word in words]
    for axis, value in zip(axes, values, strict=True):
        chosen[axis.place] = f"{axis.before}{value}"
    return Arguments(tuple(chosen), {axis.name: parse_value(value) for axis, value in zip(axes, values, strict=True)})


def _refuse_too_many(count: int) -> None:
    if count > MOST:
        raise ConfigurationError(
            f"These are {count:,} runs, and a sweep has at most {MOST:,}: choose some with --random"
        )
