"""What belongs to a project: its files under the ignore rules, tracked or not, and what stays out.

A working copy and a snapshot look through the project in the same way. What the ignore files name is no part of it, but
reachable for a run: data, local settings, virtual environments. A few things are never a part of it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runfolio.snapshot import ignore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

OUTPUTS: Final = "outputs"
"""The folder in which a run leaves what is stored. It is no part of the project."""
NEVER: Final = frozenset({".git", ".hg", ".svn", ".runfolio", "__pycache__"})
"""Names that are never a part of a project, at any depth."""
_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_LINKED_NAMES: Final = frozenset({"node_modules"})
_ENVIRONMENT_MARKS: Final = frozenset({"pyvenv.cfg", "conda-meta"})
"""A folder that holds one of these is an environment: reachable, never a part."""


@dataclass(slots=True)
class ProjectFiles:
    """What a project consists of. Paths are relative to it, with ``/``; bytes that are no UTF-8 are surrogates.

    Attributes:
        root: the project, links resolved.
        folders: parents before children.
        files: regular files, sorted.
        states: what the system said of each of `files`.
        links: symbolic links, sorted.
        reachable: ignored files and folders; folders end with ``/``.
        left_out: sockets, pipes, devices and what could not be read, with the reason.
        bytes: size of the files.
        repositories: folders that are repositories of their own: submodules and clones.
        captured: ignored folders that begin empty in a run, because their new files are stored after it.
    """

    root: str
    folders: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    states: dict[str, os.stat_result] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    reachable: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    bytes: int = 0
    repositories: list[str] = field(default_factory=list)
    captured: list[str] = field(default_factory=list)

    def tracked(self) -> frozenset[str] | None:
        """Files that Git tracks in the project; None where there is no repository that can be read."""
        repository = _repository(Path(self.root))
        return None if repository is None else _tracked(Path(self.root), repository)

    def kept_by_lfs(self, paths: Collection[str]) -> frozenset[str]:
        """Return those of some tracked files whose contents Git LFS has: Git itself holds only a pointer."""
        repository = _repository(Path(self.root)) if paths else None
        return frozenset() if repository is None else _pointers(Path(self.root), repository, paths)


def look_through(root: Path, *, exclude: Iterable[Path] = (), capture: Collection[str] = ()) -> ProjectFiles:
    """Find what belongs to a project. Nothing is written.

    Args:
        root: the project.
        exclude: folders that stay out wherever they lie: the store and the state folder.
        capture: folders, relative to the project, whose new files are stored after a run.
    """
    return _Search(root, exclude, capture).search()


class _Search:
    def __init__(self, root: Path, exclude: Iterable[Path], capture: Collection[str]) -> None:
        self._root = os.path.realpath(root)
        self._exclude = {os.path.realpath(path) for path in exclude}
        self._capture = {path.strip("/") for path in capture}
        self._repository = _repository(Path(self._root))
        self._tracked: tuple[frozenset[str], frozenset[str]] | None = None
        self._found = ProjectFiles(self._root)

    def search(self) -> ProjectFiles:
        scopes = ignore.scopes_above(Path(self._root), self._repository)
        # Folders still to be read: path relative to the project (with a slash at the end), the rules outside of it,
        # whether an ignored folder is only entered for the tracked files in it.
        waiting: list[tuple[str, list[ignore.Scope], bool]] = [("", scopes, False)]
        while waiting:
            relative, outer, hidden = waiting.pop()
            waiting.extend(self._read_folder(relative, outer, hidden=hidden))
        found = self._found
        for paths in (found.folders, found.files, found.links):
            paths.sort()
        return found

    def _read_folder(
        self, relative: str, outer: list[ignore.Scope], *, hidden: bool
    ) -> list[tuple[str, list[ignore.Scope], bool]]:
        folder = f"{self._root}/{relative}" if relative else self._root
        found = self._found
        try:
            with os.scandir(folder) as reading:
                entries = list(reading)
        except OSError as error:
            found.left_out.append((relative, error.strerror or "cannot be read"))
            return []
        names = [entry.name for entry in entries]
        if relative and not _ENVIRONMENT_MARKS.isdisjoint(names):
            found.reachable.append(relative)
            return []
        if relative:
            found.folders.append(relative.rstrip("/"))
            if ".git" in names:
                found.repositories.append(relative.rstrip("/"))
        scopes = [*outer, *ignore.scopes_of_folder(folder, os.fsencode(relative), names)]
        below = []
        for entry in entries:
            if not self._stays_out(relative, entry):
                inside = self._sort_in(relative, entry, scopes, hidden=hidden)
                if inside is not None:
                    below.append((f"{relative}{entry.name}/", scopes, inside))
        return below

    def _stays_out(self, relative: str, entry: os.DirEntry[str]) -> bool:
        """Whether an entry is in no copy at all."""
        if entry.name in NEVER or (not relative and entry.name == OUTPUTS):
            return True
        return bool(self._exclude) and f"{self._root}/{relative}{entry.name}".replace("/", os.sep) in self._exclude

    def _sort_in(
        self, relative: str, entry: os.DirEntry[str], scopes: list[ignore.Scope], *, hidden: bool
    ) -> bool | None:
        """Plan one entry. For a folder that must be entered, returns whether only for the tracked files in it."""
        path = relative + entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder and entry.name in _LINKED_NAMES:
            self._found.reachable.append(f"{path}/")
            return None
        name = os.fsencode(entry.name)
        verdict = ignore.decide(scopes, os.fsencode(relative) + name, name, folder=is_folder)
        ignored = hidden or (verdict is not None and verdict.ignored)
        by_git = hidden if verdict is None or not verdict.ignored else verdict.by_git
        if ignored and not self._take_ignored(path, entry, is_folder=is_folder, by_git=by_git):
            return None
        if is_folder:
            return ignored
        self._take(path, entry)
        return None

    def _take(self, path: str, entry: os.DirEntry[str]) -> None:
        """Plan one entry that is no folder."""
        if entry.is_symlink():
            self._found.links.append(path)
            return
        try:
            state = entry.stat(follow_symlinks=False)
        except OSError:
            return  # gone since the folder was read
        if stat.S_ISREG(state.st_mode):
            self._found.files.append(path)
            self._found.states[path] = state
            self._found.bytes += state.st_size
        else:
            self._found.left_out.append((path, _kind(state.st_mode)))

    def _take_ignored(self, path: str, entry: os.DirEntry[str], *, is_folder: bool, by_git: bool) -> bool:
        """Plan an ignored entry. True when it must be taken all the same: Git tracks it, or something in it."""
        if by_git:
            files, folders = self._tracked_paths()
            if path in (folders if is_folder else files):
                return True
        if is_folder and any(one == path or one.startswith(f"{path}/") for one in self._capture):
            self._found.captured.append(path)
            return False
        if is_folder or entry.is_file(follow_symlinks=False) or entry.is_symlink():
            self._found.reachable.append(f"{path}/" if is_folder else path)
        return False

    def _tracked_paths(self) -> tuple[frozenset[str], frozenset[str]]:
        """Files that Git tracks below the project, and the folders that hold them."""
        if self._tracked is None:
            paths = _tracked(Path(self._root), self._repository) if self._repository is not None else None
            files = paths or frozenset()
            self._tracked = (
                files,
                frozenset(path[:at] for path in files for at, letter in enumerate(path) if letter == "/"),
            )
        return self._tracked


def _repository(project: Path) -> Path | None:
    return next((folder for folder in (project, *project.parents) if (folder / ".git").exists()), None)


def _tracked(project: Path, repository: Path) -> frozenset[str] | None:
    from dulwich.repo import Repo  # noqa: PLC0415  (slow to load)

    prefix = b"".join(os.fsencode(part) + b"/" for part in project.relative_to(repository).parts)
    try:
        repo = Repo(str(repository))
        try:
            return frozenset(os.fsdecode(path[len(prefix) :]) for path in repo.open_index() if path.startswith(prefix))
        finally:
            repo.close()
    except Exception:  # noqa: BLE001  (dulwich raises many kinds on repositories it cannot read; then the ignore files alone count)
        return None


def _pointers(project: Path, repository: Path, paths: Collection[str]) -> frozenset[str]:
    from dulwich.repo import Repo  # noqa: PLC0415

    prefix = b"".join(os.fsencode(part) + b"/" for part in project.relative_to(repository).parts)
    found = []
    try:
        repo = Repo(str(repository))
        try:
            index = repo.open_index()
            for path in paths:
                sha = index[prefix + os.fsencode(path)].sha  # type: ignore[union-attr]  # a conflict has none: below
                if repo.object_store[sha].as_raw_string().startswith(_LFS_POINTER):
                    found.append(path)
        finally:
            repo.close()
    except Exception:  # noqa: BLE001
        return frozenset()
    return frozenset(found)


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFSOCK: "a socket",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "no regular file")
