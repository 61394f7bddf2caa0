"""Copies of files that were logged, kept beside the journal until they are in the store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from runfolio._platform import clone_file
from runfolio.journal.spool import STAGED

_LONGEST_NAME: Final = 60


class Staging:
    """The folder of staged files of one writer.

    Args:
        journal: the journal's folder.
    """

    def __init__(self, journal: Path) -> None:
        self.folder = journal / STAGED
        self._count = 0

    def keep_file(self, source: Path) -> Path:
        """Copy a file as it is now: a clone where the file system can, else its bytes."""
        target = self._next(source.name)
        clone_file(source, target)
        return target

    def keep_bytes(self, data: bytes, name: str) -> Path:
        """Write contents into a file of their own."""
        target = self._next(name)
        target.write_bytes(data)
        return target

    def forget(self, path: Path) -> None:
        """Remove a copy whose file is in the store. Files that lie elsewhere are not ours."""
        if path.parent == self.folder:
            path.unlink(missing_ok=True)

    def _next(self, name: str) -> Path:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._count += 1
        # The number alone tells them apart; the name is there for people who look into the folder.
        plain = "".join(letter if letter.isalnum() or letter in ".-_" else "_" for letter in name[-_LONGEST_NAME:])
        return self.folder / f"{self._count:06d}-{os.getpid()}-{plain}"


class FilesReport:
    """What `ActiveRun.store_files` did.

    Attributes:
        stored: paths that are in the store.
        problems: what is not and will not be, each with the reason: too large, unreadable.
        waiting: what waits in place for ``runfolio sync``, because the store could not be reached.
    """

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.problems: dict[str, str] = {}
        self.waiting: list[str] = []


def files_below(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the regular files below a folder with their relative paths, sorted.

    Links are followed to files, never to folders.
    """
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(root) / name
            if path.is_file():
                yield path, path.relative_to(folder).as_posix()


def original_name(source: Path, path: str) -> str | None:
    """The file's own name, where its path in the run does not end with it; other bytes than UTF-8 are escaped."""
    if path.rsplit("/", 1)[-1] == source.name:
        return None
    return os.fsencode(source.name).decode("utf-8", "backslashreplace")
