"""Copying files of a project: shared blocks where the file system has them, plain copies otherwise, never hard links.

What differs between operating systems in this package sits here and in `processes`.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from typing import Final

if sys.platform != "win32":
    import fcntl

_FICLONE: Final = 0x40049409
"""The ioctl of Linux that makes a file share the blocks of another one (btrfs, XFS, bcachefs, overlays of these)."""
_SMALL: Final = 256 * 1024
_CHUNK: Final = 8 * 1024 * 1024
_BINARY: Final = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Cloner:
    """Copies files one after the other and remembers what the file system can do.

    Attributes:
        shared: how many files share their blocks with the original.
        copied: how many were copied.
    """

    def __init__(self) -> None:
        self.shared = 0
        self.copied = 0
        self._reflinks = sys.platform == "linux"
        self._ranges = hasattr(os, "copy_file_range")

    def clone(self, source: str, target: str) -> tuple[int, int]:
        """Copy a file with its permissions and times. A change of one is never seen in the other.

        Returns:
            Size and modification time (ns) of the copy.

        Raises:
            OSError: the source cannot be read (or is no regular file any more), or the target exists or cannot be
            written.
        """
        flags = os.O_RDONLY | _BINARY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        reading = os.open(source, flags)
        try:
            state = os.fstat(reading)
            if not stat.S_ISREG(state.st_mode):
                raise OSError(errno.EINVAL, "it is no regular file any more", source)
            mode = stat.S_IMODE(state.st_mode) & 0o777
            writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode | stat.S_IWUSR)
            try:
                size = self._fill(reading, writing, state.st_size)
                if sys.platform != "win32":
                    os.fchmod(writing, mode)
                    os.utime(writing, ns=(state.st_atime_ns, state.st_mtime_ns))
            finally:
                os.close(writing)
        finally:
            os.close(reading)
        if sys.platform == "win32":
            shutil.copystat(source, target)
        return size, state.st_mtime_ns

    def _fill(self, reading: int, writing: int, size: int) -> int:
        if size and self._reflinks and self._share(reading, writing):
            self.shared += 1
            return os.fstat(writing).st_size
        self.copied += 1
        if size > _SMALL and self._ranges:
            done = self._copy_ranges(reading, writing)
            if done:
                return done
        return _copy_plainly(reading, writing)

    def _share(self, reading: int, writing: int) -> bool:
        if sys.platform == "linux":
            try:
                fcntl.ioctl(writing, _FICLONE, reading)
            except OSError:
                # Other file system, or one that cannot do it: the rest of the project lies in the same place.
                self._reflinks = False
            else:
                return True
        return False

    def _copy_ranges(self, reading: int, writing: int) -> int:
        """Let the kernel copy. Returns 0 when it cannot, with nothing written."""
        done = 0
        if sys.platform == "linux":
            try:
                while part := os.copy_file_range(reading, writing, _CHUNK * 16):
                    done += part
            except OSError:
                if done:
                    raise
                self._ranges = False
        return done


def _copy_plainly(reading: int, writing: int) -> int:
    done = 0
    while data := os.read(reading, _CHUNK):
        view = memoryview(data)
        while view:
            part = os.write(writing, view)
            view = view[part:]
            done += part
    return done


def link(target: str, place: str, *, folder: bool) -> bool:
    """Make a symbolic link; False where the system does not let this user make one (Windows without developer mode)."""
    try:
        os.symlink(target, place, target_is_directory=folder)  # noqa: PTH211 (thousands of links)
    except OSError as error:
        if sys.platform == "win32" or error.errno in (errno.EPERM, errno.EOPNOTSUPP):
            return False
        raise
    return True
