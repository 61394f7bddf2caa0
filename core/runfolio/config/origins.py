"""Where a value came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

SourceKind: TypeAlias = Literal["argument", "environment", "project", "user", "site", "default"]

_TITLES: Final[dict[SourceKind, str]] = {
    "argument": "argument",
    "environment": "environment",
    "project": "project file",
    "user": "user file",
    "site": "site file",
    "default": "default",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of one value.

    Attributes:
        kind: which of the sources, in the order in which they win: argument, environment, project, user, site, default.
        place: the variable or the file; empty for arguments and defaults.
    """

    kind: SourceKind
    place: str = ""

    def __str__(self) -> str:
        return f"{_TITLES[self.kind]} {self.place}".rstrip()


ARGUMENT: Final = Origin("argument")
DEFAULT: Final = Origin("default")
