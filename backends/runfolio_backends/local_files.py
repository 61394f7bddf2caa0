"""Temporary files, and how they become objects: renamed, linked, copied, swept."""

# This room is system calls: os is what they are called, and pathlib would cost more than some of them.
from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, BinaryIO, Final

from runfolio.errors import StorageError
from runfolio_backends.local_errors import NAME
from runfolio_backends.local_rename import rename_exclusively

if TYPE_CHECKING:
    from runfolio.backend import Progress

_TEMPORARY: Final = re.compile(r"\.rf~[0-9a-f]{16}~")
_CHUNK: Final = 8 * 1024 * 1024
_NO_LINKS: Final = frozenset(
    {
        errno.EPERM,
        errno.EOPNOTSUPP,
        getattr(errno, "ENOTSUP", errno.EOPNOTSUPP),
        errno.ENOSYS,
        errno.EMLINK,
        errno.EXDEV,
    }
)
"""How file systems without hard links (FAT, some network and FUSE ones) refuse one."""
_TRIES: Final = 100


def is_temporary(name: str) -> bool:
    """Whether a file name is that of a temporary file: `LocalBackend` takes no key that has it as a part."""
    return name.startswith(".rf~") and _TEMPORARY.fullmatch(name) is not None


def write_temporary(path: str, data: bytes, *, fsync: bool) -> str:
    """Write `data` to a new temporary file beside `path` and return its name."""

    def fill(out: BinaryIO) -> None:
        out.write(data)

    return _new_temporary(path, fill, fsync=fsync)


def copy_to_temporary(source: BinaryIO, path: str, progress: Progress | None, *, fsync: bool) -> str:
    """Copy an open file to a new temporary file beside `path` and return its name."""
    return _new_temporary(path, lambda out: copy_bytes(source, out, progress), fsync=fsync)


def _new_temporary(path: str, fill: Callable[[BinaryIO], None], *, fsync: bool) -> str:
    temporary, out = _open_temporary(os.path.dirname(path))
    try:
        with out:
            fill(out)
            if fsync:
                out.flush()
                os.fsync(out.fileno())
    except BaseException:  # also when a signal handler raises: half a temporary file is of no use to anybody
        discard(temporary)
        raise
    return temporary


def _open_temporary(folder: str) -> tuple[str, BinaryIO]:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    for left in reversed(range(_TRIES)):
        name = os.path.join(folder, f".rf~{secrets.token_hex(8)}~")
        try:
            return name, os.fdopen(os.open(name, flags, 0o666), "r+b", buffering=0)
        except FileNotFoundError:
            # Not there yet, or another process has just deleted the last object in it and the empty folder with it.
            if not left:
                raise
            with contextlib.suppress(FileNotFoundError):
                _make_folders(folder)
    raise AssertionError("unreachable: the last try raises")


def _make_folders(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError:
        # `makedirs` met the folder, and when it looked again another process had just deleted it: the next try makes
        # it.
        if os.path.lexists(folder) and not os.path.isdir(folder):
            raise


def publish_new(temporary: str, path: str, *, single_writer: bool) -> None:
    """Give a temporary file the name `path` unless something has it. Exactly one of many callers succeeds.

    Raises:
        FileExistsError: something has that name.
        StorageError: this file system can do it in no way.
    """
    if os.name == "nt":
        os.rename(temporary, path)  # exclusive on Windows
        return
    try:
        os.link(temporary, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _publish_without_links(temporary, path, error, single_writer=single_writer)


def _publish_without_links(temporary: str, path: str, error: OSError, *, single_writer: bool) -> None:
    if rename_exclusively(temporary, path):
        return
    if not single_writer:
        raise StorageError(
            f"The file system of {os.path.dirname(path)} has neither hard links nor an exclusive rename, so two "
            "writers could take the same name. Keep the store elsewhere, or open it with single_writer=True if only "
            "one process at a time writes to it",
            backend=NAME,
            key=path,
            operation="create",
        ) from error
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from error
    os.replace(temporary, path)


def copy_bytes(source: BinaryIO, out: BinaryIO, progress: Progress | None) -> None:
    """Copy one open file into another, empty one: as a reflink, else inside the kernel, else chunk by chunk.

    What is appended to the source meanwhile is left out, so that a file that grows for ever does not keep us for ever.
    """
    size = os.fstat(source.fileno()).st_size
    if size and _clone(source, out):
        if progress is not None:
            progress(size)
        return
    done = 0
    in_kernel: Callable[[int, int, int, int, int], int] | None = getattr(os, "copy_file_range", None)
    while done < size:
        count = min(_CHUNK, size - done)
        if in_kernel is not None:
            try:
                moved = in_kernel(source.fileno(), out.fileno(), count, done, done)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                in_kernel = None
                continue
        else:
            moved = _copy_chunk(source, out, done, count)
        if not moved:
            if in_kernel is not None:  # some file systems answer 0 where they should refuse
                in_kernel = None
                continue
            return
        done += moved
        if progress is not None:
            progress(moved)


def _copy_chunk(source: BinaryIO, out: BinaryIO, at: int, count: int) -> int:
    source.seek(at)
    data = source.read(count)
    out.seek(at)
    left = memoryview(data)
    while left:
        left = left[out.write(left) :]
    return len(data)


def _clone(source: BinaryIO, out: BinaryIO) -> bool:
    """Share the blocks of a file with a new one, where the file system can (Btrfs, XFS, bcachefs)."""
    if sys.platform != "linux":
        return False
    import fcntl  # noqa: PLC0415 (not on every platform)

    ficlone = 0x40049409  # from linux/fs.h
    try:
        fcntl.ioctl(out.fileno(), ficlone, source.fileno())
    except OSError:
        return False
    return True


def remove(path: str) -> bool:
    """Delete a file and say whether there was one. A folder of that name is no object and stays."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (IsADirectoryError, PermissionError):
        # Unlinking a folder is EISDIR on Linux and EPERM on macOS.
        if os.path.isdir(path) and not os.path.islink(path):
            return False
        raise
    return True


def discard(path: str) -> None:
    """Delete a temporary file if it is still there."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def prune(folders: Iterable[str], root: str) -> None:
    """Remove folders that became empty, and those above them, as far as the root of the store. Best effort."""
    top = os.path.realpath(root)
    for start in folders:
        folder = start
        while len(folder) > len(top):
            try:
                os.rmdir(folder)  # refuses a folder with anything in it, also a temporary file just made
            except OSError:
                break
            folder = os.path.dirname(folder)


def sync_folder(folder: str) -> None:
    """Make the names in a folder survive a loss of power, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(root: str, older_than: float) -> int:
    """Delete temporary files last written more than `older_than` seconds ago, and return how many."""
    count = 0
    oldest = time.time() - older_than
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if is_temporary(name):
                with contextlib.suppress(FileNotFoundError):
                    if os.lstat(path).st_mtime < oldest:
                        os.unlink(path)
                        count += 1
    return count
