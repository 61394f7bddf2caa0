"""Options of targets: each is looked at before anything is done with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from runfolio.config import readers
from runfolio.errors import ConfigurationError

if TYPE_CHECKING:
    from runfolio.config.readers import Reader

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def checked(target: str, given: Mapping[str, Any], known: Mapping[str, Reader]) -> dict[str, Any]:
    """Return options in their types. None stands for one that was not given.

    Args:
        target: the target, for messages.
        given: what the configuration or a job says.
        known: the options there are, each with what reads it.

    Raises:
        ConfigurationError: one is unknown or wrong.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name not in known:
            raise ConfigurationError(
                f"There is no option {name!r} of the target {target!r} here: there are {', '.join(known)}", key=name
            )
        try:
            found[name] = known[name](value)
        except ValueError as error:
            raise ConfigurationError(
                f"The option {name!r} of the target {target!r} is wrong: {error}", key=name
            ) from None
    return found


def line(value: object) -> str:
    """A text of one line."""
    text = readers.text(value)
    if not text.isprintable():
        raise ValueError("expected a text of one line")
    return text


def setup(value: object) -> list[str]:
    """Lines of shell, which a job begins with."""
    lines = list(readers.texts(value))
    if any("\0" in one or "\r" in one for one in lines):
        raise ValueError("expected lines of shell, without carriage returns")
    return lines


def environment(value: object) -> dict[str, str]:
    """A table of environment variables."""
    if not isinstance(value, Mapping):
        raise ValueError("expected a table of variables")  # noqa: TRY004 (like all readers)
    for name, text in value.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or not isinstance(text, str):
            raise ValueError(f"{name!r} is no variable with a text")
    return dict(value)
