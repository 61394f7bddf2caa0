"""What a run is given and what it ends up with, as mappings that journal each change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, MutableSet
from typing import Any

from runfolio.errors import InvalidValueError, RunStateError
from runfolio.names import validate_name
from runfolio.values import flatten, scalar, sequence

Note = Callable[[Any, Mapping[str, Any]], None]
"""Journals facts of a kind, before it returns."""
Redact = Callable[[str, str], str]
"""Called with the name and the text of a param; returns the text to store."""


class Params(Mapping[str, Any]):
    """The params of a run being written: flat, with dotted names, each set once.

    ``params.update(optimizer={"name": "adam"})`` gives ``optimizer.name``. A value comes back in the kind it was
    given in.
    """

    def __init__(self, note: Note, values: Mapping[str, Any] | None = None, redact: Redact | None = None) -> None:
        self._note = note
        self._values: dict[str, Any] = dict(values or {})
        self._redact = redact

    def update(self, params: Mapping[str, Any] | None = None, /, **named: object) -> None:
        """Add params.

        Raises:
            RunStateError: a param has another value already. Nothing was added.
            InvalidNameError: a name is not allowed, or two names are one after flattening.
        """
        new = redacted(flatten({**(params or {}), **named}), self._redact)
        for name, value in new.items():
            validate_name(name, "param")
            if name in self._values and not _equal(self._values[name], value):
                raise RunStateError(
                    f"The param {name!r} is {self._values[name]!r} already and cannot become {value!r}: "
                    "log what changes during a run as a metric, or put it into run.summary",
                    key=name,
                )
        fresh = {name: value for name, value in new.items() if name not in self._values}
        if fresh:
            self._note("params", fresh)
            self._values.update(fresh)

    def __setitem__(self, name: str, value: object) -> None:
        self.update({name: value})

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Params({self._values!r})"


def redacted(params: Mapping[str, Any], redact: Redact | None) -> dict[str, Any]:
    """Return flat params with the secrets among their texts hidden."""
    if redact is None:
        return dict(params)
    return {name: redact(name, value) if isinstance(value, str) else value for name, value in params.items()}


def _equal(one: object, other: object) -> bool:
    return type(one) is type(other) and (one == other or (one != one and other != other))  # noqa: PLR0124 (NaN)


class Summary(MutableMapping[str, Any]):
    """Results of a run that are not a series: ``run.summary["best_epoch"] = 7``. The last value set counts."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._values: dict[str, Any] = {}

    def __setitem__(self, name: str, value: object) -> None:
        validate_name(name, "summary")
        elements = sequence(value)
        plain = scalar(value) if elements is None else elements
        self._note("summary", {name: plain})
        self._values[name] = plain

    def __delitem__(self, name: str) -> None:
        raise RunStateError(f"A summary value is replaced, never removed: set {name!r} to another value", key=name)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Summary({self._values!r})"


class Tags(MutableSet[str]):
    """The tags of a run being written. Each change is one edit of its own, so two writers do not undo each other's."""

    def __init__(self, edit: Callable[[str, object], None], tags: Mapping[str, bool] | None = None) -> None:
        self._edit = edit
        self._tags = {tag for tag, there in (tags or {}).items() if there}

    def add(self, value: str) -> None:
        """Add a tag."""
        if validate_tag(value) not in self._tags:
            self._edit(f"tag:{value}", True)  # noqa: FBT003 (the value of the edit)
            self._tags.add(value)

    def discard(self, value: str) -> None:
        """Remove a tag, if it is there."""
        if value in self._tags:
            self._edit(f"tag:{value}", False)  # noqa: FBT003 (the value of the edit)
            self._tags.discard(value)

    def update(self, *tags: str) -> None:
        """Add several tags."""
        for tag in tags:
            self.add(tag)

    def __contains__(self, tag: object) -> bool:
        return tag in self._tags

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._tags))

    def __len__(self) -> int:
        return len(self._tags)

    def __repr__(self) -> str:
        return f"Tags({sorted(self._tags)!r})"


def validate_tag(tag: str) -> str:
    """Check a tag and return it unchanged.

    Raises:
        InvalidNameError: it is not a name.
    """
    return validate_name(tag, "tag")


def validate_goal(goal: str) -> str:
    """Check the goal of a metric and return it unchanged.

    Raises:
        InvalidValueError: it is neither ``"max"`` nor ``"min"``.
    """
    if goal not in ("max", "min"):
        raise InvalidValueError(f"A goal is 'max' or 'min', not {goal!r}")
    return goal
