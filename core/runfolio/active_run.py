"""A run that is being written: what `start_run`, `attach`, `resume_run` and `get_logger` return."""

from __future__ import annotations

import traceback as tracebacks
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from runfolio import media
from runfolio.errors import InvalidValueError, RunStateError
from runfolio.journal.writer import MISSING
from runfolio.names import validate_name, validate_path
from runfolio.params import Params, Summary, Tags, validate_goal
from runfolio.run import Run
from runfolio.target import JobStatus

if TYPE_CHECKING:
    from runfolio.config import Settings
    from runfolio.history import History
    from runfolio.journal.pending import Pending
    from runfolio.recording.recorder import Recorder
    from runfolio.recording.staging import FilesReport
    from runfolio.recording.tailing import Tail
    from runfolio.recording.unsent import Unsent
    from runfolio.records import Record


class ActiveRun(Run):
    """A run that is being written by this process. Also everything that `Run` offers.

    Safe to use from several threads, and after a fork (the child writes as a writer of its own). Used as a context
    manager, it ends as Completed, or as Failed when the block raises. Storage trouble never raises here: it is
    retried, kept in the local journal, and said once; a wrong *call* raises at once.
    """

    def __init__(self, history: History, recorder: Recorder) -> None:
        super().__init__(history, recorder.run_id)
        self._recorder = recorder
        self._params = Params(recorder.note, recorder.start.get("params"), recorder.redact_param)
        self._summary = Summary(recorder.note)
        self._tags = Tags(recorder.edit, dict.fromkeys(recorder.start.get("tags", ()), True))
        # The journal's own method in place of ours: one call less in a training loop.
        vars(self)["log"] = recorder.journal.log

    @property
    def params(self) -> Params:
        """What went in: ``params.update(lr=0.1, optimizer={"name": "adam"})``. Each is set once."""
        return self._params

    @property
    def summary(self) -> Summary:
        """What came out besides metrics: ``summary["best_epoch"] = 7``."""
        return self._summary

    @property
    def tags(self) -> Tags:
        """Words to find the run by: ``tags.add("sota")``."""
        return self._tags

    def log(self, name: str | Mapping[str, Any], value: object = MISSING, step: int | None = None) -> Pending:
        """Log a metric: a number, bool, str, or a list or 1-D array of them; or a mapping of several at one step.

        The value is in the local journal when this returns, and so outlives the process; a background thread stores it.

        Args:
            name: the metric; any printable text. Logging it again extends the series.
            value: the value. Its kind comes back as it went in. NaN and infinities are kept.
            step: where in the series. Without it, one more than the last step of this metric and writer.

        Returns:
            A `Pending`, whose ``wait(timeout)`` says whether the value is in the store.

        Raises:
            InvalidValueError: a value of this type cannot be logged; the message names the call that takes it.
            InvalidNameError: the name is empty, too long, or holds control characters.
            RunStateError: the run has ended.
        """
        # Seldom reached: an instance has the journal's own method in place of this one.
        return self._recorder.journal.log(name, value, step)

    def log_columns(self, columns: Mapping[str, Any], step: Any = None) -> Pending:
        """Log whole columns at once, without a Python loop: NumPy or Arrow arrays, or lists, all of one length.

        Args:
            columns: the values by metric.
            step: the steps, one for each row; or the first one, an int; counted on from the last one when left out.

        Raises:
            InvalidValueError: columns of different lengths, or of a type that is no column of numbers, bools or strs.
        """
        return self._recorder.journal.log_columns(columns, step)

    def log_figure(self, name: str, figure: Any, step: int | None = None) -> Pending:
        """Store a Matplotlib figure as ``outputs/<name>.png``, a Plotly figure as ``outputs/<name>.plotly.json``.

        With `step`, one file a step: ``outputs/<name>/<step>.png``.

        Raises:
            InvalidValueError: it is no figure.
        """
        return self._log_encoded(name, media.figure(figure), "figure", step)

    def log_image(self, name: str, image: Any, step: int | None = None) -> Pending:
        """Store an image as a file under ``outputs/``.

        It may be a Pillow image, an array of shape (H, W[, 3 or 4]), or PNG or JPEG bytes.

        Raises:
            InvalidValueError: it is no image.
            MissingDependencyError: arrays need Pillow.
        """
        return self._log_encoded(name, media.image(image), "image", step)

    def log_table(self, name: str, table: Any, step: int | None = None) -> Pending:
        """Store a table as ``outputs/<name>.parquet``.

        It may be a DataFrame, an Arrow table, a mapping of columns, or a list of records.

        Raises:
            InvalidValueError: it is no table.
        """
        return self._log_encoded(name, media.table(table), "table", step)

    def log_text(self, name: str, text: Any, step: int | None = None) -> Pending:
        """Store a text as ``outputs/<name>.txt`` (or under its own suffix), a dict or list as JSON.

        Raises:
            InvalidValueError: it is neither.
        """
        return self._log_encoded(name, media.text(text), "text", step)

    def _log_encoded(self, name: str, encoded: media.Encoded, kind: str, step: int | None) -> Pending:
        validate_name(name, kind)
        path = media.file_path(name, encoded.suffix, step)
        return self._recorder.stage_bytes(path, encoded.data, kind=kind, step=step, media_type=encoded.media_type)

    def log_artifact(self, path: str | Path, name: str | None = None) -> Pending:
        """Store a file, or a folder with all that is in it, as it is now.

        A copy is kept at once, and sent in the background.

        Args:
            path: the file or folder.
            name: its path in the run, below ``outputs/`` unless it begins with ``outputs/`` or ``logs/``. By default
                its own name.

        Raises:
            InvalidValueError: there is no file or folder at `path`.
            InvalidKeyError: the name is not allowed.
        """
        source = Path(path)
        target = validate_path(media.file_path(name or source.resolve().name))
        if source.is_dir():
            return self._recorder.stage_folder(source, target)
        if not source.is_file():
            raise InvalidValueError(
                f"There is no file or folder {str(path)!r}: log_artifact takes a path; "
                "use run.log_bytes(name, data) for contents",
                key=str(path),
            )
        return self._recorder.stage_file(source, target)

    def log_bytes(self, name: str, data: bytes | str) -> Pending:
        """Store contents as a file of the run: bytes, or a str as UTF-8.

        Args:
            name: its path in the run, below ``outputs/`` unless it begins with ``outputs/`` or ``logs/``.
            data: the contents.
        """
        contents = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
        return self._recorder.stage_bytes(media.file_path(name), contents, media_type=media.media_type(name))

    def store_files(self, files: Iterable[tuple[Path, str]], *, unlimited: bool = False) -> FilesReport:
        """Store existing files now, without a copy on the way: for a launcher that keeps the folder.

        A file over the configured limit is named in the record and not stored.

        Args:
            files: each file with its path in the run (``outputs/…`` or ``logs/…``).
            unlimited: store files of any size, such as the logs of the run.

        Returns:
            What is stored, what is not and why, and what waits for ``runfolio sync``.
        """
        return self._recorder.store_files(files, unlimited=unlimited)

    def define_metric(self, name: str, *, goal: str) -> None:
        """Say what is good for a metric: ``goal="max"`` or ``"min"``. Gives "best" a meaning everywhere.

        Raises:
            InvalidValueError: another goal.
        """
        self._recorder.note("definitions", {validate_name(name): {"goal": validate_goal(goal)}})

    def set_properties(self, properties: Mapping[str, Any]) -> None:
        """Add properties of the run that became known after its start: flat, JSON values.

        A new value replaces an old one.
        """
        self._recorder.add_properties(properties)

    def left_behind(self, paths: Iterable[str]) -> None:
        """Record files that were made outside of what is captured, so that the record can name them."""
        self._recorder.left_behind(paths)

    @property
    def note(self) -> str | None:
        """A text about the run. Setting it replaces it, also after others edited it."""
        return self.record.note

    @note.setter
    def note(self, text: str) -> None:
        self._recorder.edit("note", text)

    @property
    def number(self) -> int | None:
        """The number of the run in its project; None until the store was reached."""
        return self._recorder.pusher.ledger.state.number or self._recorder.start.get("number")

    @property
    def system_metrics(self) -> bool:
        """Whether CPU, memory and the like are to be sampled while this process writes."""
        return self._recorder.wants_system_metrics

    @property
    def settings(self) -> Settings:
        """The configuration of the history that it is written to."""
        return self._history.settings

    @property
    def is_main(self) -> bool:
        """Whether this process is the main writer, whose end is the end of the run."""
        return self._recorder.pusher.ledger.state.main

    @property
    def finished(self) -> bool:
        """Whether `finish` was called, so that nothing can be logged any more."""
        return self._recorder.finished

    @property
    def writer(self) -> str:
        """The key of this process as a writer of the run."""
        return self._recorder.writer_key

    @property
    def record(self) -> Record:
        """The record of the run as the store has it; while the store cannot be reached, what is known here."""
        return self._recorder.record()

    @property
    def unsent(self) -> Unsent:
        """What the store does not have yet of what this process wrote: false when it has everything. No request."""
        from runfolio.recording.unsent import unsent_of  # noqa: PLC0415 (loaded on use)

        return unsent_of(self._recorder)

    def tail(self) -> Tail:
        """Follow what this process logs, without a request: each ``read()`` of the result gives the rows that are new.

        For a display that lives in the same process, such as a live curve.
        """
        from runfolio.recording.tailing import Tail  # noqa: PLC0415 (loads pyarrow)

        return Tail(self._recorder)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was logged so far is in the store.

        Args:
            timeout: seconds to wait at most; None waits as long as storage answers.

        Returns:
            True when all of it is in the *store*; False on a time-out, or when the store cannot be reached. It is
            then still in the local journal. Never raises on storage trouble.
        """
        return self._recorder.flush(timeout)

    def recover_writers(self) -> int:
        """Send what dead local writers of this run left in their journals. Returns how many journals were completed."""
        return self._recorder.recover_writers()

    def child_environment(self) -> dict[str, str]:
        """Return the environment variables that make `get_logger()` in a child process write to this run.

        The child is a writer of its own.
        """
        return self._recorder.child_environment()

    def finish(
        self,
        status: str = "Completed",
        *,
        reason: str | None = None,
        traceback: str | None = None,
        exit_code: int | None = None,
    ) -> bool:
        """End the run, or this process's part of it. Calling it again does nothing.

        Args:
            status: ``Completed``, ``Failed`` or ``Canceled``.
            reason: a line that says why, for people.
            traceback: the traceback of the user's code, if that is why.
            exit_code: of the process that ran.

        Returns:
            True when everything is in the store; False when some of it waits in the local journal for ``runfolio
            sync``.

        Raises:
            RunStateError: another status.
        """
        if status not in ("Completed", "Failed", "Canceled"):
            raise RunStateError(f"A run ends as Completed, Failed or Canceled, not as {status!r}")
        return self._recorder.finish(status, reason=reason, traceback=traceback, exit_code=exit_code)

    def store_source(self) -> bool:
        """Wait until the source that this run was started with is in the store.

        Returns:
            True when all of it is; False when there is none, or it cannot be stored (the log says why).

        Raises:
            StorageError: the storage failed.
            ReadOnlyError: the store cannot be written.
        """
        return self._recorder.store_source()

    def hand_over(self, *, reason: str | None = None) -> bool:
        """Leave a run that was begun here to a process elsewhere. Until that goes on with it, it is ``Queued``.

        The other process calls `History.resume_run`. This one can log nothing any more.

        Args:
            reason: a line that says to whom, for people.

        Returns:
            True when everything is in the store; False when some of it waits in the local journal for ``runfolio
            sync``.
        """
        return self._recorder.finish(JobStatus.QUEUED.value, reason=reason, traceback=None, exit_code=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status, reason, exit_code = outcome(error)
        text = None
        if error is not None and status == "Failed" and trace is not None and not isinstance(error, SystemExit):
            # The first frame is the one that holds the `with`: the traceback is the caller's own.
            text = "".join(tracebacks.format_exception(kind, error, trace))
        self.finish(status, reason=reason, traceback=text, exit_code=exit_code)

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled run is a handle on what is stored, never a second writer with the same key.
        return super().__reduce__()


def outcome(error: BaseException | None) -> tuple[str, str | None, int | None]:
    """Return status, reason and exit code of code that ended with `error` (None: it ended well)."""
    if error is None:
        return "Completed", None, 0
    if isinstance(error, KeyboardInterrupt):
        return "Canceled", "interrupted", 130
    if isinstance(error, SystemExit):
        code = error.code
        if code is None or code == 0:
            return "Completed", None, 0
        if isinstance(code, int):
            return "Failed", f"exit code {code}", code
        return "Failed", str(code)[:1000], 1
    return "Failed", f"{type(error).__name__}: {error}"[:1000], 1
