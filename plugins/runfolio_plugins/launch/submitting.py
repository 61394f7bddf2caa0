"""A tracked run that executes elsewhere: begun here, with its source in the store, and gone on with by a job.

The run gets its record, its number and its snapshot here, then a job of the target, and is ``Queued`` from then on. The
job (`runfolio_plugins.launch.submitted`) goes on with it as another attempt. Nothing else travels: no file, no secret.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from runfolio.config import redact_argv, store_address
from runfolio.errors import ConfigurationError, NotFoundError, StorageError, TargetError
from runfolio.history import History
from runfolio.target import Job, JobStatus
from runfolio_plugins.launch.known_targets import open_target
from runfolio_plugins.launch.request import locate, refuse_wild_root
from runfolio_plugins.launch.source import files_of, take_snapshot

if TYPE_CHECKING:
    from runfolio import ActiveRun
    from runfolio.config import Settings
    from runfolio.run import Run
    from runfolio.target import Target
    from runfolio_plugins.launch.request import LaunchRequest, Located
    from runfolio_plugins.launch.story import Story

JOB: Final = "JobHandle"
"""The property that names the job of a run on its target."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 2.0
_ENDS: Final = {JobStatus.CANCELED: "Canceled"}


def submit(request: LaunchRequest, story: Story) -> tuple[str, Target, str, History]:
    """Begin a run and hand it to its target.

    Returns:
        The id of the run, the target, the handle of the job, and the open history.

    Raises:
        ConfigurationError: it can never run there: the message says why.
        TargetError: the target did not take the job. The run is recorded as Failed.
        StorageError: the source did not get into the store. The run is recorded as Failed.
    """
    located = locate(request)
    _refuse(request, located)
    target = open_target(request.target, located.settings)
    history = History(located.settings)
    try:
        run = _begin(history, located, story)
        try:
            handle = _send(history, run, target, located)
        except BaseException as error:
            run.finish("Failed", reason=f"it was not submitted: {error}"[:1000])
            raise
        run.set_properties({JOB: handle})
        run.hand_over(reason=f"job {handle} of the target {request.target}")
    except BaseException:
        history.close()
        raise
    return run.id, target, handle, history


def _refuse(request: LaunchRequest, located: Located) -> None:
    """Refuse what could only fail after the job has waited for its turn."""
    settings = located.settings
    refuse_wild_root(located)
    if request.in_place:
        raise ConfigurationError("A run on another target has no place here: leave --in-place out", key="in_place")
    if located.outside is not None:
        raise ConfigurationError(
            f"{located.outside} is not in the project {located.root}, so it would not get to the target", key="script"
        )
    if settings.snapshot_mode == "off" or settings.mode != "online":
        setting = "snapshot.mode" if settings.snapshot_mode == "off" else "mode"
        raise ConfigurationError(
            f"The source of a run gets to a target through the store, and the setting {setting} forbids that",
            key=setting,
        )
    if store_address(settings).scheme == "memory":
        raise ConfigurationError("Nobody else can reach a store in memory: configure another one", key="store")
    if redact_argv(list(request.arguments)) != list(request.arguments):
        raise ConfigurationError(
            "An argument of the script is a secret, and jobs are recorded and seen by others: let the script take it "
            "from where it runs",
            key="arguments",
        )


def _begin(history: History, located: Located, story: Story) -> ActiveRun:
    request = located.request
    snapshot = take_snapshot(history, located, files_of(located), story)
    if snapshot is None:
        raise ConfigurationError(
            f"The source of {located.root} could not be read, so it cannot be sent", key="snapshot"
        )
    if located.script is not None and located.script not in {entry.path for entry in snapshot.entries}:
        raise ConfigurationError(
            f"{located.script} is not a part of the source: an ignore file names it, or it is a secret or too large",
            key="script",
        )
    return history.start_run(
        experiment=request.experiment or (request.script if request.module else None),
        name=request.name,
        tags=request.tags,
        parent=os.environ.get("RUNFOLIO_RUN_ID"),
        system_metrics=False,
        note=request.note,
        script=located.shown,
        argv=request.arguments,
        target=request.target,
        properties={"Module": True} if request.module else {},
        snapshot=snapshot,
    )


def _send(history: History, run: ActiveRun, target: Target, located: Located) -> str:
    if not run.store_source():
        raise StorageError("The source of the run is not complete in the store, so no job was submitted", key=run.id)
    command = ("runfolio", "go-on", *_words(history.settings, located), run.id)
    return target.submit(Job(command=command, folder="", name=located.request.name or located.shown))


def _words(settings: Settings, located: Located) -> list[str]:
    """What the job must be told besides the id of the run: its record and its source have the rest."""
    address, request = store_address(settings), located.request
    words = ["--store", address.url, *(word for one in located.capture for word in ("--capture", one))]
    if address.options:
        words += ["--store-options", json.dumps(dict(address.options))]
    if address.single_writer:
        words.append("--single-writer")
    if request.python is not None:
        words += ["--python", request.python]
    if not settings.system_metrics or request.system_metrics is False:
        words.append("--no-system-metrics")
    return [*words, "--grace", f"{request.grace:g}"]


def job_of(run: Run) -> tuple[str, str] | None:
    """Return the target of a submitted run and the handle of its job there; None for any other run."""
    handle = run.record.properties.get(JOB)
    return (run.record.target, handle) if isinstance(handle, str) and run.record.target else None


def cancel_elsewhere(run: Run) -> bool | None:
    """Have the job of a submitted run told to end. One that has not begun is gone at once, and the run is Canceled.

    Returns:
        True when it was told; None when the run has no job, or its job has ended.

    Raises:
        ConfigurationError: its target is not configured here.
        TargetError: the target cannot be asked now.
    """
    found = job_of(run)
    if found is None:
        return None
    name, handle = found
    history = run._history  # noqa: SLF001 (a part of it)
    with open_target(name, history.settings) as target:
        if target.status(handle).final:
            return None
        target.cancel(handle)
        if run.refresh().status == JobStatus.QUEUED and target.status(handle) is JobStatus.CANCELED:
            settle(history, run.id, JobStatus.CANCELED, handle)
    return True


def follow(history: History, run_id: str, target: Target, handle: str) -> int:
    """Show what a job prints until it ends. Returns the exit code of the script.

    Ctrl-C cancels the run, and shows its end.
    """
    shown, pause, canceled = 0, _FIRST_PAUSE, False
    while True:
        try:
            status = target.status(handle)  # asked first: what is printed before the end is then in the log
            printed = _logs(target, handle, shown)
            if printed:
                sys.stdout.buffer.write(printed)
                sys.stdout.buffer.flush()
                shown, pause = shown + len(printed), _FIRST_PAUSE
            elif status.final or status is JobStatus.UNKNOWN:  # targets forget jobs some time after their end
                return settle(history, run_id, status, handle)
            else:
                time.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
        except TargetError as error:
            print(f"runfolio: {error}: asking again", file=sys.stderr, flush=True)  # noqa: T201 (shown on purpose)
            time.sleep(_LONGEST_PAUSE)
        except KeyboardInterrupt:
            if canceled:
                raise
            canceled = True
            print("runfolio: the run is canceled", file=sys.stderr, flush=True)  # noqa: T201
            target.cancel(handle)


def _logs(target: Target, handle: str, start: int) -> bytes:
    try:
        return target.logs(handle, start)
    except NotFoundError:
        return b""


def settle(history: History, run_id: str, status: JobStatus, handle: str) -> int:
    """Write down the end of a run whose job has ended, where the job itself could not.

    Returns:
        The exit code of the script; 1 where there is none.
    """
    run = history.run(run_id)
    if not run.record.ended and status is not JobStatus.COMPLETED:
        reason = f"its job {handle} ended as {status}, without an end of the run: see the log of the job"
        history.resume_run(run_id, reason="its job has ended", force=True).finish(
            _ENDS.get(status, "Failed"), reason=reason
        )
        run.refresh()
    ending = run.ending if run.record.ended else None
    if ending is None:
        print(f"runfolio: the end of {run_id} is not in the store yet", file=sys.stderr, flush=True)  # noqa: T201
        return 1
    if ending.exit_code is None:
        print(f"runfolio: {run.status}: {ending.reason}", file=sys.stderr, flush=True)  # noqa: T201
        return 1
    return ending.exit_code


def submit_and_show(request: LaunchRequest, *, detach: bool) -> int:
    """Submit a run, and show it on this process's stdout unless it is to be detached. Returns the exit code.

    Raises:
        ConfigurationError: it can never run there.
        TargetError: the target did not take the job.
        StorageError: the source did not get into the store.
    """
    from runfolio_plugins.launch.story import Story  # noqa: PLC0415 (loaded on use)

    story = Story(sys.stderr, show_warnings=False)
    story.listen()
    try:
        run_id, target, handle, history = submit(request, story)
    finally:
        story.close()
    with history, target:
        # In the foreground, the job prints the id of the run where it prints the rest.
        print(f"RunId: {run_id}", file=sys.stdout if detach else sys.stderr, flush=True)
        print(f"Job: {handle} on {request.target}", file=sys.stderr, flush=True)  # noqa: T201
        return 0 if detach else follow(history, run_id, target, handle)
