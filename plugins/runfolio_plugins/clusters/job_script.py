"""The shell script that a job is for a cluster. What comes from a user is quoted, except the lines of `setup`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from runfolio.errors import ConfigurationError
from runfolio_plugins.clusters.checked_options import checked, environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runfolio.target import Job

_CR: Final = "_runfolio_cr"
"""The variable that holds a carriage return: sbatch refuses scripts with ends of lines of DOS."""


def job_script(job: Job, setup: Iterable[str], variables: Mapping[str, str], *, first: str = "") -> str:
    """Return the script.

    The first line after ``#!`` is a command, so that no later line counts as an ``#SBATCH`` directive.

    Args:
        job: the job.
        setup: lines of shell to begin with, as the configuration has them.
        variables: environment variables; those of the job win.
        first: a command to begin with, of ours.

    Raises:
        ConfigurationError: an argument or a variable cannot be handed to a program.
    """
    merged = {"environment": {**variables, **job.environment}}
    named: dict[str, str] = checked("of the job", merged, {"environment": environment})["environment"]
    lines = [
        "#!/bin/sh",
        f"{_CR}=$(printf '\\r')",
        *([first] if first else []),
        *(f"export {name}={quoted(value)}" for name, value in named.items()),
        *setup,
        f"cd -- {quoted(job.folder)} || exit 1" if job.folder else 'cd "${TMPDIR:-/tmp}" || exit 1',
        f"exec {' '.join(quoted(word) for word in job.command)}",
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Return a text as one word of a POSIX shell.

    Raises:
        ConfigurationError: it holds a NUL, which no program can be given.
    """
    if "\0" in text:
        raise ConfigurationError("An argument or variable of a job holds a NUL character", key="command")
    return f'"${_CR}"'.join(shlex.quote(part) for part in text.split("\r"))
