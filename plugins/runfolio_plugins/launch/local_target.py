"""The target ``local``: jobs in the background of this machine, each in a session of its own, outliving the terminal.

Each job has a folder ``<state>/jobs/<token>/``, with the log, how it ended, and a lock that its keeper holds while it
lives. A handle is ``<host>/<token>``. Folders of jobs that ended are removed after a week.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from runfolio.config import Places
from runfolio.errors import ConfigurationError, NotFoundError, TargetError
from runfolio.ids import new_token
from runfolio.target import JobStatus, Target
from runfolio_plugins.launch import processes
from runfolio_plugins.launch.job_keeper import CANCELED, ENDED, LOCK, LOG, PID
from runfolio_plugins.launch.json_files import read_json

if TYPE_CHECKING:
    from runfolio.target import Job

_KEEPER: Final = "runfolio_plugins.launch.job_keeper"
_TOKEN: Final = re.compile(r"[0-9a-f]{16}")
_KEPT: Final = 7 * 24 * 3600.0
_STARTING: Final = 60.0
"""Seconds that a keeper has to appear."""
_MOST: Final = 8 * 1024 * 1024
"""Bytes of a log that are returned at once."""


@final
class LocalTarget(Target):
    """Jobs on this machine.

    It takes every job at once: cores, memory and time are not watched over, and it has no options.

    Args:
        state: where it keeps its jobs; None: beside the other state of this user.
    """

    name = "local"

    def __init__(self, state: Path | str | None = None) -> None:
        self._state = None if state is None else Path(state)

    def __reduce__(self) -> tuple[type[LocalTarget], tuple[Path | None]]:
        return LocalTarget, (self._state,)

    def submit(self, job: Job) -> str:  # noqa: D102 (docstring inherited)
        if job.resources.options:
            raise ConfigurationError(f"The target 'local' has no option {min(job.resources.options)!r}", key=self.name)
        job.require_folder()
        described = {
            "command": job.command,
            "folder": job.folder or tempfile.gettempdir(),
            "environment": dict(job.environment),
        }
        token = new_token()
        try:
            self._remove_old()
            folder = self._jobs / token
            folder.mkdir(parents=True, mode=0o700)
            _start_keeper(folder, json.dumps(described))
        except OSError as error:
            raise TargetError(
                f"The job cannot be started on this machine: {error.strerror or error}", operation="submit"
            ) from error
        return f"{_host()}/{token}"

    def status(self, handle: str) -> JobStatus:  # noqa: D102 (docstring inherited)
        folder = self._folder(handle)
        if folder is None:
            return JobStatus.UNKNOWN
        # In this order: a keeper has the lock before it shows its number, and has written how the job ended before it
        # lets go.
        pid = read_json(folder / PID)
        kept = processes.is_held(folder / LOCK)
        ended = read_json(folder / ENDED)
        if ended is not None:
            if ended["code"] == 0:
                return JobStatus.COMPLETED
            return JobStatus.CANCELED if ended["canceled"] else JobStatus.FAILED
        if pid is not None:
            return JobStatus.RUNNING if kept else JobStatus.LOST
        return JobStatus.SUBMITTING if kept or _age(folder) < _STARTING else JobStatus.LOST

    def cancel(self, handle: str) -> None:  # noqa: D102 (docstring inherited)
        folder = self._folder(handle)
        if folder is None or self.status(handle).final:
            return
        try:
            os.close(os.open(folder / CANCELED, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return  # it was told
        except OSError as error:
            raise TargetError(
                f"The job cannot be told to end: {error.strerror or error}", operation="cancel"
            ) from error
        pid = read_json(folder / PID)
        if pid is not None and processes.is_held(folder / LOCK):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def logs(self, handle: str, start: int = 0) -> bytes:  # noqa: D102 (docstring inherited)
        folder = self._folder(handle)
        if folder is None:
            raise NotFoundError(f"There is no job {handle!r} on this machine", key=handle, operation="logs")
        try:
            with (folder / LOG).open("rb") as file:
                file.seek(start)
                return file.read(_MOST)
        except FileNotFoundError:
            return b""

    @property
    def _jobs(self) -> Path:
        return (self._state or Places.of(os.environ).user_state) / "jobs"

    def _folder(self, handle: str) -> Path | None:
        """Return the folder of a job; None when there is none, or when the handle is no handle of ours."""
        host, _, token = handle.rpartition("/")
        if host != _host() or not _TOKEN.fullmatch(token):
            return None
        folder = self._jobs / token
        return folder if folder.is_dir() else None

    def _remove_old(self) -> None:
        with contextlib.suppress(OSError):
            for folder in self._jobs.iterdir():
                if _age(folder) > _KEPT and not processes.is_held(folder / LOCK):
                    shutil.rmtree(folder, ignore_errors=True)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", platform.node())


def _start_keeper(folder: Path, described: str) -> None:
    # -P: what lies in the current folder is not ours.
    command = [sys.executable, "-P", "-m", _KEEPER, str(folder)]
    with (folder / LOG).open("wb") as log:
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, creationflags=flags)
        else:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
    assert process.stdin is not None
    with process.stdin:
        process.stdin.write(described.encode())
    if sys.platform == "win32":
        process.returncode = 0  # it goes on without us: the interpreter must not complain about that
    elif process.wait():
        raise OSError(f"the process that keeps it ended with exit code {process.returncode}: see {folder / LOG}")


def _age(folder: Path) -> float:
    return time.time() - folder.stat().st_mtime
