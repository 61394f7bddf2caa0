"""Calling the programs of Slurm. No shell is between: each argument arrives as it is."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from runfolio.config import redact_text
from runfolio.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE: Final = 120.0
"""Seconds that a program has. Those of Slurm give up sooner when the controller does not answer."""


def call(words: Sequence[str], *, stdin: bytes = b"") -> str:
    """Return what a program prints.

    Raises:
        TargetError: it is not installed, failed, or gave no answer; with what it says.
    """
    done = _run(words, stdin)
    if done.returncode:
        said = redact_text(done.stderr.decode("utf-8", "replace").strip())[-1000:]
        raise TargetError(f"{words[0]} failed (exit code {done.returncode}): {said or 'no reason'}", operation=words[0])
    return done.stdout.decode("utf-8", "replace")


def ask(words: Sequence[str]) -> str | None:
    """Return what a program prints; None when it fails, which with Slurm may mean that there is no such job.

    Raises:
        TargetError: it is not installed, or gave no answer.
    """
    done = _run(words, b"")
    return None if done.returncode else done.stdout.decode("utf-8", "replace")


def _run(words: Sequence[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(words, input=stdin, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise TargetError(
            f"{words[0]} gave no answer within {PATIENCE:g} s: it may have done its work all the same; squeue shows it",
            operation=words[0],
        ) from error
    except OSError as error:
        raise TargetError(
            f"{words[0]} cannot be started: {error.strerror or error}. The programs of Slurm must be on PATH on this "
            "machine, a login node of the cluster",
            operation=words[0],
        ) from error
