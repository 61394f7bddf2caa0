"""Values logged by shell scripts inside a run."""

from __future__ import annotations

import os
import re
from typing import Final

from runfolio.errors import ConfigurationError, InvalidValueError
from runfolio_plugins.launch.mailbox import ask

_INT: Final = re.compile(r"[+-]?[0-9]+")
_FLOAT: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
_BOOLS: Final = {"true": True, "false": False}
_PATIENCE: Final = 30.0
"""Seconds that the launcher has to journal a value."""


def parse_value(text: str) -> float | bool | str:
    """Return what a word of a shell stands for: an int, a float, a bool, or the text itself.

    >>> [parse_value(word) for word in ("7", "-0.5", "1e3", "true", "0x10", "007")]
    [7, -0.5, 1000.0, True, '0x10', 7]
    """
    word = text.strip()
    if _INT.fullmatch(word):
        return int(word)
    if _FLOAT.fullmatch(word):
        return float(word)
    return _BOOLS.get(word.lower(), text)


def log_from_shell(name: str, value: float | bool | str, step: int | None) -> None:
    """Log a value to the run that this process belongs to.

    The launcher of the run logs it, so that the steps of a series go on from one call to the next; the value is in its
    journal when this returns. Where there is no launcher, this process writes to the run itself.

    Raises:
        ConfigurationError: this process belongs to no run.
        InvalidValueError: the launcher refused the value.
    """
    run_id = os.environ.get("RUNFOLIO_RUN_ID")
    if not run_id:
        raise ConfigurationError(
            "There is no run to log to: RUNFOLIO_RUN_ID is not set. `runfolio run SCRIPT` sets it for its script"
        )
    # JSON as Python writes and reads it carries NaN, and ints of any size.
    answer = ask({"kind": "metric", "name": name, "value": value, "step": step}, timeout=_PATIENCE)
    if answer is None:
        _write_directly(run_id, name, value, step)
    elif not answer.get("ok"):
        raise InvalidValueError(str(answer.get("error")), key=name)


def _write_directly(run_id: str, name: str, value: float | bool | str, step: int | None) -> None:
    from runfolio.history import open_history  # noqa: PLC0415 (loaded on use)

    with open_history() as history:
        run = history.attach(run_id, writer="shell")
        try:
            run.log(name, value, step=step)
        finally:
            run.finish()
