"""Jobs of a Ray cluster, by its Jobs API over HTTP (`Ray Jobs REST API`_). The package `ray` is not needed here.

A handle is the submission id, which is chosen here: whether a job was taken can be asked when its answer got lost.

.. _Ray Jobs REST API: https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Unpack, final

from runfolio.config import redact_environment
from runfolio.errors import ConfigurationError, NotFoundError, TargetError
from runfolio.ids import new_token
from runfolio.target import JobStatus, Target
from runfolio_plugins.clusters.job_script import job_script
from runfolio_plugins.clusters.ray_api import NoAnswerError, RayApi
from runfolio_plugins.clusters.ray_options import RayOptions, needs, of_job, ray_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runfolio.target import Job

_HANDLE: Final = re.compile(r"runfolio-[0-9a-f]{16}")
_GRACE: Final = 60
"""Seconds between SIGTERM and SIGKILL of a job that is stopped; Ray's own are 3, too few to store anything."""
_STATUSES: Final[Mapping[str, JobStatus]] = {
    "PENDING": JobStatus.QUEUED,
    "RUNNING": JobStatus.RUNNING,
    "STOPPED": JobStatus.CANCELED,
    "SUCCEEDED": JobStatus.COMPLETED,
    "FAILED": JobStatus.FAILED,
}
_LOST: Final = "JOB_SUPERVISOR_ACTOR_DIED"
"""The error of a job whose node is gone."""


@final
class RayTarget(Target):
    """Jobs of a Ray cluster, submitted to its head node.

    Args:
        options: see `runfolio_plugins.clusters.ray_options.RayOptions`.

    Raises:
        ConfigurationError: an option is unknown or wrong.
    """

    name = "ray"

    def __init__(self, **options: Unpack[RayOptions]) -> None:
        self._options = ray_options(options)
        self._api = RayApi(self._options.get("address"), self._options.get("ca"))

    def __reduce__(self) -> tuple[object, tuple[RayOptions]]:
        return _again, (self._options,)

    def submit(self, job: Job) -> str:  # noqa: D102 (docstring inherited)
        options = of_job(self._options, job.resources)
        job.require_folder()
        if redact_environment(dict(job.environment)) != dict(job.environment):
            raise ConfigurationError(
                "A variable of the job is a secret, and Ray shows the variables of jobs to everybody who reaches it: "
                "let the job take it from where it runs",
                key="environment",
            )
        handle = f"runfolio-{new_token()}"
        script = job_script(
            job, options.get("setup", ()), options.get("environment", {}), first=f"printf '%s%s\\n' 'begin ' {handle}"
        )
        request = {
            "entrypoint": f"{script}# end {handle}",
            "submission_id": handle,
            "metadata": {"name": job.name} if job.name else {},
            "runtime_env": {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(_GRACE)}},
            **needs(options),
        }
        try:
            status, answer = self._api.post("/api/jobs/", request)
        except NoAnswerError:
            if self._info(handle) is None:
                raise
            return handle
        if status != HTTPStatus.OK:
            raise self._api.refusal(status, answer, "submit")
        if self._api.document(answer, "submit").get("submission_id") != handle:
            raise TargetError(f"Ray at {self._api.address} did not take the job under its id", operation="submit")
        return handle

    def status(self, handle: str) -> JobStatus:  # noqa: D102 (docstring inherited)
        info = self._info(handle)
        if info is None:
            return JobStatus.UNKNOWN
        status = _STATUSES.get(str(info.get("status")), JobStatus.RUNNING)
        if status is JobStatus.FAILED and info.get("error_type") == _LOST:
            return JobStatus.LOST
        return status

    def cancel(self, handle: str) -> None:  # noqa: D102 (docstring inherited)
        status = self.status(handle)
        if status.final or status is JobStatus.UNKNOWN:
            return
        code, answer = self._api.post(f"/api/jobs/{handle}/stop", None)
        if code not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            raise self._api.refusal(code, answer, "cancel")

    def logs(self, handle: str, start: int = 0) -> bytes:  # noqa: D102 (docstring inherited)
        answer = None
        if _HANDLE.fullmatch(handle):
            code, answer = self._api.get(f"/api/jobs/{handle}/logs")
            if code not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
                raise self._api.refusal(code, answer, "logs")
            answer = answer if code == HTTPStatus.OK else None
        if answer is None:
            raise NotFoundError(f"There is no job {handle!r} on this cluster", key=handle, operation="logs")
        whole = str(self._api.document(answer, "logs").get("logs") or "").encode("utf-8", "surrogatepass")
        _, began, ours = _without_script(whole, handle).partition(f"begin {handle}\n".encode())
        if not began:  # the script was not started, and Ray may say why
            return whole[start:] if self.status(handle).final else b""
        return ours[start:]

    def _info(self, handle: str) -> Mapping[str, Any] | None:
        """What Ray knows of a job; None when it knows none."""
        if not _HANDLE.fullmatch(handle):
            return None
        code, answer = self._api.get(f"/api/jobs/{handle}")
        if code == HTTPStatus.NOT_FOUND:
            return None
        if code != HTTPStatus.OK:
            raise self._api.refusal(code, answer, "status")
        return self._api.document(answer, "status")


def _without_script(printed: bytes, handle: str) -> bytes:
    """Remove what Ray adds to the log: the script itself. It is written late, so it may stand between lines of the job.

    While only its beginning is there, what follows is left for the next look.
    """
    before, begun, rest = printed.partition(f"Running entrypoint for job {handle}: ".encode())
    if not begun:
        return printed
    _, _, after = rest.partition(f"# end {handle}\n".encode())
    return before + after


def _again(options: RayOptions) -> RayTarget:
    return RayTarget(**options)
