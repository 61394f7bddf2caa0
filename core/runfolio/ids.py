"""Ids, tokens and the fixed-width numbers that make keys sort as wanted."""

from __future__ import annotations

import re
import secrets
from typing import Final, NamedTuple

from runfolio.errors import InvalidNameError
from runfolio.names import validate_project

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, lower case: no i, l, o, u (https://www.crockford.com/base32.html)."""
REVERSED_WIDTH: Final = 10
_REVERSED_TOP: Final = 10**REVERSED_WIDTH
_RUN_ID: Final = re.compile(rf"(?P<project>.+)_(?P<ms>[0-9]{{13,15}})-(?P<short>[{ALPHABET}]{{5}})", re.DOTALL)


class RunId(NamedTuple):
    """The parts of a run id ``<project>_<epoch ms>-<5 base32>``."""

    project: str
    milliseconds: int
    short: str


def new_run_id(project: str, milliseconds: int) -> str:
    """Return a fresh run id, fixed at birth, also offline. The five random characters name the run to people."""
    short = "".join(secrets.choice(ALPHABET) for _ in range(5))
    return f"{validate_project(project)}_{milliseconds:013d}-{short}"


def parse_run_id(run_id: str) -> RunId:
    """Take a run id apart. The project may hold underscores and digits itself: the *last* underscore counts.

    Raises:
        InvalidNameError: it is not a run id.
    """
    found = _RUN_ID.fullmatch(run_id)
    if not found:
        raise InvalidNameError(
            f"{run_id!r} is not a run id: expected <project>_<milliseconds>-<5 characters>", key=run_id
        )
    return RunId(validate_project(found["project"]), int(found["ms"]), found["short"])


def new_token() -> str:
    """Return 64 random bits as 16 hex digits: the part of a name that no other process can choose."""
    return secrets.token_hex(8)


def new_uid() -> str:
    """Return 128 random bits as 32 hex digits: the identity of a run, and the write id of its start."""
    return secrets.token_hex(16)


def reversed_number(number: int) -> str:
    """Return ``10^10 - number`` in fixed width, so that a listing in key order shows the highest number first."""
    if not 0 < number < _REVERSED_TOP:
        raise ValueError(f"{number} is outside 1..{_REVERSED_TOP - 1}")
    return f"{_REVERSED_TOP - number:0{REVERSED_WIDTH}d}"


def unreversed_number(text: str) -> int:
    """Return the number that `reversed_number` made this of."""
    return _REVERSED_TOP - int(text)
