"""The source of several runs: which files differ, and how, line by line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from runfolio.comparing.values import ComparedValue, side_by_side

LARGEST: Final = 1024 * 1024
"""Bytes up to which a file is compared line by line."""

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
"""A line as Git has it: other characters that break lines do not end it."""
_NO_TEXT: Final = "Binary or very large files differ"
_ONLY_MODE: Final = "The contents are the same: one is executable, or a link"


class Source(Protocol):
    """The source of one run, as its snapshot has it."""

    def files(self) -> Mapping[str, str]:
        """Return what tells apart each file, by its path in the project: its hash, and its mode if it has one."""
        ...

    def read(self, path: str) -> bytes:
        """Return the contents of a file; of one with more than `LARGEST` bytes the beginning will do."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFile(ComparedValue):
    """A file of the source in each of the runs; `values` are its hashes.

    Attributes:
        diffs: for each run the unified diff from the first one to it, such as ``patch`` takes; empty where the file is
            the same.
    """

    diffs: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, without the name."""
        return {**ComparedValue.to_dict(self), "diffs": list(self.diffs)}


def compared_sources(sources: Sequence[Source | None], names: Sequence[str]) -> list[ComparedFile]:
    """Compare the source of runs file by file. Only files that differ are read.

    Args:
        sources: one for each run; where one is None, nothing is compared.
        names: what the runs are called in the headers of diffs.
    """
    present = [one for one in sources if one is not None]
    if len(present) < len(sources):
        return []
    found = []
    for one in side_by_side([source.files() for source in present]):
        diffs: list[str] = []
        difference = 0.0
        if one.differs:
            contents = [
                None if sha is None else source.read(one.name) for source, sha in zip(present, one.values, strict=True)
            ]
            diffs = [
                "" if value == one.values[0] else _unified(one.name, contents[0], after, names[0], name)
                for value, after, name in zip(one.values, contents, names, strict=True)
            ]
            difference = _measure(contents, diffs)
        found.append(
            ComparedFile(name=one.name, values=one.values, differs=one.differs, difference=difference, diffs=diffs)
        )
    return found


def _unified(path: str, before: bytes | None, after: bytes | None, old: str, new: str) -> str:
    head = f"# {path}: from {old} to {new}\n"
    one, other = _lines(before), _lines(after)
    if one is None or other is None:
        return f"{head}{_NO_TEXT}\n"
    if before == after:
        return f"{head}{_ONLY_MODE}\n"
    names = ("/dev/null" if before is None else f"a/{path}", "/dev/null" if after is None else f"b/{path}")
    lines = difflib.unified_diff(one, other, *names)
    return head + "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(data: bytes | None) -> list[str] | None:
    """The lines of a text; None for what is none, or is too long to be compared."""
    if data is None:
        return []
    if len(data) > LARGEST or b"\0" in data:
        return None
    return _LINE.findall(data.decode("utf-8", errors="replace"))


def _measure(contents: Sequence[bytes | None], diffs: Sequence[str]) -> float:
    """The share of lines that changed; a file that is missing, and one that is no text, differs wholly."""
    largest = max(len(_lines(data) or ()) for data in contents)
    if None in contents or not largest or any(_NO_TEXT in diff for diff in diffs):
        return 1.0
    changed = [sum(line[:1] in "+-" for line in diff.split("\n")[3:]) for diff in diffs]
    return min(1.0, max(changed) / (2 * largest))
