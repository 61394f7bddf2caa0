"""The process that stands between a job and the world: ``python -m runfolio_plugins.launch.job_keeper FOLDER``.

It starts the command that stdin describes, passes a request to end on to it, and writes down in the folder how it
ended. It holds the lock of the folder while it lives, so everybody can see whether the job still runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from runfolio_plugins.launch import processes
from runfolio_plugins.launch.json_files import write_json

LOCK: Final = "lock"
LOG: Final = "log"
PID: Final = "pid.json"
CANCELED: Final = "canceled"
"""Its presence says that somebody asked the job to end."""
ENDED: Final = "ended.json"
NOT_STARTED: Final = 127
GRACE: Final = 60.0
"""Seconds that a command has to end by itself. `runfolio run` ends its script sooner, and then stores what there is."""


class JobKeeper:
    """Keeps one job.

    Args:
        folder: of the job.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False
        self._told = False
        self._until = float("inf")

    def keep(self, command: list[str], folder: str, environment: dict[str, str]) -> int:
        """Execute the command. Returns its exit code."""
        for number in processes.CANCELING:
            signal.signal(number, lambda number, _: self._end(number))
        write_json(self._folder / PID, os.getpid())
        code = self._execute(command, folder, environment)
        write_json(self._folder / ENDED, {"code": code, "canceled": self._canceled()})
        return code

    def _canceled(self) -> bool:
        return self._asked or (self._folder / CANCELED).exists()

    def _execute(self, command: list[str], folder: str, environment: dict[str, str]) -> int:
        if self._canceled():
            return NOT_STARTED
        try:
            self._process = processes.start(
                command,
                folder=Path(folder),
                environment={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=1,
                stderr=2,
            )
        except OSError as error:
            print(f"{command[0]} cannot be started: {error.strerror or error}", file=sys.stderr, flush=True)  # noqa: T201 (the log of the job)
            return NOT_STARTED
        if self._canceled() and not self._told:
            self._end(signal.SIGTERM)  # asked for before there was a process to tell
        while True:
            try:
                return processes.exit_code(self._process.wait(1.0))
            except subprocess.TimeoutExpired:
                if time.monotonic() > self._until:
                    processes.kill_group(self._process)

    def _end(self, number: int) -> None:
        self._asked = True
        if self._process is not None and not self._told:
            self._told = True
            self._until = time.monotonic() + GRACE
            processes.signal_group(self._process, number)


def main(folder: Path) -> int:
    """Keep the job of a folder. The process that was started is back at once; a child of it does the work."""
    job: dict[str, Any] = json.load(sys.stdin)
    lock = processes.hold(folder / LOCK)
    while lock is None:  # somebody looks whether there is a keeper, and lets go at once
        time.sleep(0.001)
        lock = processes.hold(folder / LOCK)
    if hasattr(os, "fork") and os.fork():
        os._exit(0)  # the child has the lock too: whoever started us need not wait for it
    return JobKeeper(folder).keep(job["command"], job["folder"], job["environment"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
