"""`azureml.logging`: the logger of Workbench, writing to the current run of Runfolio.

Scripts of that time cannot be expected to follow our rules, so this logger takes what `run.log` refuses
(docs/workbench.md, "Values").
"""

from __future__ import annotations

import inspect
import time
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

import runfolio
from runfolio.errors import InvalidNameError, InvalidValueError
from runfolio.names import MAX_NAME_CHARACTERS, validate_name
from runfolio_plugins.azureml_compat.script_namespace import lend_sys_and_os

WAIT_SECONDS: Final = 60.0
"""How long `ScriptRunRequest.wait` waits unless told: storage trouble must not hang a script."""
_DEEPEST: Final = 8


class WorkbenchCompatibilityWarning(UserWarning):
    """A call was taken in a way that its author may not have meant."""


class Waitable(Protocol):
    """What `run.log` returns, as far as it is needed here."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is in the store."""
        ...


class ScriptRunRequest:
    """What the logger returns: a value on its way to the store."""

    def __init__(self, name: str, pending: Sequence[Waitable] = ()) -> None:
        self._name = name
        self._pending = tuple(pending)

    def wait(self, timeout: float | None = WAIT_SECONDS) -> bool:
        """Wait until the value is in the store.

        The value is safe on this machine as soon as `WorkbenchLogger.log` has returned, also when this was not called.

        Args:
            timeout: seconds; None waits as long as it takes.

        Returns:
            True if it is in the store. False if it is not there yet: it follows later.
        """
        until = None if timeout is None else time.monotonic() + timeout
        stored = True
        for one in self._pending:
            left = None if until is None else max(0.0, until - time.monotonic())
            stored = one.wait(left) and stored
        return stored

    def __repr__(self) -> str:
        return f"ScriptRunRequest({self._name!r})"


class WorkbenchLogger:
    """Logs to the current run: the tracked one, or one that is started for this process at the first call.

    Loggers hold nothing. Any number of them write to the same run, and they may be stored on objects, pickled, and
    used in pools.
    """

    __slots__ = ()

    def log(self, name: str, value: Any) -> ScriptRunRequest:
        """Log a value of any type under a name.

        Numbers, bools, texts and lists or 1-D arrays of them are stored as they are. A mapping or DataFrame becomes
        one metric for each entry or column, ``name.entry``; anything else is stored as its text, with a warning.

        Returns:
            An object whose `wait` blocks until the value is in the store.
        """
        legal = _legal_name(name)
        return ScriptRunRequest(legal, _log(runfolio.get_logger(), legal, value))

    def upload(self, artifact_path: str, contents: str | bytes) -> ScriptRunRequest:
        """Store a text as an artifact of the run.

        Args:
            artifact_path: the artifact's path, below ``outputs/`` unless it begins with ``outputs/`` or ``logs/``.
            contents: the text itself, not the name of a file.

        Raises:
            InvalidValueError: the contents are no text.
            InvalidKeyError: the path leaves the run's folder or has a part that no artifact may have.
        """
        if isinstance(contents, str):
            _warn_of_file_name(contents)
        elif not isinstance(contents, bytes):
            raise InvalidValueError(
                f"upload takes the contents of an artifact as a text, not {type(contents).__name__}: "
                "to store a file, write it into the folder 'outputs'"
            )
        path = str(artifact_path).replace("\\", "/").removeprefix("./")
        return ScriptRunRequest(path, [runfolio.get_logger().log_bytes(path, contents)])


def get_azureml_logger() -> WorkbenchLogger:
    """Return a logger that writes to the current run."""
    lend_sys_and_os()
    return WorkbenchLogger()


def _log(run: runfolio.ActiveRun, name: str, value: object, depth: int = 0) -> list[Waitable]:
    try:
        return [run.log(name, value)]
    except InvalidValueError:
        entries = _entries(value) if depth < _DEEPEST else None
        if entries is not None:
            return [
                pending
                for key, entry in entries.items()
                for pending in _log(run, _legal_name(f"{name}.{key}"), entry, depth + 1)
            ]
        elements = _elements(value)
        if elements is not None:
            return _log(run, name, elements, depth=_DEEPEST)
        if isinstance(value, str):
            raise  # too long, and its text would be just as long
        _warn(f"{name!r}: a value of type {type(value).__name__} is not a metric, its text is logged")
        return [run.log(name, str(value))]


def _entries(value: object) -> Mapping[Any, object] | None:
    """What a mapping or DataFrame is made of, or None for anything else."""
    if isinstance(value, Mapping):
        return value
    to_dict = getattr(value, "to_dict", None)
    if callable(to_dict) and hasattr(value, "columns"):
        return cast("Mapping[Any, object]", to_dict("list"))
    return None


def _elements(value: object) -> list[object] | None:
    """The elements of a pandas Series or of another one-dimensional column, or None for anything else."""
    tolist: Callable[[], list[object]] | None = getattr(value, "tolist", None)
    one_dimensional = len(getattr(value, "shape", ())) == 1
    return tolist() if tolist is not None and one_dimensional and not isinstance(value, list) else None


def _legal_name(name: object) -> str:
    text = name if isinstance(name, str) else str(name)
    try:
        return validate_name(text)
    except InvalidNameError:
        printable = "".join(" " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in text)
        legal = printable[:MAX_NAME_CHARACTERS] or "unnamed"
        _warn(f"{text[:100]!r} is not a name for a metric: {legal[:100]!r} is used")
        return legal


def _warn_of_file_name(contents: str) -> None:
    try:
        is_file = len(contents) < MAX_NAME_CHARACTERS and Path(contents).is_file()
    except (OSError, ValueError):  # too long for a path, or with a NUL
        return
    if is_file:
        _warn(
            f"upload stores the text {contents!r} itself, not the file of that name: "
            "to store the file, write it into the folder 'outputs'"
        )


def _warn(message: str) -> None:
    """Warn where the script made the call, however deep in this module the reason was found."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, WorkbenchCompatibilityWarning, stacklevel=level)
