"""What a run can say about where it executes: the Git state of its project, the interpreter, the machine, the packages.

Everything here is best effort within a budget of time: what cannot be found in time is left out, never guessed, and
nothing raises. No `git` program is needed; one is asked only where the repository has a form that the library cannot
read.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from runfolio._platform import host_name
from runfolio.hardware import hardware_properties

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dulwich.index import Index
    from dulwich.repo import Repo

DEFAULT_BUDGET: Final = 2.0
"""Seconds that all questions together may take."""
_CHECK_EVERY: Final = 256
"""Files between two looks at the clock."""
_SKIP_WORKTREE: Final = 0x4000
_SUBMODULE: Final = 0o160000
_METADATA_HEAD: Final = 16 * 1024
_SCP_LIKE: Final = re.compile(r"(?P<host>(?:[^/@:]+@)?[^/@:]+):(?!//)(?P<path>.+)")


class _Late(Exception):  # noqa: N818  (not an error: a way out of nested loops)
    """The budget is used up."""


def collect_properties(
    folder: str | os.PathLike[str] | None = None, *, budget: float = DEFAULT_BUDGET
) -> dict[str, Any]:
    """Return properties of a run that executes here: flat, JSON values, without secrets.

    Args:
        folder: the project; its Git repository is described. Default: the current folder.
        budget: seconds to spend. Reading a large repository stops there, and `GitDirty` is then left out.

    Returns:
        ``GitCommit``, ``GitBranch``, ``GitDirty``, ``GitRemote`` (as far as there is a repository), ``PythonVersion``,
        ``PythonImplementation``, ``PythonExecutable`` (its file name, not its folder), ``Platform``, ``Host``,
        ``CpuCount``, ``CpuCountUsable`` (those this process may use), and what `hardware_properties` finds.
    """
    return {**git_properties(folder or Path.cwd(), budget=budget), **machine_properties()}


def machine_properties() -> dict[str, Any]:
    """Return the part of `collect_properties` that is about interpreter and machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    usable = len(affinity(0)) if affinity is not None else os.cpu_count()
    return {
        **hardware_properties(),
        "CpuCount": os.cpu_count(),
        "CpuCountUsable": usable,
        "Host": host_name(),
        "Platform": platform.platform(aliased=True),
        "PythonExecutable": Path(sys.executable).name,
        "PythonImplementation": platform.python_implementation(),
        "PythonVersion": platform.python_version(),
    }


def installed_packages(paths: list[str] | None = None) -> dict[str, str]:
    """Return name (normalised as package indexes do) and version of each installed distribution.

    Args:
        paths: where to look; by default `sys.path`. Of two of the same name the earlier one counts, as for imports.
    """
    found: dict[str, str] = {}
    for path in sys.path if paths is None else paths:
        for name, version in _distributions(path or os.curdir):
            if name and version:
                found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return dict(sorted(found.items()))


def _distributions(path: str) -> Iterator[tuple[str, str]]:
    """Names and versions in one entry of the path.

    The name of a metadata folder says both: reading it is 100 times as fast as the metadata.
    """
    try:
        entries = sorted(os.listdir(path))  # noqa: PTH208  (names only: hundreds of entries)
    except NotADirectoryError:
        yield from _slow_distributions(path)  # a zip file
        return
    except OSError:
        return
    for entry in entries:
        stem, dot, suffix = entry.rpartition(".")
        if dot and suffix == "dist-info":
            name, _, version = stem.rpartition("-")
            yield name, version
        elif dot and suffix in ("egg-info", "egg"):
            yield _from_metadata(os.path.join(path, entry))  # noqa: PTH118  (as above)


def _slow_distributions(path: str) -> Iterator[tuple[str, str]]:
    from importlib.metadata import distributions  # noqa: PLC0415  (slow to load, and seldom needed)

    # Broken metadata raises whatever its parser met; a package list is not worth a run.
    with contextlib.suppress(Exception):
        for one in distributions(path=[path]):
            yield str(one.metadata["Name"] or ""), str(one.version or "")


def _from_metadata(entry: str) -> tuple[str, str]:
    for inside in ("PKG-INFO", "EGG-INFO/PKG-INFO", ""):
        with contextlib.suppress(OSError), Path(entry, inside).open("rb") as file:
            head = file.read(_METADATA_HEAD).decode("utf-8", "replace")
            fields = dict(re.findall(r"^(Name|Version): *(.*?)\s*$", head.split("\n\n", 1)[0], re.MULTILINE))
            return fields.get("Name", ""), fields.get("Version", "")
    return "", ""


def sanitize_remote(url: str) -> str:
    """Return the URL of a Git remote without what may be secret: user and password, query and fragment.

    The user of an ``ssh`` address stays (``git@host``), since it is part of the address.
    """
    scp = _SCP_LIKE.fullmatch(url)
    if scp and "://" not in url:
        return url
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:
        return url.split("?", 1)[0]
    user, _, host = parts.netloc.rpartition("@")
    keep = user.split(":", 1)[0] if parts.scheme.endswith("ssh") or parts.scheme == "git" else ""
    return urlunsplit((parts.scheme, f"{keep}@{host}" if keep else host, parts.path, "", ""))


def git_properties(folder: str | os.PathLike[str], *, budget: float = DEFAULT_BUDGET) -> dict[str, Any]:
    """Return the part of `collect_properties` that is about Git; empty when the folder is in no repository.

    `GitDirty` tells whether tracked files differ from the commit; new files do not count.
    """
    deadline = time.monotonic() + budget
    root = _repository(Path(folder))
    if root is None:
        return {}
    try:
        return _read_repository(root, deadline)
    except Exception:  # noqa: BLE001  (dulwich raises many kinds on formats it does not know: reftable, SHA-256, partial clones)
        return _ask_git(root, deadline)


def _repository(folder: Path) -> Path | None:
    with contextlib.suppress(OSError):
        folder = folder.resolve()
        for place in (folder, *folder.parents):
            if (place / ".git").exists():
                return place
    return None


def _read_repository(root: Path, deadline: float) -> dict[str, Any]:
    from dulwich.repo import Repo  # noqa: PLC0415  (a tenth of a second: only where there is a repository)

    with contextlib.closing(Repo(str(root))) as repo:
        chain, commit = repo.refs.follow(b"HEAD")  # type: ignore[arg-type]  # a NewType of bytes in newer versions
        found: dict[str, Any] = {}
        if commit is not None:
            found["GitCommit"] = commit.decode("ascii")
        if len(chain) > 1 and chain[-1].startswith(b"refs/heads/"):
            found["GitBranch"] = chain[-1].removeprefix(b"refs/heads/").decode("utf-8", "replace")
        remote = _remote(repo, found.get("GitBranch"))
        if remote:
            found["GitRemote"] = sanitize_remote(remote)
        with contextlib.suppress(_Late):
            if commit is not None:
                found["GitDirty"] = _is_dirty(repo, root, commit, deadline)
        return found


def _remote(repo: Repo, branch: str | None) -> str | None:
    config = repo.get_config()
    names = [name for kind, *rest in config.sections() if kind == b"remote" and rest for name in rest]
    preferred: list[bytes] = []
    if branch is not None:
        with contextlib.suppress(KeyError):
            preferred.append(config.get((b"branch", branch.encode()), b"remote"))
    for name in (*preferred, b"origin", *names):
        with contextlib.suppress(KeyError):
            return config.get((b"remote", name), b"url").decode("utf-8", "replace")
    return None


def _is_dirty(repo: Repo, root: Path, commit: bytes, deadline: float) -> bool:
    index = repo.open_index()
    if time.monotonic() > deadline:
        raise _Late
    if _differs_from_files(repo, index, os.fsencode(root), deadline):
        return True
    tree = getattr(repo[commit], "tree")  # noqa: B009  (typed as any object; this one is a commit)
    changes = index.changes_from_tree(repo.object_store, tree)
    for count, _ in enumerate(_limited(changes, deadline)):
        return count >= 0
    return False


def _limited(items: Any, deadline: float) -> Iterator[Any]:
    for count, item in enumerate(items):
        if count % _CHECK_EVERY == 0 and time.monotonic() > deadline:
            raise _Late
        yield item


def _differs_from_files(repo: Repo, index: Index, root: bytes, deadline: float) -> bool:
    """Whether a tracked file differs from the index. The recorded times and sizes spare reading most of them."""
    doubtful: list[tuple[bytes, bytes]] = []
    modes_count = os.name == "posix" and bool(repo.get_config().get_boolean((b"core",), b"filemode", default=True))
    for path, entry in _limited(index.items(), deadline):
        if not hasattr(entry, "sha"):
            return True  # a conflict that is not resolved
        if entry.extended_flags & _SKIP_WORKTREE or stat.S_IFMT(entry.mode) == _SUBMODULE:
            continue
        try:
            now = os.lstat(os.path.join(root, path))  # noqa: PTH118  (thousands of files)
        except OSError:
            return True
        if stat.S_IFMT(now.st_mode) != stat.S_IFMT(entry.mode):
            return True
        if modes_count and stat.S_ISREG(now.st_mode) and (now.st_mode ^ entry.mode) & stat.S_IXUSR:
            return True
        if _seconds(entry.mtime) != now.st_mtime_ns or entry.size != now.st_size & 0xFFFFFFFF:
            doubtful.append((path, entry.sha))
    return any(_content_differs(repo, root, path, sha) for path, sha in _limited(doubtful, deadline))


def _seconds(moment: Any) -> int:
    if isinstance(moment, tuple):
        return int(moment[0]) * 1_000_000_000 + int(moment[1])
    return round(float(moment) * 1_000_000_000)


def _content_differs(repo: Repo, root: bytes, path: bytes, sha: bytes) -> bool:
    from dulwich.objects import Blob  # noqa: PLC0415  (loaded with the repository)

    full = os.path.join(root, path)  # noqa: PTH118  (bytes)
    try:
        data = os.readlink(full) if os.path.islink(full) else Path(os.fsdecode(full)).read_bytes()  # noqa: PTH114, PTH115  (bytes)
    except OSError:
        return True
    blob = Blob.from_string(data)
    if blob.id == sha:
        return False
    # Line endings or a filter may make the file differ from what is stored without a change.
    normal = repo.get_blob_normalizer().checkin_normalize(blob, path)
    return bool(normal.id != sha)


def _ask_git(root: Path, deadline: float) -> dict[str, Any]:
    """Ask the `git` program, if there is one."""
    found: dict[str, Any] = {}
    questions: Mapping[str, tuple[str, ...]] = {
        "GitCommit": ("rev-parse", "--verify", "HEAD"),
        "GitBranch": ("symbolic-ref", "--short", "-q", "HEAD"),
        "GitRemote": ("remote", "get-url", "origin"),
        "GitDirty": ("status", "--porcelain", "--untracked-files=no"),
    }
    for name, question in questions.items():
        left = deadline - time.monotonic()
        if left <= 0:
            break
        # No optional locks and no file system monitor: reading must not disturb, or start, anything.
        command = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", *question)
        try:
            done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=left, check=False)
        except (OSError, subprocess.SubprocessError):
            break
        answer = done.stdout.strip()
        if done.returncode == 0 and (answer or name == "GitDirty"):
            found[name] = bool(answer) if name == "GitDirty" else answer
    if "GitRemote" in found:
        found["GitRemote"] = sanitize_remote(found["GitRemote"])
    return found
