"""A restore as a transaction: journaled, so that after a kill in the middle the next call finishes it.

::

    <project>/.runfolio/restore/lock
                                <time>-<token>/before.pack   the project as it was, for the undo
                                               after.pack    what is to be written
                                               journal.json  from here on it will be done
                                               done          it is done

Each step can be repeated: what is there already is left. What is neither as it was nor as it is to be was changed by
somebody else meanwhile; it is left too, and named.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

from runfolio._platform import FileLock
from runfolio.errors import FormatError, RunStateError, StorageError
from runfolio.filesystem import TargetFolder
from runfolio.ids import new_token
from runfolio.names import validate_source_path
from runfolio.snapshot.objects import (
    BLOB_TYPE,
    EMPTY_TREE,
    EXECUTABLE,
    FILE,
    FOLDER,
    LINK,
    Entry,
    object_hash,
    object_id,
)
from runfolio.snapshot.packing import Pack, open_pack

if TYPE_CHECKING:
    from types import TracebackType

_PLACE: Final = Path(".runfolio", "restore")
_JOURNAL: Final = "journal.json"
_DONE: Final = "done"
_STAGED: Final = "staged"
_KEPT: Final = 5
_CHUNK: Final = 1024**2


class Stamp(NamedTuple):
    """What a snapshot does not hold of a file, and an undo brings back.

    Attributes:
        permissions: its permission bits.
        modified: its modification time, in ns.
    """

    permissions: int
    modified: int


@dataclass(slots=True)
class Journal:
    """What a transaction does.

    Attributes:
        run_id: the run whose source is restored; None for an undo.
        commit: of that source.
        created: when, in seconds since the epoch.
        before: the project as it was.
        after: the project as it is to be, as far as it is touched.
        stamps: permissions and times of the files in `before`.
        wanted: those that the files in `after` get; none for a restore.
        paths: what it is limited to; empty for all.
    """

    run_id: str | None
    commit: str | None
    created: float
    before: list[Entry]
    after: list[Entry]
    stamps: dict[str, Stamp] = field(default_factory=dict)
    wanted: dict[str, Stamp] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """The journal as text."""
        plain = {name: getattr(self, name) for name in ("run_id", "commit", "created", "paths", "stamps", "wanted")}
        return json.dumps({**plain, "before": self.before, "after": self.after})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The journal that `to_json` wrote."""
        found: dict[str, Any] = json.loads(text)
        for name in ("before", "after"):
            found[name] = [Entry(*row) for row in found[name]]
        for name in ("stamps", "wanted"):
            found[name] = {path: Stamp(*row) for path, row in found[name].items()}
        return cls(**found)


class Transactions:
    """The transactions of one project. Use it as a context manager: nobody else restores meanwhile.

    Args:
        root: the project's folder.

    Raises:
        RunStateError: on entering: another process restores here.
        StorageError: likewise: the project cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.place = root / _PLACE
        self._lock = FileLock(self.place / "lock")

    def __enter__(self) -> Self:
        try:
            for folder in (self.place.parent, self.place):
                folder.mkdir(exist_ok=True)
                if folder.is_symlink():
                    raise StorageError(f"{folder} is a symbolic link: nothing is written through it", key=str(folder))
            if not (self.place / ".gitignore").exists():
                (self.place / ".gitignore").write_text("*\n", encoding="ascii")
            held = self._lock.acquire()
        except OSError as error:
            raise StorageError(f"{self.place} cannot be written: {error.strerror}", key=str(self.place)) from error
        if not held:
            raise RunStateError(f"Another process restores {self.root} just now: wait for it", key=str(self.root))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def all(self) -> list[Path]:
        """The folders of the transactions, oldest first."""
        return sorted(path for path in self.place.iterdir() if path.is_dir() and not path.is_symlink())

    def last(self) -> tuple[Path, Journal] | None:
        """The newest one that is done."""
        for folder in reversed(self.all()):
            if (folder / _DONE).exists():
                return folder, _read(folder)
        return None

    def new_folder(self) -> Path:
        """Make the folder of another one."""
        newest = self.all()[-1:]
        number = max([time.time_ns(), *(int(path.name.split("-")[0]) + 1 for path in newest)])
        folder = self.place / f"{number:020d}-{new_token()}"
        folder.mkdir(mode=0o700)
        return folder

    def recover(self) -> list[tuple[Journal, list[str]]]:
        """Finish what a killed process began, and remove what it had only prepared.

        Returns what was finished, each with the paths that somebody else changed meanwhile.
        """
        finished: list[tuple[Journal, list[str]]] = []
        for folder in self.all():
            if (folder / _DONE).exists():
                continue
            if not (folder / _JOURNAL).exists():
                shutil.rmtree(folder, ignore_errors=True)
                continue
            journal = _read(folder)
            finished.append((journal, self.apply(folder, journal)))
        return finished

    def commit(self, folder: Path, journal: Journal) -> list[str]:
        """Begin a prepared transaction and do it. Returns the paths that somebody else changed meanwhile."""
        temporary = folder / f"{_JOURNAL}.partial"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(journal.to_json())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / _JOURNAL)
        return self.apply(folder, journal)

    def apply(self, folder: Path, journal: Journal) -> list[str]:
        """Do what a journal says, or what is left of it."""
        pack = _pack(folder, "after")
        left = Applying(TargetFolder(self.root, validate_source_path), journal, pack, folder / _STAGED).run()
        (folder / _STAGED).unlink(missing_ok=True)
        (folder / _DONE).touch()
        for suffix in (".pack", ".idx"):
            (folder / f"after{suffix}").unlink(missing_ok=True)
        for old in [one for one in self.all() if (one / _DONE).exists()][:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return left


def before_pack(folder: Path) -> Pack:
    """Return the pack that holds the project as it was before a transaction.

    Raises:
        FormatError: it is damaged.
    """
    return _pack(folder, "before")


def _pack(folder: Path, name: str) -> Pack:
    try:
        return open_pack(folder / f"{name}.pack")
    except OSError as error:
        raise FormatError(f"{folder} is damaged: {error}", key=str(folder)) from error


def _read(folder: Path) -> Journal:
    try:
        return Journal.from_json((folder / _JOURNAL).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FormatError(
            f"{folder} is damaged: remove it, and look at the project yourself", key=str(folder)
        ) from error


class Contents(Protocol):
    """Where the contents of files come from: a pack, or several."""

    def read(self, sha: str) -> bytes:
        """Return the bytes of an object."""
        ...

    def chunks(self, sha: str) -> Iterator[bytes]:
        """Yield the bytes of an object, in pieces."""
        ...


class Applying:
    """Makes a folder what a journal says.

    Args:
        target: the folder.
        journal: what to do.
        contents: of what is written.
        staged: where a file lies until it is complete.
    """

    def __init__(self, target: TargetFolder, journal: Journal, contents: Contents, staged: Path) -> None:
        self._target, self._contents, self._staged = target, contents, staged
        self._before = {entry.path: entry for entry in journal.before}
        self._after = {entry.path: entry for entry in journal.after}
        self._wanted: Mapping[str, Stamp] = journal.wanted
        self.left: list[str] = []

    def run(self) -> list[str]:
        """Do it. Returns the paths that were left, because somebody else changed them meanwhile."""
        self._remove()
        for path, entry in sorted(self._after.items()):
            if self._before.get(path) is None or _differ(self._before[path], entry):
                self._write(path, entry)
            if path not in self.left and path in self._wanted:
                self._stamp(path, entry, self._wanted[path])
        return sorted(self.left)

    def _remove(self) -> None:
        gone = [path for path, entry in self._before.items() if not self._stays(path, entry)]
        for path in sorted(gone, reverse=True):
            found = look(self._target, path)
            if found is None or found == _state(self._after.get(path)):
                continue
            if found != _state(self._before[path]) or not self._target.remove(path):
                self.left.append(path)
        folders = {path[:at] for path in self._after for at, letter in enumerate(path) if letter == "/"}
        folders |= {path for path, entry in self._after.items() if entry.mode == FOLDER}
        above = {path[:at] for path in gone for at, letter in enumerate(path) if letter == "/"}
        for path in sorted(above - folders, reverse=True):
            if look(self._target, path) == (FOLDER, EMPTY_TREE):
                self._target.remove(path)

    def _stays(self, path: str, entry: Entry) -> bool:
        after = self._after.get(path)
        return after is not None and (after.mode == FOLDER) == (entry.mode == FOLDER)

    def _write(self, path: str, entry: Entry) -> None:
        found = look(self._target, path)
        if found == _state(entry):
            return
        if found is not None and found != _state(self._before.get(path)):
            self.left.append(path)
        elif entry.mode == FOLDER:
            self._target.make_folder(path)
        elif entry.mode == LINK:
            self._target.write_link(path, self._contents.read(entry.sha), staged=self._staged)
        else:
            chunks = self._contents.chunks(entry.sha)
            self._target.write(path, chunks, executable=entry.mode == EXECUTABLE, staged=self._staged)

    def _stamp(self, path: str, entry: Entry, stamp: Stamp) -> None:
        place = self._target.existing(path)
        if place is not None and entry.mode in (FILE, EXECUTABLE) and not place.is_symlink():
            place.chmod(stamp.permissions)
            os.utime(place, ns=(stamp.modified, stamp.modified))


def look(target: TargetFolder, path: str) -> tuple[int, str] | None:
    """Return mode and id of what lies at a path, None for nothing. A folder that is not empty is ``(FOLDER, "")``."""
    place = target.existing(path)
    if place is None:
        return None
    state = place.lstat()
    if stat.S_ISLNK(state.st_mode):
        return LINK, object_id(BLOB_TYPE, os.fsencode(place.readlink()))
    if stat.S_ISDIR(state.st_mode):
        return FOLDER, "" if any(place.iterdir()) else EMPTY_TREE
    if not stat.S_ISREG(state.st_mode):
        return 0, ""
    mode = EXECUTABLE if state.st_mode & stat.S_IXUSR else FILE
    return mode, object_hash(BLOB_TYPE, state.st_size, _chunks(place, state.st_size))


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while size and (chunk := file.read(min(_CHUNK, size))):
            size -= len(chunk)
            yield chunk


def _state(entry: Entry | None) -> tuple[int, str] | None:
    return None if entry is None else (entry.mode, entry.sha)


def _differ(one: Entry, other: Entry) -> bool:
    return (one.mode, one.sha) != (other.mode, other.sha)


def changed(before: Iterable[Entry], after: Iterable[Entry]) -> list[Entry]:
    """Return the entries of `after` that `before` lacks or has with other contents."""
    there = {entry.path: entry for entry in before}
    return [entry for entry in after if entry.path not in there or _differ(there[entry.path], entry)]
