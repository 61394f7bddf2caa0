"""What is stored of a run's folder: everything below `outputs`, and what changed in the other captured folders."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runfolio.snapshot import OUTPUTS
from runfolio_plugins.launch.portable_names import assign_paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KINDS: Final = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class State(NamedTuple):
    """What tells whether a file changed."""

    size: int
    modified: int
    inode: int
    changed: int


@dataclass(slots=True)
class CapturePlan:
    """What is to be stored.

    Attributes:
        files: each file with its path in the run.
        states: what each file was like, by its path in the folder.
        skipped: what is not stored, by its path in the folder, with the reason.
        renamed: files that have another path in the run than in the folder.
        bytes: size of the files together.
    """

    files: list[tuple[Path, str]] = field(default_factory=list)
    states: dict[str, State] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    bytes: int = 0


def plan_capture(
    root: Path,
    *,
    folders: Sequence[str] = (),
    known: Mapping[str, State] | None = None,
    baseline: Mapping[str, tuple[int, int]] | None = None,
) -> CapturePlan:
    """Decide what to store. Nothing is read but the folders.

    Args:
        root: the folder in which the script ran. Where the script went meanwhile does not matter.
        folders: captured besides `outputs`, relative to `root`. Their files appear below ``outputs/``.
        known: files that need not be stored, because they are as they were then: those of an earlier capture, and those
            that lay in `outputs` before a run that executes in the project itself.
        baseline: the working copy as it began: size and modification time. In `folders`, only what differs is stored.
    """
    walk = _Walk(os.path.realpath(root))
    walk.enter(OUTPUTS)
    for folder in folders:
        if folder != OUTPUTS and not folder.startswith(f"{OUTPUTS}/"):
            walk.enter(folder)
    plan = CapturePlan(skipped=walk.skipped)
    before = baseline or {}
    unchanged = known or {}
    wanted: dict[str, str] = {}
    for path, state in walk.files.items():
        below_outputs = path.startswith(f"{OUTPUTS}/")
        if not below_outputs and before.get(path) == (state.size, state.modified):
            continue
        wanted[path] = path if below_outputs else f"{OUTPUTS}/{path}"
    names = _names(wanted)
    for path in sorted(names, key=os.fsencode):
        if unchanged.get(path) == walk.files[path]:
            continue
        plan.files.append((Path(root, path), names[path]))
        plan.states[path] = walk.files[path]
        plan.bytes += walk.files[path].size
        if names[path] != wanted[path]:
            plan.renamed[path] = names[path]
    return plan


def _names(wanted: Mapping[str, str]) -> dict[str, str]:
    """Paths in the run. Where a captured folder meets one below `outputs`, the latter keeps its path."""
    own = {target for path, target in wanted.items() if path == target}
    moved = {}
    for path, target in wanted.items():
        clashes = path != target and target in own
        moved[path] = f"{OUTPUTS}/~captured/{path}" if clashes else target
    assigned = assign_paths(moved.values())
    return {path: assigned[target] for path, target in moved.items()}


class _Walk:
    """Collects files. Links are followed as long as they stay inside."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.files: dict[str, State] = {}
        self.skipped: list[tuple[str, str]] = []

    def enter(self, path: str) -> None:
        """Collect what lies at a path of the folder."""
        try:
            state = os.lstat(f"{self._root}/{path}")
        except OSError:
            return  # a run may have removed even its outputs
        self._take(path, state, frozenset())

    def _take(self, path: str, state: os.stat_result, above: frozenset[tuple[int, int]]) -> None:
        full = f"{self._root}/{path}"
        if stat.S_ISLNK(state.st_mode):
            target = os.path.realpath(full)
            if not target.startswith(f"{self._root}/"):
                self.skipped.append((path, f"a link that leads out of the run's folder, to {target}"))
                return
            try:
                state = os.stat(full)  # noqa: PTH116  (a str)
            except OSError:
                self.skipped.append((path, "a link that leads nowhere"))
                return
        if stat.S_ISDIR(state.st_mode):
            self._read_folder(path, state, above)
        elif not stat.S_ISREG(state.st_mode):
            self.skipped.append((path, _KINDS.get(stat.S_IFMT(state.st_mode), "no regular file")))
        elif path == OUTPUTS:
            self.skipped.append((path, "a file that stands where the folder was"))
        else:
            self.files[path] = State(state.st_size, state.st_mtime_ns, state.st_ino, state.st_ctime_ns)

    def _read_folder(self, path: str, state: os.stat_result, above: frozenset[tuple[int, int]]) -> None:
        identity = (state.st_dev, state.st_ino)
        if identity in above:
            self.skipped.append((path, "a link to a folder that holds it"))
            return
        try:
            with os.scandir(f"{self._root}/{path}") as reading:
                entries = sorted(reading, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            self.skipped.append((path, error.strerror or "cannot be read"))
            return
        for entry in entries:
            try:
                below = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # removed meanwhile
            self._take(f"{path}/{entry.name}", below, above | {identity})


def states_of_outputs(root: Path, folders: Sequence[str] = ()) -> dict[str, State]:
    """Return what each file of `outputs` and of the captured folders is like now."""
    walk = _Walk(os.path.realpath(root))
    for folder in (OUTPUTS, *folders):
        walk.enter(folder)
    return walk.files
