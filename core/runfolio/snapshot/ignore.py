"""Which files of a project are ignored: the rules of Git, read from `.gitignore`, `.amlignore` and `.runfolioignore`.

The meaning of a pattern comes from dulwich. Around it, patterns are grouped so that a project of thousands of files is
sorted in a fraction of a second: plain names are looked up, the rest of a file becomes a few regular expressions.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

GIT_FILE: Final = ".gitignore"
OWN_FILES: Final = (".amlignore", ".runfolioignore")
"""Ignore files that also hide what Git tracks. The later one has the last word in its folder."""
_WILD: Final = re.compile(rb"[*?\[\\]")
_FLAGS: Final = b"(?ms)"


class Verdict(NamedTuple):
    """What a rule says about an entry.

    Attributes:
        ignored: False when a rule takes the entry back in.
        by_git: the rule comes from Git's own files, which do not apply to what Git tracks.
    """

    ignored: bool
    by_git: bool


class _Group:
    """Neighbouring patterns that all ignore, or all take back: their order does not matter."""

    def __init__(self, *, ignored: bool) -> None:
        self.ignored = ignored
        self._names: set[bytes] = set()
        self._folder_names: set[bytes] = set()
        self._parts: dict[tuple[bool, bool], list[bytes]] = {}
        self._compiled: list[tuple[bool, bool, re.Pattern[bytes]]] = []

    def add(self, pattern: bytes) -> None:
        folders_only = pattern.endswith(b"/")
        bare = pattern.rstrip(b"/")
        by_name = b"/" not in bare
        if by_name and not _WILD.search(bare):
            (self._folder_names if folders_only else self._names).add(bare)
            return
        expression = _translate(bare)
        if expression is not None:
            self._parts.setdefault((folders_only, by_name), []).append(expression)

    def close(self) -> None:
        for (folders_only, by_name), parts in self._parts.items():
            joined = b"|".join(b"(?:" + part + b")" for part in parts)
            self._compiled.append((folders_only, by_name, re.compile(joined, re.MULTILINE | re.DOTALL)))

    def matches(self, path: bytes, name: bytes, *, folder: bool) -> bool:
        if name in self._names or (folder and name in self._folder_names):
            return True
        return any(
            expression.match(name if by_name else path)
            for folders_only, by_name, expression in self._compiled
            if folder or not folders_only
        )


def _translate(pattern: bytes) -> bytes | None:
    """Return the regular expression of a pattern, or None for one that matches nothing."""
    from dulwich.ignore import translate  # noqa: PLC0415  (slow to load)

    # dulwich raises a plain Exception subclass, or re.error in older versions, for what Git gives up on. Such a pattern
    # matches nothing in Git either.
    with contextlib.suppress(Exception):
        expression = translate(pattern)
        re.compile(expression)
        return expression.removeprefix(_FLAGS)
    return None


class IgnoreFile:
    """The rules of one ignore file.

    Args:
        lines: its lines.
        by_git: whether it is one of Git's own.
    """

    def __init__(self, lines: Iterable[bytes], *, by_git: bool) -> None:
        self.by_git: Final = by_git
        self._groups: list[_Group] = []
        for line in lines:
            self._add(line)
        for group in self._groups:
            group.close()

    def _add(self, line: bytes) -> None:
        pattern = line
        ignored = not pattern.startswith(b"!")
        if not ignored or pattern.startswith((b"\\!", b"\\#")):
            pattern = pattern[1:]
        if not pattern.strip(b"/"):
            return
        if not self._groups or self._groups[-1].ignored is not ignored:
            self._groups.append(_Group(ignored=ignored))
        self._groups[-1].add(pattern)

    def decide(self, path: bytes, name: bytes, *, folder: bool) -> Verdict | None:
        """Return what the last matching rule says; None when none matches.

        Args:
            path: the entry, relative to the folder of this file.
            name: its last part.
            folder: whether it is a folder.
        """
        for group in reversed(self._groups):
            if group.matches(path, name, folder=folder):
                return Verdict(group.ignored, self.by_git)
        return None

    def __bool__(self) -> bool:
        return bool(self._groups)


def read_ignore_file(path: str, *, by_git: bool) -> IgnoreFile | None:
    """Return the rules of an ignore file; None when there is none, or it is a link, which Git ignores too."""
    from dulwich.ignore import read_ignore_patterns  # noqa: PLC0415  (slow to load)

    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(fd, "rb") as file:  # noqa: PTH123  (an open descriptor)
            data = file.read()
    except OSError:
        return None
    data = data.removeprefix(b"\xef\xbb\xbf")
    rules = IgnoreFile(read_ignore_patterns(data.splitlines(keepends=True)), by_git=by_git)  # type: ignore[arg-type]  # takes any iterable of lines
    return rules or None


class Scope(NamedTuple):
    """Rules that hold in a folder and below, and what to put before a path of the project to match them."""

    rules: IgnoreFile
    depth: int
    prefix: bytes

    def decide(self, path: bytes, name: bytes, *, folder: bool) -> Verdict | None:
        """Return what the last matching rule says of a path of the project; None when none matches."""
        relative = self.prefix + path if self.depth == 0 else path[self.depth :]
        return self.rules.decide(relative, name, folder=folder)


def decide(scopes: Sequence[Scope], path: bytes, name: bytes, *, folder: bool) -> Verdict | None:
    """Return what the innermost rule that matches says; None when none does.

    Args:
        scopes: the rules that hold here, outermost first.
        path: the entry, relative to the project.
        name: its last part.
        folder: whether it is a folder.
    """
    for scope in reversed(scopes):
        found = scope.decide(path, name, folder=folder)
        if found is not None:
            return found
    return None


def scopes_of_folder(folder: str, relative: bytes, names: Iterable[str]) -> list[Scope]:
    """Return the rules that begin in a folder.

    Args:
        folder: its full path.
        relative: its path in the project, with a slash at the end; empty for the project itself.
        names: the names of the files in it.
    """
    found = []
    present = {name for name in names if name.endswith("ignore")}
    for name in (GIT_FILE, *OWN_FILES):
        if name in present:
            rules = read_ignore_file(os.path.join(folder, name), by_git=name == GIT_FILE)  # noqa: PTH118  (thousands of folders)
            if rules is not None:
                found.append(Scope(rules, len(relative), b""))
    return found


def scopes_above(project: Path, repository: Path | None) -> list[Scope]:
    """Return the rules that hold in a project from outside: of the repository around it, and of the user's Git.

    Args:
        project: the project.
        repository: the folder that holds `.git`; None when there is none.
    """
    if repository is None:
        return []
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111  (no error without a home)
    outside = [os.path.join(config, "git", "ignore"), str(repository / ".git" / "info" / "exclude")]  # noqa: PTH118  (a str)
    inner = project.relative_to(repository).parts
    prefix = b"".join(os.fsencode(part) + b"/" for part in inner)
    scopes = [Scope(rules, 0, prefix) for path in outside if (rules := read_ignore_file(path, by_git=True)) is not None]
    folder = repository
    for count, part in enumerate(inner):
        below = b"".join(os.fsencode(one) + b"/" for one in inner[count:])
        for name in (GIT_FILE, *OWN_FILES):
            rules = read_ignore_file(str(folder / name), by_git=name == GIT_FILE)
            if rules is not None:
                scopes.append(Scope(rules, 0, below))
        folder = folder / part
    return scopes
