"""The one writer into the file system: what a download, an import or a restore puts on disk goes through here.

Names come from a store, which may be somebody else's. So each file is written below one open folder, every component
on the way is checked not to be a symbolic link, the bytes go to a temporary name first, and only a complete, verified
file gets its own name.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from runfolio.errors import InvalidKeyError, StorageError
from runfolio.names import validate_path

PARTIAL: Final = ".runfolio-partial"
"""Suffix of a file that is being written. One left behind by a killed download is continued by the next."""
_CHUNK: Final = 1024 * 1024


class TargetFolder:
    """A folder that files are written into, and never outside of.

    Args:
        root: the folder; created when it does not exist. It may itself be reached through links: the caller chose it.

    Raises:
        StorageError: the folder cannot be created, or is a file.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The folder {self.root} cannot be created: {error.strerror}", key=str(root)) from error

    def place(self, path: str) -> Path:
        """Return where `path` lies in this folder, after making the folders above it.

        Raises:
            InvalidKeyError: the path is not allowed, or leads through a symbolic link or a file.
        """
        validate_path(path)
        at = self.root
        parts = path.split("/")
        for part in parts[:-1]:
            at = at / part
            self._make_folder(at, path)
        final = at / parts[-1]
        if final.is_dir() and not final.is_symlink():
            raise InvalidKeyError(f"{final} is a folder, so the file {path!r} cannot be written there", key=path)
        return final

    def _make_folder(self, folder: Path, path: str) -> None:
        try:
            folder.mkdir(exist_ok=True)
            kind = folder.lstat().st_mode
        except FileExistsError as error:
            raise InvalidKeyError(f"{folder} is no folder, so {path!r} cannot be written below it", key=path) from error
        except OSError as error:
            raise StorageError(f"The folder {folder} cannot be created: {error.strerror}", key=path) from error
        if not stat.S_ISDIR(kind):
            raise InvalidKeyError(f"{folder} is a symbolic link: nothing is written through it", key=path)

    def partial(self, path: str) -> Path:
        """Where an unfinished `path` lies between two calls of a download, so that it can be continued."""
        final = self.place(path)
        partial = final.with_name(f"{final.name[:200]}{PARTIAL}")
        if partial.is_symlink():
            partial.unlink()
        return partial

    def publish(self, temporary: Path, path: str) -> Path:
        """Give a complete file its own name, replacing a file (or a link, never its target) of that name."""
        final = self.place(path)
        temporary.replace(final)
        return final

    @contextmanager
    def writing(self, path: str) -> Generator[BinaryIO]:
        """Open a new file for `path`; it appears under its name only when the block ends without an exception."""
        final = self.place(path)
        temporary = final.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(temporary, flags, 0o666), "wb") as out:
                yield out
            temporary.replace(final)
        finally:
            temporary.unlink(missing_ok=True)


def hash_file(path: Path) -> tuple[str, int]:
    """Return SHA-256 (hex) and length of a file, in flat memory."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size
