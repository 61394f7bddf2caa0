"""The working copy of a run: how it is made, and what is noticed in it afterwards.

Tracked and untracked files of the project are copied. What the ignore files name is not copied but reachable at the
same relative path, through a link to the original: data, local settings, virtual environments. A few things are never
in a copy (`runfolio.snapshot.project_files`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runfolio.restoring import write_source
from runfolio.snapshot import NEVER, OUTPUTS, ProjectFiles
from runfolio_plugins.launch.cloning import Cloner, link

if TYPE_CHECKING:
    from collections.abc import Collection

    from runfolio.snapshot.reading import StoredSource


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


def make_copy(plan: ProjectFiles, target: Path) -> WorkingCopy:
    """Make a working copy. A file that vanishes or cannot be read meanwhile is left out and named.

    Args:
        plan: what the project consists of.
        target: the folder to make; its parent must exist.

    Raises:
        OSError: the target cannot be written.
    """
    target.mkdir()
    root, base = plan.root, str(target)
    copy = WorkingCopy(target, left_out=list(plan.left_out))
    for folder in (*plan.folders, *plan.captured):
        os.makedirs(f"{base}/{folder}", exist_ok=True)  # noqa: PTH103  (thousands of folders)
    cloner = Cloner()
    for path in plan.files:
        try:
            copy.baseline[path] = cloner.clone(f"{root}/{path}", f"{base}/{path}")
        except OSError as error:
            if _is_about_target(error, base):
                raise
            copy.left_out.append((path, error.strerror or type(error).__name__))
    for path in plan.links:
        try:
            text = _link_text(root, path)
        except OSError as error:
            copy.left_out.append((path, error.strerror or type(error).__name__))
            continue
        if not link(text, f"{base}/{path}", folder=os.path.isdir(f"{root}/{path}")):  # noqa: PTH112  (a str)
            copy.left_out.append((path, "links cannot be made here"))
    made = []
    for path in plan.reachable:
        bare = path.rstrip("/")
        if link(f"{root}/{bare}", f"{base}/{bare}", folder=path.endswith("/")):
            made.append(bare)
        else:
            copy.left_out.append((path, "links cannot be made here"))
    copy.made_links = frozenset([*made, *plan.links])
    copy.shared, copy.copied = cloner.shared, cloner.copied
    Path(base, OUTPUTS).mkdir(exist_ok=True)
    return copy


def copy_of_source(source: StoredSource, plan: ProjectFiles, target: Path) -> WorkingCopy:
    """Make a working copy of the source of an earlier run. What the project ignores now is reachable from it.

    Args:
        source: the source.
        plan: what the project consists of now.
        target: the folder to make; its parent must exist.

    Raises:
        OSError: the target cannot be written.
    """
    write_source(source, target)
    copy = WorkingCopy(target)
    for entry in source.entries:
        path = target / entry.path
        if path.is_file() and not path.is_symlink():
            state = path.stat()
            copy.baseline[entry.path] = state.st_size, state.st_mtime_ns
    for folder in plan.captured:
        (target / folder).mkdir(parents=True, exist_ok=True)
    made = [path for path in plan.reachable if _reach(plan.root, str(target), path.rstrip("/"))]
    links = [entry.path for entry in source.entries if (target / entry.path).is_symlink()]
    copy.made_links = frozenset([*(path.rstrip("/") for path in made), *links])
    (target / OUTPUTS).mkdir(exist_ok=True)
    return copy


def _reach(root: str, base: str, path: str) -> bool:
    place = Path(base, path)
    if os.path.lexists(place) or not place.parent.is_dir():
        return False
    return link(f"{root}/{path}", str(place), folder=Path(root, path).is_dir())


def _link_text(root: str, path: str) -> str:
    """The text of a link in the copy: one within the project stays within the copy, others lead where they led."""
    full = f"{root}/{path}"
    text = os.readlink(full)  # noqa: PTH115  (a str)
    folder = os.path.dirname(full)  # noqa: PTH120  (a str)
    target = os.path.normpath(os.path.join(os.path.realpath(folder), text))  # noqa: PTH118  (lexical on purpose: may dangle)
    inside = target == root or target.startswith(f"{root}/")
    if not inside:
        return target
    return os.path.relpath(target, folder) if os.path.isabs(text) else text  # noqa: PTH117  (a str)


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
