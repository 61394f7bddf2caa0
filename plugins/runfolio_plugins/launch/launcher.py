"""A tracked run from its beginning to its end: record, working copy, script, capture, farewell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runfolio.config import redact_argv
from runfolio.environment import machine_properties
from runfolio.errors import RunfolioError
from runfolio.history import History
from runfolio.recording.snapshots import snapshot_of
from runfolio.snapshot import OUTPUTS
from runfolio_plugins.launch import farewell, processes
from runfolio_plugins.launch.capture import states_of_outputs
from runfolio_plugins.launch.mailbox import VARIABLE, Mailbox
from runfolio_plugins.launch.requests import Desk
from runfolio_plugins.launch.source import differing, files_of, open_source, take_snapshot
from runfolio_plugins.launch.storing import Capturer, LogSender
from runfolio_plugins.launch.streaming import OutputLog, open_channels
from runfolio_plugins.launch.supervision import Ending, Interrupts, supervise
from runfolio_plugins.launch.working_copy import WorkingCopy, changed_files, copy_of_source, make_copy
from runfolio_plugins.launch.workspace import Kept, RunFolder, due, folder_of, share_folder, working_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from runfolio import ActiveRun
    from runfolio.plugins import Plugins
    from runfolio.snapshot import ProjectFiles, Snapshot
    from runfolio.snapshot.reading import StoredSource
    from runfolio_plugins.launch.farewell import Farewell
    from runfolio_plugins.launch.request import LaunchRequest, Located
    from runfolio_plugins.launch.story import Story

_SHIM: Final = Path(__file__).parents[1] / "azureml_compat" / "shim"
"""Holds the package ``azureml`` for scripts of Azure ML Workbench."""
BEGINNING: Final = "Executing user inputs ....."
"""The line after which everything is the script's."""
TIMED_OUT: Final = 124
"""Exit code of a run whose time was over, as of the command `timeout`."""
_MANY_FILES: Final = 50_000
_MANY_BYTES: Final = 2 * 1024**3
_SHOWN: Final = 10
_RECORDED: Final = 64


@dataclass(slots=True)
class Screen:
    """Where a launch shows itself.

    Attributes:
        stdout: descriptor for the script's stdout; None shows nothing.
        stderr: likewise.
        say: prints a line of our own among the script's output.
        begun: told the id of the run.
    """

    stdout: int | None
    stderr: int | None
    say: Callable[[str], None]
    begun: Callable[[str], object] = field(default=lambda _: None)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source that was fixed before the run, so that several runs have the same.

    Attributes:
        files: what the project consists of.
        snapshot: returns its snapshot for one more run.
    """

    files: ProjectFiles
    snapshot: Callable[[History], Snapshot | None]


def launch(
    located: Located,
    screen: Screen,
    story: Story,
    *,
    plugins: Plugins | None = None,
    prepared: Prepared | None = None,
) -> int:
    """Execute a tracked run on this machine.

    Args:
        located: what to run.
        screen: where to show it.
        story: becomes the control log.
        plugins: the plugins to use; by default all installed ones.
        prepared: its source; None: the project as it is, or what the request says.

    Returns:
        The exit code of the script; 128 plus the number of the signal that ended it.

    Raises:
        RunfolioError: the run could not begin, because of the configuration. Storage that does not answer is no reason.
    """
    request = located.request
    with ExitStack() as stack:
        interrupts = stack.enter_context(
            Interrupts(story.tell, story.show, grace=request.grace, time_limit=request.time_limit)
        )
        history = stack.enter_context(History(located.settings, plugins=plugins))
        _clean_up(located, story)
        files = prepared.files if prepared is not None else files_of(located)
        source = open_source(history, located)
        if source is not None:
            stack.enter_context(source)
            snapshot: Snapshot | None = snapshot_of(history, source) if request.resume is None else None
        elif prepared is not None:
            snapshot = prepared.snapshot(history)
        else:
            snapshot = take_snapshot(history, located, files, story)
        run = _start(history, located, story, snapshot)
        launched = _Launch(history, run, located, screen, story, interrupts)
        return launched.execute(files, snapshot, source)


def _start(history: History, located: Located, story: Story, snapshot: Snapshot | None) -> ActiveRun:
    request = located.request
    if request.resume is not None:
        return _go_on(history, request, story)
    properties: dict[str, Any] = {**request.properties}
    if request.python is not None:
        properties["PythonExecutable"] = Path(located.python).name
    if request.module:
        properties["Module"] = True
    if request.source is not None:
        properties["RerunOf"] = request.source
    run = history.start_run(
        experiment=request.experiment or (request.script if request.module else None),
        name=request.name,
        tags=request.tags,
        parent=os.environ.get("RUNFOLIO_RUN_ID"),
        system_metrics=request.system_metrics,
        note=request.note,
        script=located.shown,
        argv=request.arguments,
        target=request.target,
        properties=properties,
        snapshot=snapshot,
    )
    # Not at the start: a script that names its own params alike would be told that they cannot change.
    run.params.update(request.params)
    story.tell(f"run {run.id} begins in {history.url}")
    story.tell(f"project {located.root}, script {located.shown}, arguments {redact_argv(list(request.arguments))}")
    return run


def _go_on(history: History, request: LaunchRequest, story: Story) -> ActiveRun:
    """Begin another attempt at a run."""
    elsewhere = request.source == request.resume
    run = history.resume_run(str(request.resume), reason=request.reason, force=elsewhere)
    if elsewhere:
        run.set_properties(machine_properties())
    story.tell(f"run {run.id} goes on here in another attempt, in {history.url}: {request.reason}")
    return run


def _clean_up(located: Located, story: Story) -> None:
    try:
        for folder in due(located.settings):
            if folder.remove():
                story.tell(f"the kept folder {folder.path} was removed: its time is over")
    except OSError as error:
        story.tell(f"kept folders could not be looked through: {error}")


class _Launch:
    """One run on its way."""

    def __init__(
        self,
        history: History,
        run: ActiveRun,
        located: Located,
        screen: Screen,
        story: Story,
        interrupts: Interrupts,
    ) -> None:
        self.history = history
        self.run = run
        self.located = located
        self.screen = screen
        self.story = story
        self.interrupts = interrupts
        self.folder: RunFolder | None = None

    def execute(self, files: ProjectFiles, snapshot: Snapshot | None, source: StoredSource | None) -> int:
        """Do it all, with what the project consists of and the snapshot that was taken of it."""
        self.screen.begun(self.run.id)
        self.screen.say(f"RunId: {self.run.id}\n")
        try:
            folder = self._make_folder()
            root, copy = self._prepare(folder, files, source)
            if snapshot is not None and copy is not None:
                self._compare(snapshot, copy)
            command = self.located.command(root, folder.report)
        except BaseException as error:
            self._give_up(error)
            if self.folder is not None:
                self.folder.remove()
            raise
        try:
            return self._execute_attempts(command, root, folder, copy)
        except BaseException as error:
            # Our own failure: the script's files stay where they are.
            self._give_up(error)
            raise

    def _execute_attempts(self, command: list[str], root: Path, folder: RunFolder, copy: WorkingCopy | None) -> int:
        """Run the script until it succeeds, or may not be tried again: in the same folder, with what it left there."""
        left = self.located.request.retries
        while True:
            capturer, log = self._capturer(root, copy), OutputLog(folder.driver_log)
            ending = self._attend(command, root, folder, log, capturer)
            if log.failed is not None:
                self.story.warn(f"the log of the script's output is incomplete: {log.failed}")
            found, outcome = self._farewell(folder, copy), self._outcome(ending, folder)
            if not self._store(found, capturer, outcome, folder):
                return processes.exit_code(-(self.interrupts.canceled_by or 2)) if ending is None else outcome.exit_code
            if outcome.status != "Failed" or not left or not self._begin_attempt(outcome, left, folder):
                self._leave(found, folder)
                return outcome.exit_code
            left -= 1

    def _begin_attempt(self, outcome: farewell.Outcome, left: int, folder: RunFolder) -> bool:
        """Begin another attempt after one that failed; False when there can be none."""
        if self.interrupts.asked:
            return False
        try:
            self.run = self.history.resume_run(self.run.id, reason=f"retry: {outcome.reason}"[:1000])
        except (RunfolioError, OSError) as error:
            self.story.warn(f"the script is not tried again, since the store cannot record it: {error}")
            return False
        more = "once" if left == 1 else f"up to {left} times"
        self.story.tell(f"another attempt of run {self.run.id} begins")
        self.story.show(f"runfolio: the script failed ({outcome.reason}) and is tried again, {more}")
        folder.report.unlink(missing_ok=True)
        shutil.rmtree(folder.requests)
        return True

    def _capturer(self, root: Path, copy: WorkingCopy | None) -> Capturer:
        folders = self.located.capture
        if copy is not None:
            return Capturer(self.run, root, folders=folders, baseline=copy.baseline)
        return Capturer(self.run, root, folders=folders, known=states_of_outputs(root, folders))

    def _attend(
        self, command: list[str], root: Path, folder: RunFolder, log: OutputLog, capturer: Capturer
    ) -> Ending | None:
        """Run the script with all that listens to it while it lasts."""
        logs = LogSender(self.run, self._logs(folder), self.story)
        with ExitStack() as stack:
            stack.callback(log.close)
            mailbox = Mailbox(folder.requests)
            stack.callback(mailbox.close)
            desk = Desk(self.run, capturer, mailbox, logs.also, self.story.tell)
            logs.start()
            stack.callback(logs.stop)
            ending = self._execute_script(command, root, folder, log, desk)
            desk.close()
            return ending

    def _farewell(self, folder: RunFolder, copy: WorkingCopy | None) -> Farewell:
        return farewell.Farewell(
            run=self.run,
            located=self.located,
            story=self.story,
            screen=self.screen,
            folder=folder,
            left_behind=changed_files(copy, apart_from=self.located.capture) if copy is not None else [],
            copied=copy is not None,
        )

    # Before

    def _make_folder(self) -> RunFolder:
        folder = folder_of(working_folder(self.located.settings), self.run.id)
        folder.make()
        self.folder = folder
        self.story.write_to(folder.control_log)
        return folder

    def _prepare(
        self, folder: RunFolder, plan: ProjectFiles, source: StoredSource | None
    ) -> tuple[Path, WorkingCopy | None]:
        """Make the place in which the script runs."""
        if source is not None:
            copy = copy_of_source(source, plan, folder.copy_of(self.located.root))
            self.story.tell(f"working copy {copy.root}: the source {source.commit} of run {source.run_id}")
            return copy.root, copy
        if self.located.request.in_place:
            (self.located.root / OUTPUTS).mkdir(exist_ok=True)
            self.story.tell(f"the script runs in the project itself, {self.located.root}")
            return self.located.root, None
        began = time.monotonic()
        if len(plan.files) > _MANY_FILES or plan.bytes > _MANY_BYTES:
            self.story.warn(
                f"{len(plan.files):,} files of {plan.bytes / 1e6:,.0f} MB are copied for a run: name data folders in "
                f".runfolioignore, and they are linked instead"
            )
        copy = make_copy(plan, folder.copy_of(self.located.root))
        how = "sharing their blocks with the project" if copy.shared else "copied"
        self.story.tell(
            f"working copy {copy.root}: {len(plan.files):,} files, {plan.bytes:,} bytes, {how}; "
            f"{len(plan.reachable):,} ignored ones linked; {time.monotonic() - began:.3f} s"
        )
        for path in plan.reachable[:_SHOWN]:
            self.story.tell(f"  linked to the original: {path}")
        for path, reason in copy.left_out:
            self.story.tell(f"  left out: {path}: {reason}")
        return copy.root, copy

    def _compare(self, snapshot: Snapshot, copy: WorkingCopy) -> None:
        changed = differing(snapshot, copy)
        if changed:
            self.run.set_properties({"SnapshotDiffers": changed[:_RECORDED]})
            self.story.warn(
                f"edited while the run began, so that what runs is not what is stored: {', '.join(changed[:_SHOWN])}"
            )

    def _give_up(self, error: BaseException) -> None:
        """We cannot go on: the run ends with that as the reason. One that has ended already stays as it is."""
        canceled = self.interrupts.canceled_by is not None
        self.story.tell(f"the launcher gives up: {error!r}")
        self.run.finish("Canceled" if canceled else "Failed", reason=f"the launcher failed: {error}"[:1000])

    def _environment(self, folder: RunFolder) -> dict[str, str]:
        environment = {**os.environ, **self.run.child_environment()}
        environment.setdefault("PYTHONUNBUFFERED", "1")
        environment[VARIABLE] = str(folder.requests)
        if _SHIM.is_dir():
            # Behind what the user put there; a real package of that name adds its parts (see the shim).
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(_SHIM)]))
        try:
            share = share_folder(self.located.settings, self.located.settings.project)
        except OSError as error:
            self.story.warn(f"there is no shared folder for the project: {error}")
        else:
            # Scripts add file names to it with "+": it ends with a separator.
            for name in ("AZUREML_NATIVE_SHARE_DIRECTORY", "RUNFOLIO_SHARE_DIRECTORY"):
                environment[name] = f"{share}{os.sep}"
        return environment

    def _logs(self, folder: RunFolder) -> list[tuple[Path, str]]:
        return [(folder.driver_log, "logs/driver_log.txt"), (folder.control_log, "logs/control_log.txt")]

    # The script

    def _execute_script(
        self, command: list[str], root: Path, folder: RunFolder, log: OutputLog, desk: Desk
    ) -> Ending | None:
        """Run the script to its end; None when a signal came before it could begin."""
        self.screen.say(f"{BEGINNING}\n===========================\n")
        if self.interrupts.canceled_by is not None:
            return None
        channels = open_channels(self.screen.stdout, self.screen.stderr)
        began = time.monotonic()
        self.story.tell(f"command: {redact_argv(command)}")
        try:
            process = processes.start(
                command,
                folder=root,
                environment=self._environment(folder),
                stdin=None,
                stdout=channels.stdout,
                stderr=channels.stderr,
            )
        except OSError as error:
            message = f"{self.located.shown} cannot be started: {error.strerror or error}\n"
            log.write(message.encode())
            self.story.show(message.rstrip("\n"))
            channels.close_ends()
            for source in channels.sources:
                source.close()
            return Ending(returncode=126 if isinstance(error, PermissionError) else 127, left_running=False)
        channels.close_ends()
        self.story.tell(f"process {process.pid} started")
        self.interrupts.watch(process)
        try:
            ending = supervise(
                process,
                channels.sources,
                log,
                self.interrupts,
                requests_fd=desk.wake_fd,
                on_request=desk.answer_all,
            )
        except BaseException:
            processes.kill_group(process)
            process.wait()
            raise
        finally:
            for source in channels.sources:
                source.close()
        self.story.tell(
            f"process {process.pid} ended after {time.monotonic() - began:.3f} s: {describe(ending.returncode)}"
        )
        if ending.left_running:
            self.story.warn(
                "processes that the script started are still running; what they print or write now is not recorded"
            )
        return ending

    # After

    def _store(self, found: Farewell, capturer: Capturer, outcome: farewell.Outcome, folder: RunFolder) -> bool:
        """Store what an attempt left; False when somebody had no patience for it."""
        try:
            found.store(capturer, self._logs(folder), outcome)
        except KeyboardInterrupt:
            # A second Ctrl-C while files are being sent: the end is journaled, `runfolio sync` sends the rest.
            self.story.warn("stopped before everything was stored: `runfolio sync` sends the rest")
            found.unsent = True
            return False
        return True

    def _leave(self, found: Farewell, folder: RunFolder) -> None:
        """Tell how it ended, and remove the folder unless something in it is needed."""
        found.show()
        why = found.why_kept(time.time())
        if why is not None:
            folder.keep(why)
        elif not folder.remove():
            folder.keep(Kept(self.run.id, str(self.located.root), time.time(), 0, unsent=False))

    def _outcome(self, ending: Ending | None, folder: RunFolder) -> farewell.Outcome:
        canceled_by = self.interrupts.canceled_by
        if ending is None:
            number = canceled_by or 0
            return farewell.Outcome(
                "Canceled", f"{processes.signal_name(number)} before the script began", None, 128 + number
            )
        report = _read_report(folder)
        code = processes.exit_code(ending.returncode)
        if report.get("interrupted") and code == 1:
            # An interpreter that runs source text while it shuts down forgets that a KeyboardInterrupt ended it.
            code = processes.exit_code(-signal.SIGINT)
        if self.interrupts.timed_out:
            reason = f"time limit of {self.interrupts.time_limit:g} s"
            return farewell.Outcome("Failed", reason, report.get("traceback"), TIMED_OUT)
        if canceled_by is not None:
            return farewell.Outcome("Canceled", processes.signal_name(canceled_by), report.get("traceback"), code)
        if ending.returncode == 0:
            return farewell.Outcome("Completed", None, None, 0)
        if report.get("interrupted"):
            return farewell.Outcome("Canceled", "interrupted", report.get("traceback"), code)
        reason = report.get("reason") or report.get("exit") or describe(ending.returncode)
        return farewell.Outcome("Failed", str(reason)[:1000], report.get("traceback"), code)


def describe(returncode: int) -> str:
    """Say how a process ended: ``exit code 3``, ``killed by signal 9 (SIGKILL)``."""
    if returncode < 0:
        return f"killed by signal {-returncode} ({processes.signal_name(-returncode)})"
    return f"exit code {returncode}"


def _read_report(folder: RunFolder) -> dict[str, Any]:
    try:
        found = json.loads(folder.report.read_text(encoding="utf-8", errors="surrogatepass"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def terminal_screen(begun: Callable[[str], object] = lambda _: None) -> Screen:
    """The screen of a launch in the foreground; `begun` is told the id of the run."""
    sys.stdout.flush()
    sys.stderr.flush()
    stdout = 1

    def say(text: str) -> None:
        try:
            print(text, flush=True)  # noqa: T201 (the terminal is what this is for)
        except OSError:
            # Whoever read our output has gone; the run goes on, and its log is whole.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stdout)

    return Screen(stdout=stdout, stderr=2, say=say, begun=begun)


__all__ = ["BEGINNING", "Screen", "describe", "launch", "terminal_screen"]
