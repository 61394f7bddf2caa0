"""The current run of this process, for scripts that do not want to pass a run around.

`get_logger` is the only place in the core that touches the process: for a run that it started itself in the main
thread it chains the exception hook, SIGTERM and the exit, so that the run ends with the right status. Nothing here
runs for an explicit `open_history`.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
import traceback as tracebacks
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from runfolio.active_run import ActiveRun
    from runfolio.history import History

_INTERRUPTED: Final = 130
RUN_ID: Final = "RUNFOLIO_RUN_ID"
"""Environment variable of a tracked script and its children: the run they belong to."""
_WORKERS_RUN_ID: Final = "RUNFOLIO_WORKERS_RUN_ID"
"""The same for workers of `multiprocessing` only: the run that `get_logger` started in their parent."""

_log: Final = logging.getLogger(__name__)
_lock: Final = threading.RLock()
_runs: list[ActiveRun] = []
_histories: dict[str | None, History] = {}


def current_run() -> ActiveRun | None:
    """Return the run that this process is writing, or None.

    It is the newest one that `start_run` or `get_logger` gave and that has not ended.
    """
    with _lock:
        while _runs and _runs[-1].finished:
            _runs.pop()
        return _runs[-1] if _runs else None


def get_logger() -> ActiveRun:
    """Return the run to log to, from anywhere in a script, as often as wanted.

    In a script that ``runfolio run`` started, this is the tracked run. Otherwise it is the run that `start_run` gave
    last; and if there is none, one is started for this process, which a line on stderr says once. That run ends with
    the process: Completed, Failed when an exception ended the script, Canceled on Ctrl-C or SIGTERM.
    """
    with _lock:
        run = current_run()
        if run is not None:
            return run
        tracked = os.environ.get(RUN_ID) or (os.environ.get(_WORKERS_RUN_ID) if _is_worker() else None)
        if tracked:
            run = _history().attach(tracked, writer="script")
        else:
            run = _history().start_run(**_script())
            _say_where(run)
            os.environ[_WORKERS_RUN_ID] = run.id
        _runs.append(run)
        _Ending(run).install()
        return run


def start_run(
    project: str | None = None,
    experiment: str | None = None,
    name: str | None = None,
    tags: Iterable[str] = (),
    params: Mapping[str, Any] | None = None,
    parent: str | None = None,
    system_metrics: bool | None = None,
    *,
    note: str | None = None,
    store: str | None = None,
) -> ActiveRun:
    """Start a run in the configured store and make it the current one.

    Use it as a context manager, or call its `finish`.

    Args:
        project: the project; by default the one that the current folder belongs to.
        experiment: what groups runs within a project; by default the script's name.
        name: a name for people.
        tags: words to find it by.
        params: what goes in, nested or flat. ``vars(args)`` is welcome.
        parent: id of the run that this one is a part of; by default the tracked run this process belongs to, if any.
        system_metrics: whether to sample CPU, memory and the like; by default as configured.
        note: a text about the run.
        store: a URL, a path or the name of a configured store; by default as configured.

    Raises:
        ConfigurationError: the configuration is wrong, or names a store that nobody approved.
        InvalidNameError: a name is not allowed.
    """
    script = _script()
    run = _history(store).start_run(
        project,
        experiment,
        name,
        tags,
        params,
        parent or os.environ.get(RUN_ID),
        system_metrics,
        note=note,
        **script,
    )
    with _lock:
        _runs.append(run)
    return run


def attach(run_id: str, writer: str = "writer") -> ActiveRun:
    """Write to an existing run as an additional writer: another rank, host or process.

    Args:
        run_id: the id of the run.
        writer: a word for people, for example ``"rank1"``. Two writers of one name do not disturb each other.
    """
    return _history().attach(run_id, writer=writer)


def resume_run(run_id: str, at_step: int | None = None, *, force: bool = False) -> ActiveRun:
    """Go on with a run that has ended or was lost, as a new attempt. Makes it the current run.

    What a process of this machine that was killed had logged is sent first. In a tracked script that is run again
    (``--retries``, or in a sweep) and goes on from a checkpoint, the run is its own, ``RUNFOLIO_RUN_ID``; call it
    before anything is logged.

    Args:
        run_id: the id of the run.
        at_step: where the new attempt goes on; what the earlier ones logged from this step on is hidden when read.
            Nothing is rewritten.
        force: also when the run still counts as running, as one does for some minutes after the machine of its process
            was lost. What that process logs from then on belongs to the earlier attempt.

    Raises:
        RunNotFoundError: no such run.
        RunStateError: the run is still live, or was deleted; or it is this script's, and something was logged already.
    """
    if os.environ.get(RUN_ID) == run_id:
        return _go_back(run_id, at_step)
    run = _history().resume_run(run_id, at_step=at_step, force=force)
    with _lock:
        _runs.append(run)
    return run


def _go_back(run_id: str, at_step: int | None) -> ActiveRun:
    """Go on with the tracked run of this script, whose launcher has begun the attempt."""
    from runfolio.errors import RunfolioError, RunStateError  # noqa: PLC0415 (loaded on use)
    from runfolio.recording.starting import go_back  # noqa: PLC0415

    running = current_run()
    if running is not None and running.id == run_id:
        raise RunStateError(f"This script logs to run {run_id} already: call resume_run before get_logger", key=run_id)
    if at_step is not None:
        try:
            go_back(_history(), run_id, at_step)
        except (RunfolioError, OSError) as error:
            _log.warning("runfolio: what run %s logged from step %s on stays visible: %s", run_id, at_step, error)
    return get_logger()


def _history(store: str | None = None) -> History:
    from runfolio.history import open_history  # noqa: PLC0415 (loaded on use)

    with _lock:
        if store not in _histories:
            _histories[store] = open_history(store)
        return _histories[store]


def _say_where(run: ActiveRun) -> None:
    """Print the one line that says where the data goes."""
    number = f" (#{run.number})" if run.number else ""
    history = run._history  # noqa: SLF001 (the same subject)
    mode = history.settings.mode
    where = {"offline": "the local spool, until `runfolio sync`", "disabled": "no store: recording is off"}
    print(f"runfolio: logging to run {run.id}{number} in {where.get(mode, history.url)}", file=sys.stderr)  # noqa: T201 (said on purpose)


def _is_worker() -> bool:
    """Whether this process was started by `multiprocessing`."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    return multiprocessing is not None and multiprocessing.parent_process() is not None


def _script() -> dict[str, Any]:
    """Script and arguments of this process, as the record names them."""
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    if path == "<stdin>":
        path = None
    return {"script": str(Path(path).resolve()) if path else None, "argv": sys.argv[1:] if path else []}


class _Ending:
    """Ends a run with its process."""

    def __init__(self, run: ActiveRun) -> None:
        self.run = run
        self.pid = os.getpid()
        self.failure: tuple[str, str | None, int | None, str | None] | None = None

    def install(self) -> None:
        atexit.register(self.at_exit)
        if _is_worker():
            # Workers leave by os._exit: this is the one door they pass.
            sys.modules["multiprocessing.util"].Finalize(None, self.at_exit, exitpriority=10)
        if threading.current_thread() is not threading.main_thread():
            return
        self.excepthook = sys.excepthook
        sys.excepthook = self.on_exception
        self.on_sigterm = signal.getsignal(signal.SIGTERM)
        if self.on_sigterm is not signal.SIG_IGN and self.on_sigterm is not None:
            signal.signal(signal.SIGTERM, self.on_signal)

    def on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        from runfolio.active_run import outcome  # noqa: PLC0415 (loaded by now)

        if hasattr(sys, "ps1"):  # at a prompt, where an exception ends a statement and not the process
            self.excepthook(kind, error, trace)
            return
        status, reason, code = outcome(error)
        text = "".join(tracebacks.format_exception(kind, error, trace)) if status == "Failed" else None
        self.failure = (status, reason, code, text)
        self.excepthook(kind, error, trace)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self.pid:
            self.run.finish("Canceled", reason="SIGTERM", exit_code=128 + number)
        if callable(self.on_sigterm):
            self.on_sigterm(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def at_exit(self) -> None:
        if os.getpid() != self.pid:
            return
        status, reason, code, text = self.failure or ("Completed", None, None, None)
        try:
            self.run.finish(status, reason=reason, exit_code=code, traceback=text)
        except KeyboardInterrupt:  # the user does not want to wait for the last upload
            code = _INTERRUPTED
        if os.environ.get(_WORKERS_RUN_ID) == self.run.id and not _is_worker():
            del os.environ[_WORKERS_RUN_ID]
        if code == _INTERRUPTED:
            _mark_interrupted()


def _mark_interrupted() -> None:
    """Have the interpreter leave by SIGINT, as it does after an unhandled Ctrl-C.

    It remembers that in a flag which any later `exec` of a text clears, and modules that were loaded to end the run
    may do that.
    """
    with contextlib.suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")  # noqa: S102 (a constant; only this sets the flag again)
