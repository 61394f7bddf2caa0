"""The one writer into the file system: what a download, an import or a restore puts on disk goes through here.

Names come from a store, which may be somebody else's. So each file is written below one open folder, every component
on the way is checked not to be a symbolic link, the bytes go to a temporary name first, and only a complete, verified
file gets its own name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Generator, Iterable
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
        validate: checks each path; by default those that every system can have pass.

    Raises:
        StorageError: the folder cannot be created, or is a file.
    """

    def __init__(self, root: Path, validate: Callable[[str], object] = validate_path) -> None:
        self.root = Path(root).absolute()
        self._validate = validate
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The folder {self.root} cannot be created: {error.strerror}", key=str(root)) from error

    def place(self, path: str) -> Path:
        """Return where `path` lies in this folder, after making the folders above it.

        Raises:
            InvalidKeyError: the path is not allowed, or leads through a symbolic link or a file.
        """
        self._validate(path)
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
        try:
            temporary.replace(final)
        except OSError as error:
            if error.errno != errno.EXDEV or temporary.is_symlink():
                raise
            with self.writing(path) as out, temporary.open("rb") as source:  # a mounted folder below ours
                shutil.copyfileobj(source, out)
            final.chmod(stat.S_IMODE(temporary.stat().st_mode))
            temporary.unlink()
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

    def write(self, path: str, chunks: Iterable[bytes], *, executable: bool, staged: Path) -> None:
        """Write a file with the permissions of a new one; it appears under its name when it is complete.

        Args:
            path: where.
            chunks: its contents, in pieces.
            executable: whether it may be executed.
            staged: where it lies until then, on the same file system.
        """
        staged.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(staged, flags, 0o777 if executable else 0o666), "wb") as out:
            for chunk in chunks:
                out.write(chunk)
        self.publish(staged, path)

    def write_link(self, path: str, text: bytes, *, staged: Path) -> None:
        """Make a symbolic link, in place of a file or link of its name. Where it leads is not looked at."""
        staged.unlink(missing_ok=True)
        staged.symlink_to(os.fsdecode(text))
        self.publish(staged, path)

    def make_folder(self, path: str) -> None:
        """Make a folder, and those above it."""
        self._make_folder(self.place(f"{path}/x").parent, path)

    def existing(self, path: str) -> Path | None:
        """Return where `path` lies; None when it is not there, or only through a symbolic link."""
        self._validate(path)
        at = self.root
        for part in path.split("/")[:-1]:
            at = at / part
            try:
                if not stat.S_ISDIR(at.lstat().st_mode):
                    return None
            except OSError:
                return None
        final = self.root / path
        return final if os.path.lexists(final) else None

    def remove(self, path: str) -> bool:
        """Remove a file, a link (never its target) or an empty folder. False when a folder is not empty."""
        final = self.existing(path)
        if final is None:
            return True
        if final.is_dir() and not final.is_symlink():
            try:
                final.rmdir()
            except OSError:
                return False
        else:
            final.unlink(missing_ok=True)
        return True


def hash_file(path: Path) -> tuple[str, int]:
    """Return SHA-256 (hex) and length of a file, in flat memory."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size
