"""Jobs of a Slurm cluster, by its own programs: ``sbatch``, ``squeue``, ``scancel``, ``sacct`` (`Slurm manual pages`_).

A handle is ``<job id>/<token>``; the token names the log, in a folder that the nodes and this machine share.

.. _Slurm manual pages: https://slurm.schedmd.com/man_index.html
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, Unpack, final

from runfolio.config import Places
from runfolio.errors import NotFoundError, TargetError
from runfolio.ids import new_token
from runfolio.target import JobStatus, Target
from runfolio_plugins.clusters.job_script import job_script
from runfolio_plugins.clusters.slurm_options import SlurmOptions, of_job, sbatch_words, slurm_options
from runfolio_plugins.clusters.slurm_programs import ask, call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.target import Job

_ANSWER: Final = re.compile(r"(?P<job>[0-9]+)(?:;[^\n]*)?\n?")
_HANDLE: Final = re.compile(r"(?P<job>[0-9]{1,10})/(?P<token>[0-9a-f]{16})")
_MOST: Final = 8 * 1024 * 1024
"""Bytes of a log that are returned at once."""
_STATUSES: Final[Mapping[str, JobStatus]] = {
    # "Job State Codes" of squeue(1) and sacct(1). What is not named here waits or runs.
    "PENDING": JobStatus.QUEUED,
    "REQUEUED": JobStatus.QUEUED,
    "REQUEUE_FED": JobStatus.QUEUED,
    "REQUEUE_HOLD": JobStatus.QUEUED,
    "RESV_DEL_HOLD": JobStatus.QUEUED,
    "SPECIAL_EXIT": JobStatus.QUEUED,
    "COMPLETED": JobStatus.COMPLETED,
    "FAILED": JobStatus.FAILED,
    "TIMEOUT": JobStatus.FAILED,
    "DEADLINE": JobStatus.FAILED,
    "OUT_OF_MEMORY": JobStatus.FAILED,
    "CANCELLED": JobStatus.CANCELED,
    "NODE_FAIL": JobStatus.LOST,
    "BOOT_FAIL": JobStatus.LOST,
    "PREEMPTED": JobStatus.LOST,
    "REVOKED": JobStatus.LOST,
}


@final
class SlurmTarget(Target):
    """Batch jobs of Slurm, submitted from a machine that has its programs.

    Args:
        options: see `runfolio_plugins.clusters.slurm_options.SlurmOptions`.

    Raises:
        ConfigurationError: an option is unknown or wrong.
    """

    name = "slurm"

    def __init__(self, **options: Unpack[SlurmOptions]) -> None:
        self._options = slurm_options(options)

    def __reduce__(self) -> tuple[object, tuple[SlurmOptions]]:
        return _again, (self._options,)

    def submit(self, job: Job) -> str:  # noqa: D102 (docstring inherited)
        options = of_job(self._options, job.resources)
        job.require_folder()
        script = job_script(job, options.get("setup", ()), options.get("environment", {}))
        token = new_token()
        log = self._log(token)
        words = [
            "sbatch",
            "--parsable",
            # Nothing of this process's environment, which may hold secrets: the node gives the one of a login.
            "--export=NONE",
            "--chdir=/",
            f"--job-name={_printable(job.name) or 'runfolio'}",
            f"--output={str(log).replace('%', '%%')}",
            "--open-mode=append",
            *sbatch_words(options),
        ]
        try:
            log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            log.touch(mode=0o600)
        except OSError as error:
            raise TargetError(
                f"The log {log} cannot be made: {error.strerror or error}: name another folder in the option 'logs'",
                operation="submit",
            ) from error
        try:
            return f"{_job_id(call(words, stdin=os.fsencode(script)))}/{token}"
        except BaseException:
            log.unlink(missing_ok=True)
            raise

    def status(self, handle: str) -> JobStatus:  # noqa: D102 (docstring inherited)
        job = self._job(handle)
        if job is None:
            return JobStatus.UNKNOWN
        state = ask(["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T"])
        if state is None:
            # It exits alike when it knows no such job any more, and when nobody answers.
            call(["scontrol", "ping"])
            state = ask(["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={job}", "--format=State"])
        lines = (state or "").split("\n")
        words = [line.split()[0] for line in lines if line.strip()]  # sacct: CANCELLED by 1000
        return _STATUSES.get(words[-1], JobStatus.RUNNING) if words else JobStatus.UNKNOWN

    def cancel(self, handle: str) -> None:  # noqa: D102 (docstring inherited)
        job = self._job(handle)
        if job is None or self._is_over(handle) or ask(["scancel", "--quiet", job]) is not None:
            return
        if not self._is_over(handle):
            raise TargetError(f"Slurm refused to cancel the job {job}: it may be another user's", operation="cancel")

    def logs(self, handle: str, start: int = 0) -> bytes:  # noqa: D102 (docstring inherited)
        found = _HANDLE.fullmatch(handle)
        if found is not None:
            try:
                with self._log(found["token"]).open("rb") as file:
                    file.seek(start)
                    return file.read(_MOST)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise TargetError(f"The log of {handle} cannot be read: {error}", operation="logs") from error
        raise NotFoundError(f"There is no log of a job {handle!r} here", key=handle, operation="logs")

    def _is_over(self, handle: str) -> bool:
        status = self.status(handle)
        return status.final or status is JobStatus.UNKNOWN

    def _log(self, token: str) -> Path:
        folder = self._options.get("logs")
        logs = Path(folder).expanduser() if folder else Places.of(os.environ).user_state / "slurm"
        return logs.absolute() / f"{token}.log"

    def _job(self, handle: str) -> str | None:
        """The job id of a handle; None when it is none of ours."""
        found = _HANDLE.fullmatch(handle)
        return found["job"] if found is not None and self._log(found["token"]).exists() else None


def _job_id(answer: str) -> str:
    found = _ANSWER.fullmatch(answer)
    if found is None:
        raise TargetError(f"sbatch gave no job id, but {answer[:200]!r}", operation="submit")
    return found["job"]


def _again(options: SlurmOptions) -> SlurmTarget:
    return SlurmTarget(**options)


def _printable(text: str) -> str:
    """A name as one line: Slurm shows it in tables."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]
