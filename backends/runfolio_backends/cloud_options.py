"""Options of a backend: a closed set, each with its type, so that a slip of the pen is an error and no surprise."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from runfolio.errors import ConfigurationError

_SPELLED: Final = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", Mapping: "a table"}


def checked_options(
    given: Mapping[str, Any],
    known: type,
    backend: str,
    spellings: Mapping[str, str],
) -> dict[str, Any]:
    """Return the options that were given, after looking at each of them. None stands for one that was not given.

    Args:
        given: what the caller or the configuration says.
        known: the `TypedDict` that names the options and their types.
        backend: for messages.
        spellings: what `storage_options` calls the same things, as ``name there: name here``. Giving both is an error.

    Raises:
        ConfigurationError: an option is unknown, of a wrong type, or given twice.
    """
    kinds = get_type_hints(known)
    chosen = {name: value for name, value in given.items() if value is not None}
    for name, value in chosen.items():
        if name not in kinds:
            meant = spellings.get(name) or next(iter(get_close_matches(name, kinds, n=1, cutoff=0.5)), "")
            hint = f": did you mean {meant!r}?" if meant else f": there are {', '.join(sorted(kinds))}"
            raise ConfigurationError(
                f"{name!r} is not an option of the {backend} backend{hint}", backend=backend, key=name
            )
        _check_kind(name, value, kinds[name], backend)
    for theirs in chosen.get("storage_options", {}):
        ours = spellings.get(theirs, "")
        if ours in chosen:
            raise ConfigurationError(
                f"{ours!r} is given twice: as an option, and as {theirs!r} in storage_options. Leave one of them out",
                backend=backend,
                key=ours,
            )
    return chosen


def _check_kind(name: str, value: object, kind: Any, backend: str) -> None:
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return
        expected = "one of " + ", ".join(repr(one) for one in get_args(kind))
    else:
        plain = get_origin(kind) or kind
        whole = isinstance(value, int) and not isinstance(value, bool)
        if (
            whole
            if plain is int
            else (whole or isinstance(value, float))
            if plain is float
            else isinstance(value, plain)
        ) and (plain not in (int, float) or value > 0):  # type: ignore[operator]  # a number, as was just seen
            return
        expected = _SPELLED[plain] + (" above 0" if plain in (int, float) else "")
    # The value itself may be a secret in the wrong place.
    raise ConfigurationError(
        f"The option {name!r} of the {backend} backend is wrong: expected {expected}", backend=backend, key=name
    )


def merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file system is made with: ours, and over it, table by table, what the caller hands through."""
    both = dict(ours)
    for name, value in theirs.items():
        mine = both.get(name)
        both[name] = merged(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return both
