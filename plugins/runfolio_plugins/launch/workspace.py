"""Folders of tracked runs on this machine: where they lie, who uses them, and when they go.

::

    <state>/working/<run id>/<project's folder name>/    the working copy, in which the script runs
                             control/                    logs, the lock of the launcher, requests from inside the run
    <state>/share/<project>/                             survives runs: AZUREML_NATIVE_SHARE_DIRECTORY

A folder goes at the end of its run when everything is in the store and the script left nothing outside of what is
captured. Otherwise it is kept: for seven days, and only the newest ten. One with files that did not reach the store yet
is kept until ``runfolio sync`` has sent them.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runfolio import layout
from runfolio.config import Places, spool_candidates
from runfolio.names import encode_project
from runfolio_plugins.launch import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runfolio.config import Settings

KEPT_DAYS: Final = 7
KEPT_FOLDERS: Final = 10
_DAY: Final = 24 * 60 * 60
_CONTROL: Final = "control"
_LOCK: Final = "lock"
_KEPT: Final = "kept.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """Why the folder of a run was kept.

    Attributes:
        run_id: the run.
        project_root: the project that it is a copy of.
        since: when the run ended, in seconds since the epoch.
        left_behind: how many files the script left outside of what is captured.
        unsent: whether files in it had not reached the store by then.
    """

    run_id: str
    project_root: str
    since: float
    left_behind: int
    unsent: bool


class RunFolder:
    """The folder of one run.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._lock: int | None = None

    @property
    def control(self) -> Path:
        """What belongs to the launcher."""
        return self.path / _CONTROL

    @property
    def driver_log(self) -> Path:
        """The script's output."""
        return self.control / "driver_log.txt"

    @property
    def control_log(self) -> Path:
        """The launcher's story."""
        return self.control / "control_log.txt"

    @property
    def report(self) -> Path:
        """What the script's process says about an exception."""
        return self.control / "report.json"

    @property
    def requests(self) -> Path:
        """For requests from inside the run."""
        return self.control / "requests"

    def copy_of(self, project: Path) -> Path:
        """The working copy. It has the name of the project's folder, for those who look at that."""
        name = project.name or "project"
        return self.path / (name if name != _CONTROL else f"{name}-copy")

    def make(self) -> None:
        """Make the folder and mark it as in use by this process. One of an earlier attempt is put aside and kept."""
        if self.path.exists():
            self.path.rename(self.path.with_name(f"{self._before()}.{self.path.name}"))
        self.control.mkdir(parents=True, mode=0o700)
        self._lock = processes.hold(self.control / _LOCK)
        if self._lock is not None:
            os.write(self._lock, str(os.getpid()).encode())

    def _before(self) -> str:
        """A name for what an earlier attempt left."""
        number = 1
        while self.path.with_name(f"attempt-{number}.{self.path.name}").exists():
            number += 1
        return f"attempt-{number}"

    def launcher(self) -> int | None:
        """The process that uses the folder; None when there is none any more."""
        if not self.in_use():
            return None
        try:
            return int((self.control / _LOCK).read_bytes())
        except (OSError, ValueError):
            return None  # it has only just begun, or has just gone

    def keep(self, why: Kept) -> None:
        """Leave the folder, with the reason."""
        (self.control / _KEPT).write_text(json.dumps(asdict(why)), encoding="utf-8")
        self.release()

    def why_kept(self) -> Kept | None:
        """Why the folder was kept; None when its launcher could not say, because it was killed."""
        try:
            found: dict[str, Any] = json.loads((self.control / _KEPT).read_text(encoding="utf-8"))
            return Kept(**found)
        except (OSError, ValueError, TypeError):
            return None

    def since(self) -> float:
        """When the run ended, or last was heard of."""
        kept = self.why_kept()
        if kept is not None:
            return kept.since
        try:
            return max(entry.stat().st_mtime for entry in (self.control, *self.control.iterdir()))
        except OSError:
            return 0.0

    def in_use(self) -> bool:
        """Whether the launcher that made the folder lives."""
        return processes.is_held(self.control / _LOCK)

    def release(self) -> None:
        """No longer in use by this process."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove(self) -> bool:
        """Remove the folder with all that is in it, never what links lead to. False when something stays."""
        self.release()

        def make_removable(function: Callable[..., object], path: str, _: object) -> None:
            # A script may leave folders that even their owner cannot empty.
            try:
                Path(path).parent.chmod(stat.S_IRWXU)
                if not Path(path).is_symlink():
                    Path(path).chmod(stat.S_IRWXU)
                function(path)
            except OSError:
                return

        shutil.rmtree(self.path, onerror=make_removable)
        if self.path.exists():
            shutil.rmtree(self.path, ignore_errors=True)
        return not self.path.exists()

    def size(self) -> int:
        """Bytes in it, links not followed."""
        found = 0
        for root, _, names in os.walk(self.path):
            for name in names:
                try:
                    found += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118  (many files)
                except OSError:
                    continue
        return found


def working_folder(settings: Settings) -> Path:
    """Return the folder that holds the folders of runs, made if needed: the user's, else one in the project.

    Raises:
        OSError: neither can be written.
    """
    candidates = working_candidates(settings)
    for folder in candidates[:-1]:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    candidates[-1].mkdir(parents=True, exist_ok=True, mode=0o700)
    return candidates[-1]


def working_candidates(settings: Settings) -> list[Path]:
    """Return where folders of runs may lie."""
    return [Places.of(os.environ).user_state / "working", settings.root / ".runfolio" / "working"]


def share_folder(settings: Settings, project: str) -> Path:
    """Return the folder that all runs of a project on this machine share, made if needed.

    Raises:
        OSError: it cannot be made.
    """
    folder = working_folder(settings).parent / "share" / encode_project(project)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def folder_of(working: Path, run_id: str) -> RunFolder:
    """Return the folder of a run; it need not exist."""
    return RunFolder(working / layout.run_folder(run_id).rstrip("/").rsplit("/", 1)[1])


def abandoned(settings: Settings) -> Iterator[RunFolder]:
    """Yield the folders that no launcher uses any more, newest first."""
    found: list[tuple[float, RunFolder]] = []
    for working in working_candidates(settings):
        try:
            paths = [path for path in working.iterdir() if (path / _CONTROL).is_dir()]
        except OSError:
            continue
        for path in paths:
            folder = RunFolder(path)
            if not folder.in_use():
                found.append((folder.since(), folder))
    found.sort(key=lambda pair: -pair[0])
    yield from (folder for _, folder in found)


def waits_for_sync(settings: Settings, folder: RunFolder) -> bool:
    """Whether a journal on this machine still has something of the run to send: it may need the files in the folder."""
    name = f"{folder.path.name}."
    for spool in spool_candidates(settings):
        try:
            if any(entry.startswith(name) for entry in os.listdir(spool)):  # noqa: PTH208  (names only)
                return True
        except OSError:
            continue
    return False


def due(settings: Settings, now: float | None = None) -> Iterator[RunFolder]:
    """Yield the folders whose time is over."""
    moment = time.time() if now is None else now
    kept = 0
    for folder in abandoned(settings):
        why = folder.why_kept()
        if waits_for_sync(settings, folder) or (why is None and moment - folder.since() < KEPT_DAYS * _DAY):
            continue  # its files are needed, or its launcher was killed and somebody may want them
        kept += 1
        if kept > KEPT_FOLDERS or moment - folder.since() > KEPT_DAYS * _DAY:
            yield folder
