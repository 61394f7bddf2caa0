"""The seam to places where tracked runs execute: a `Target` takes jobs and knows nothing of what they compute.

Third parties subclass `Target` and register it with the hook ``runfolio_register_targets``. The rules below are the
contract; `runfolio.testing.conformance.TargetConformance` checks each of them.

Jobs
    A job is a command, usually ``runfolio run …``, in the folder of a project. The command itself records the run in
    the store; the target starts it, watches it and can end it. Its arguments reach it as they are: no shell is between.
Handles
    `submit` returns a text that names the job from then on. It goes into records and is used by other processes, later:
    it must not depend on the process that submitted the job, nor on the object that did.
Statuses
    only go forward, and a final one stays (`JobStatus`). One step back is allowed: a target that starts a job again
    whose machine was lost shows it as Queued. They speak of the job; how the *run* ended is in its record.
Configuration
    What ``[targets.NAME]`` says arrives as keyword arguments of the constructor, which checks them
    (ConfigurationError). An `address` that a project's file names is used only after the user approved it. Secrets come
    from the environment.
Threads and processes
    Methods may be called from several threads at once. A target is pickled as its constructor arguments.
Laziness
    Constructors do no I/O and start no threads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from runfolio.errors import ConfigurationError


class JobStatus(StrEnum):
    """Where a job stands. The words are those of runs."""

    SUBMITTING = "Submitting"
    """Handed over; the target has not answered yet."""
    QUEUED = "Queued"
    """Accepted, and waiting for its turn."""
    RUNNING = "Running"
    COMPLETED = "Completed"
    """The command returned 0."""
    FAILED = "Failed"
    """The command returned something else, or could not be started."""
    CANCELED = "Canceled"
    """It ended because somebody asked for it."""
    LOST = "Lost"
    """It is gone and nobody knows how it ended: the machine was switched off, the job was killed from outside."""
    UNKNOWN = "Unknown"
    """The target knows no such job, or not any more."""

    @property
    def final(self) -> bool:
        """Whether nothing comes after it."""
        return self in _FINAL


_FINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a job needs. None leaves it to the target.

    Attributes:
        cpus: processor cores.
        gpus: graphics processors.
        memory: bytes of main memory.
        seconds: how long it may take.
        options: what only this target knows, for example a partition or an image. An unknown one is refused.
    """

    cpus: float | None = None
    gpus: float | None = None
    memory: int | None = None
    seconds: float | None = None
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to execute. Plain values: it can be pickled, and written as JSON.

    Attributes:
        command: the program and its arguments.
        folder: the project on the machine that submits: an absolute path, and the current folder of the command. A
            target that runs elsewhere takes a copy before `submit` returns, or needs the folder under the same path
            there. Empty for a command that needs none, as it brings its source itself: it starts anywhere.
        environment: variables set for the command, besides those that the target gives every job. They may hold
            secrets: a target shows them to nobody.
        name: for people, where the target shows its jobs.
        resources: what it needs.
    """

    command: tuple[str, ...]
    folder: str
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    resources: Resources = field(default_factory=Resources)

    def require_folder(self) -> None:
        """Make sure that the folder is there, if the command needs one: a `Target.submit` looks first.

        Raises:
            ConfigurationError: there is no such folder.
        """
        if self.folder and not Path(self.folder).is_dir():
            raise ConfigurationError(f"There is no folder {self.folder} to run in", key=self.folder)


class Target(ABC):
    """A place where jobs run: four methods to implement."""

    name: str
    """Short name, the one of ``runfolio run --target``."""

    @abstractmethod
    def submit(self, job: Job) -> str:
        """Hand over a job and return its handle, without waiting for the job.

        Returns:
            A printable text of at most 500 characters.

        Raises:
            ConfigurationError: the target can never run this job: an unknown option, no such folder, too much.
            TargetError: the target failed, or cannot be reached; the job was not accepted.
        """

    @abstractmethod
    def status(self, handle: str) -> JobStatus:
        """Return where a job stands.

        Raises:
            TargetError: the target cannot be asked now.
        """

    @abstractmethod
    def cancel(self, handle: str) -> None:
        """Ask a job to end, and return at once.

        The command is told first (SIGTERM or what corresponds to it) and has time to end its run; then it is ended.
        Harmless for a job that has ended or is unknown, and when it is asked twice.

        Raises:
            TargetError: the target cannot be asked now.
        """

    @abstractmethod
    def logs(self, handle: str, start: int = 0) -> bytes:
        """Return what the command has printed so far (stdout and stderr, as they came), from byte `start` on.

        Empty when there is nothing more yet. One call may return only a part of what there is: the next one starts
        where it ends. These are the job's own lines; what the script printed is also among the artifacts of the run.

        Raises:
            NotFoundError: there is no such job, or its log is not kept any more.
            TargetError: the target cannot be asked now.
        """

    def close(self) -> None:  # noqa: B027 (most targets hold nothing open)
        """Release connections. Calling it twice is harmless; the target may be used again afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
