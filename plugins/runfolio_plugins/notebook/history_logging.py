"""Runs that begin and end with a notebook: one for the session, or one for each cell that is executed."""

from __future__ import annotations

import atexit
import os
import traceback as tracebacks
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, Literal
from weakref import WeakKeyDictionary

import runfolio
from runfolio.active_run import outcome

if TYPE_CHECKING:
    from types import TracebackType

    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

    from runfolio.active_run import ActiveRun

Per = Literal["session", "cell"]

_OURS: Final = ("%load_ext ", "%reload_ext ", "%runfolio ", "%azureml history ", "#")
"""Lines that do nothing which a run could be about."""
_UNNAMED: Final = "notebook"


class HistoryLogging:
    """Whether cells are recorded, and the run that they are recorded in. Off at first.

    While it is on, `runfolio.get_logger` and `runfolio.current_run` give its run.

    Attributes:
        per: what a run is: a whole session, or one execution of a cell; None while it is off.
        run: the run of now, or the last one.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.per: Per | None = None
        self.run: ActiveRun | None = None
        self._shell = shell
        self._experiment: str | None = None
        shell.events.register("pre_run_cell", self._before_cell)
        shell.events.register("post_run_cell", self._after_cell)
        atexit.register(self._at_exit, os.getpid())

    def on(self, per: Per = "session", experiment: str | None = None) -> None:
        """Record from now on: this very session, or each cell from the next one on.

        A run that is open ends when this changes something.

        Args:
            per: what a run is.
            experiment: its experiment; by default the name of the notebook.
        """
        if (per, experiment) == (self.per, self._experiment):
            return
        self.off()
        self._experiment = experiment
        if per == "session":
            self.run = self._start(None)
        self.per = per

    def off(self) -> None:
        """End the run, if one is open, and record no more."""
        self.per = None
        if self.run is not None:
            self.run.finish()

    def _start(self, cell: int | None) -> ActiveRun:
        notebook = notebook_path(self._shell)
        run = runfolio.start_run(
            experiment=self._experiment or (PurePath(notebook).name if notebook else _UNNAMED),
            name=None if cell is None else f"cell {cell}",
        )
        run.set_properties({**({"Notebook": notebook} if notebook else {}), **({} if cell is None else {"Cell": cell})})
        return run

    def _before_cell(self, info: ExecutionInfo) -> None:
        if self.per == "cell" and _does_something(info.raw_cell):
            self.run = self._start(self._shell.execution_count)

    def _after_cell(self, result: ExecutionResult) -> None:
        if self.per != "cell" or self.run is None or self.run.finished:
            return
        error = result.error_before_exec or result.error_in_exec
        status, reason, _ = outcome(error)
        text = None
        if error is not None and status == "Failed":
            text = "".join(tracebacks.format_exception(type(error), error, _of_the_cell(error.__traceback__)))
        self.run.finish(status, reason=reason, traceback=text)

    def _at_exit(self, pid: int) -> None:
        if os.getpid() == pid:
            self.off()


_of_shells: Final[WeakKeyDictionary[InteractiveShell, HistoryLogging]] = WeakKeyDictionary()


def logging_of(shell: InteractiveShell) -> HistoryLogging:
    """Return the one of a shell, however often its magics are loaded and under whatever name."""
    found = _of_shells.get(shell)
    if found is None:
        found = _of_shells[shell] = HistoryLogging(shell)
    return found


def notebook_path(shell: InteractiveShell) -> str | None:
    """Return the path of the notebook, where the program that shows it says so: Jupyter and VS Code do."""
    told = os.environ.get("JPY_SESSION_NAME") or shell.user_ns.get("__vsc_ipynb_file__")
    return str(told) if told else None


def _does_something(cell: str | None) -> bool:
    lines = (line.strip() for line in (cell or "").splitlines())
    return any(line and not line.startswith(_OURS) for line in lines)


def _of_the_cell(trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that is the user's own: without the frames of IPython that executed the cell."""
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("IPython."):
        trace = trace.tb_next
    return trace
