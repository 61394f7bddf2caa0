"""The working copy of a run: what of the project goes into it, and how it is made.

Tracked and untracked files are copied. What the ignore files name is not copied but reachable at the same relative
path, through a link to the original: data, local settings, virtual environments. A few things are never in a copy.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runfolio_plugins.launch import ignore
from runfolio_plugins.launch.cloning import Cloner, link

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

OUTPUTS: Final = "outputs"
"""The folder whose contents are stored. A copy begins with an empty one."""
NEVER: Final = frozenset({".git", ".hg", ".svn", ".runfolio", "__pycache__"})
"""Names that are never in a copy, at any depth."""
_LINKED_NAMES: Final = frozenset({"node_modules"})
_ENVIRONMENT_MARKS: Final = frozenset({"pyvenv.cfg", "conda-meta"})
"""A folder that holds one of these is an environment: linked, never copied."""


@dataclass(slots=True)
class CopyPlan:
    """What a working copy will hold. Paths are relative to the project, with ``/``.

    Attributes:
        root: the project.
        folders: parents before children.
        files: to be copied.
        links: symbolic links of the project, with the text they get in the copy.
        reachable: ignored files and folders that become links to the originals; folders end with ``/``.
        left_out: sockets, pipes, devices and what could not be read, with the reason.
        bytes: size of the files.
    """

    root: str
    folders: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    reachable: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    bytes: int = 0


def plan_copy(root: Path, *, exclude: Iterable[Path] = (), capture: Collection[str] = ()) -> CopyPlan:
    """Decide what goes into the working copy of a project. Nothing is written.

    Args:
        root: the project.
        exclude: folders that stay out wherever they lie: the store and the state folder.
        capture: folders, relative to the project, whose new files are stored after the run. They are never links, so
            that parallel runs do not write into one another's.
    """
    return _Planner(root, exclude, capture).plan()


class _Planner:
    def __init__(self, root: Path, exclude: Iterable[Path], capture: Collection[str]) -> None:
        self._root = os.path.realpath(root)
        self._exclude = {os.path.realpath(path) for path in exclude}
        self._capture = {path.strip("/") for path in capture}
        self._repository = _repository(Path(self._root))
        self._tracked: tuple[frozenset[str], frozenset[str]] | None = None
        self._plan = CopyPlan(self._root)

    def plan(self) -> CopyPlan:
        scopes = ignore.scopes_above(Path(self._root), self._repository)
        # Folders still to be read: path relative to the project (with a slash at the end), the rules outside of it,
        # whether an ignored folder is only entered for the tracked files in it.
        waiting: list[tuple[str, list[ignore.Scope], bool]] = [("", scopes, False)]
        while waiting:
            relative, outer, hidden = waiting.pop()
            waiting.extend(self._read_folder(relative, outer, hidden=hidden))
        plan = self._plan
        plan.folders.sort()
        plan.files.sort()
        return plan

    def _read_folder(
        self, relative: str, outer: list[ignore.Scope], *, hidden: bool
    ) -> list[tuple[str, list[ignore.Scope], bool]]:
        folder = f"{self._root}/{relative}" if relative else self._root
        plan = self._plan
        try:
            with os.scandir(folder) as reading:
                entries = list(reading)
        except OSError as error:
            plan.left_out.append((relative, error.strerror or "cannot be read"))
            return []
        names = [entry.name for entry in entries]
        if relative and not _ENVIRONMENT_MARKS.isdisjoint(names):
            plan.reachable.append(relative)
            return []
        if relative:
            plan.folders.append(relative.rstrip("/"))
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
            self._plan.reachable.append(f"{path}/")
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
            self._plan.links.append((path, self._link_text(path)))
            return
        try:
            state = entry.stat(follow_symlinks=False)
        except OSError:
            return  # gone since the folder was read
        if stat.S_ISREG(state.st_mode):
            self._plan.files.append(path)
            self._plan.bytes += state.st_size
        else:
            self._plan.left_out.append((path, _kind(state.st_mode)))

    def _take_ignored(self, path: str, entry: os.DirEntry[str], *, is_folder: bool, by_git: bool) -> bool:
        """Plan an ignored entry. True when it must be taken all the same: Git tracks it, or something in it."""
        if by_git:
            files, folders = self._tracked_paths()
            if path in (folders if is_folder else files):
                return True
        if is_folder and any(one == path or one.startswith(f"{path}/") for one in self._capture):
            self._plan.folders.append(path)  # begins empty
            return False
        if is_folder or entry.is_file(follow_symlinks=False) or entry.is_symlink():
            self._plan.reachable.append(f"{path}/" if is_folder else path)
        return False

    def _link_text(self, path: str) -> str:
        """The text of a link in the copy: one within the project stays within the copy, others lead where they led."""
        full = f"{self._root}/{path}"
        text = os.readlink(full)  # noqa: PTH115  (a str)
        folder = os.path.dirname(full)  # noqa: PTH120  (a str)
        target = os.path.normpath(os.path.join(os.path.realpath(folder), text))  # noqa: PTH118  (lexical on purpose: may dangle)
        inside = target == self._root or target.startswith(f"{self._root}/")
        if not inside:
            return target
        return os.path.relpath(target, folder) if os.path.isabs(text) else text  # noqa: PTH117  (a str)

    def _tracked_paths(self) -> tuple[frozenset[str], frozenset[str]]:
        """Files that Git tracks below the project, and the folders that hold them."""
        if self._tracked is None:
            self._tracked = _tracked(Path(self._root), self._repository)
        return self._tracked


def _repository(project: Path) -> Path | None:
    return next((folder for folder in (project, *project.parents) if (folder / ".git").exists()), None)


def _tracked(project: Path, repository: Path | None) -> tuple[frozenset[str], frozenset[str]]:
    if repository is None:
        return frozenset(), frozenset()
    from dulwich.repo import Repo  # noqa: PLC0415  (slow to load)

    prefix = b"".join(os.fsencode(part) + b"/" for part in project.relative_to(repository).parts)
    try:
        repo = Repo(str(repository))
        try:
            paths = [os.fsdecode(path[len(prefix) :]) for path in repo.open_index() if path.startswith(prefix)]
        finally:
            repo.close()
    except Exception:  # noqa: BLE001  (dulwich raises many kinds on repositories it cannot read; then the ignore files alone count)
        return frozenset(), frozenset()
    folders = {path[:at] for path in paths for at, letter in enumerate(path) if letter == "/"}
    return frozenset(paths), frozenset(folders)


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFSOCK: "a socket",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "no regular file")


@dataclass(slots=True)
class WorkingCopy:
    """A folder in which a run executes.

    Attributes:
        root: the folder.
        baseline: size and modification time of each file as it was when the run began.
        made_links: links that lead to ignored originals; they are ours, not the run's.
        shared: how many files share their blocks with the original.
        copied: how many were copied.
        left_out: what could not be taken, with the reason.
    """

    root: Path
    baseline: dict[str, tuple[int, int]] = field(default_factory=dict)
    made_links: frozenset[str] = frozenset()
    shared: int = 0
    copied: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)


def make_copy(plan: CopyPlan, target: Path) -> WorkingCopy:
    """Make a working copy. A file that vanishes or cannot be read meanwhile is left out and named.

    Args:
        plan: from `plan_copy`.
        target: the folder to make; its parent must exist.

    Raises:
        OSError: the target cannot be written.
    """
    target.mkdir()
    root, base = plan.root, str(target)
    copy = WorkingCopy(target, left_out=list(plan.left_out))
    for folder in plan.folders:
        os.makedirs(f"{base}/{folder}", exist_ok=True)  # noqa: PTH103  (thousands of folders)
    cloner = Cloner()
    for path in plan.files:
        try:
            copy.baseline[path] = cloner.clone(f"{root}/{path}", f"{base}/{path}")
        except OSError as error:
            if _is_about_target(error, base):
                raise
            copy.left_out.append((path, error.strerror or type(error).__name__))
    for path, text in plan.links:
        if not link(text, f"{base}/{path}", folder=os.path.isdir(f"{root}/{path}")):  # noqa: PTH112  (a str)
            copy.left_out.append((path, "links cannot be made here"))
    made = []
    for path in plan.reachable:
        bare = path.rstrip("/")
        if link(f"{root}/{bare}", f"{base}/{bare}", folder=path.endswith("/")):
            made.append(bare)
        else:
            copy.left_out.append((path, "links cannot be made here"))
    copy.made_links = frozenset([*made, *(path for path, _ in plan.links)])
    copy.shared, copy.copied = cloner.shared, cloner.copied
    Path(base, OUTPUTS).mkdir(exist_ok=True)
    return copy


def _is_about_target(error: OSError, base: str) -> bool:
    """Whether an error comes from writing: then the copy would be incomplete without anybody's fault."""
    named = error.filename
    return named is None or (isinstance(named, str) and named.startswith(f"{base}/"))


def changed_files(copy: WorkingCopy, *, apart_from: Collection[str] = ()) -> list[str]:
    """Return the files that were made or changed in a copy, outside of `outputs`.

    Args:
        copy: the copy.
        apart_from: paths that are stored anyway.
    """
    stored = set(apart_from)
    base = str(copy.root)
    found: list[str] = []
    waiting = [""]
    while waiting:
        relative = waiting.pop()
        try:
            with os.scandir(f"{base}/{relative}") as entries:
                for entry in entries:
                    path = relative + entry.name
                    if entry.name in NEVER or path == OUTPUTS or path in stored:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{path}/")
                    elif entry.is_symlink():
                        if path not in copy.made_links:
                            found.append(path)
                    else:
                        state = entry.stat(follow_symlinks=False)
                        if copy.baseline.get(path) != (state.st_size, state.st_mtime_ns):
                            found.append(path)
        except OSError:
            continue  # removed meanwhile
    return sorted(found)
