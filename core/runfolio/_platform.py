"""What differs between operating systems: file locks, the identity of a boot and of a process, cheap copies.

Linux is what the tests run on. The branches for macOS and Windows are type-checked and unverified.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

_FICLONE: Final = 0x40049409
"""The ioctl of Linux that makes a file share the blocks of another one (btrfs, XFS, bcachefs)."""
_MOST_PARTS: Final = 1000
"""Pieces that the kernel takes in one call: POSIX systems of today allow 1,024."""
_REFUSED: Final[set[int]] = set()
"""File systems that cannot share blocks."""


class FileLock:
    """A lock of the operating system on one file. The kernel frees it when the process ends, however it ends."""

    _held: ClassVar[weakref.WeakSet[FileLock]] = weakref.WeakSet()

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._fd = -1

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd >= 0

    def acquire(self) -> bool:
        """Take the lock if nobody has it. Returns at once; True when it is ours (also when it already was).

        Raises:
            OSError: the file cannot be opened or created.
        """
        if self.held:
            return True
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        if not _lock(fd):
            os.close(fd)
            return False
        self._fd = fd
        FileLock._held.add(self)
        return True

    def release(self) -> None:
        """Give the lock back. Harmless when it is not held."""
        fd, self._fd = self._fd, -1
        FileLock._held.discard(self)
        if fd >= 0:
            os.close(fd)

    def __repr__(self) -> str:
        return f"<FileLock {self.path.name} {'held' if self.held else 'free'}>"


def _forget_locks_of_parent() -> None:
    # The child shares the parent's open files: keeping them would keep the lock alive after the parent's death.
    for lock in list(FileLock._held):  # noqa: SLF001  (the class's own registry)
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks_of_parent)


def host_name() -> str:
    """The name of this machine, as the operating system tells it."""
    return socket.gethostname()


def user_name() -> str:
    """The user that this process runs as: the numeric id where there is one, since names come from the environment."""
    return _user_name()


def boot_id() -> str:
    """A word that changes with each start of the machine, or "" where the system has none."""
    return _boot_id()


def process_start(pid: int) -> str | None:
    """When a process of this machine was started, as a word to compare; None when there is no such process.

    A process id is used again after a while; together with this word it names one process of one boot. It is "" where
    the system does not tell.
    """
    return _process_start(pid)


def is_alive(pid: int, start: str) -> bool:
    """Whether the process that was started as `pid` at `start` (from `process_start`) still runs. In doubt: True."""
    found = process_start(pid)
    return found is not None and (not found or not start or found == start)


def clone_file(source: Path, target: Path) -> bool:
    """Copy the contents and the permission bits of a file; True when the copy shares blocks with it until one changes.

    Never a hard link: a change of one is never seen in the other.

    Raises:
        OSError: the source cannot be read or the target cannot be written.
    """
    shared = _reflink(source, target)
    if not shared:
        shutil.copyfile(source, target)
    shutil.copymode(source, target)
    return shared


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _start_by_signal(pid: int) -> str | None:
    """Whether a process exists, where the system does not tell when it was started."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""
    return ""


if sys.platform == "win32":
    import ctypes
    import msvcrt
    import winreg
    from ctypes import wintypes

    _MEMORY: Final = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
    _QUERY: Final = 0x1000
    _STILL_ACTIVE: Final = 259
    _ACCESS_DENIED: Final = 5

    def _lock(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def write_parts(fd: int, parts: Sequence[bytes | memoryview]) -> int:
        """Write bytes that lie in several pieces with one call; returns how many went out.

        Raises:
            OSError: none did.
        """
        return os.write(fd, parts[0] if len(parts) == 1 else b"".join(parts))

    def free_bytes(path: Path) -> int:
        """Bytes that this user can still write where a file lies.

        Raises:
            OSError: there is no such file.
        """
        return shutil.disk_usage(path.parent).free

    def _user_name() -> str:
        return getpass.getuser()

    def _boot_id() -> str:
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _MEMORY) as key:
                return str(winreg.QueryValueEx(key, "BootId")[0])
        except OSError:
            return ""

    def _process_start(pid: int) -> str | None:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = wintypes.HANDLE
        handle = kernel.OpenProcess(_QUERY, 0, pid)
        if not handle:
            return "" if ctypes.get_last_error() == _ACCESS_DENIED else None
        try:
            code = wintypes.DWORD()
            if kernel.GetExitCodeProcess(wintypes.HANDLE(handle), ctypes.byref(code)) and code.value != _STILL_ACTIVE:
                return None
            times = [wintypes.FILETIME() for _ in range(4)]
            if not kernel.GetProcessTimes(wintypes.HANDLE(handle), *(ctypes.byref(one) for one in times)):
                return ""
            return str((times[0].dwHighDateTime << 32) | times[0].dwLowDateTime)
        finally:
            kernel.CloseHandle(wintypes.HANDLE(handle))

else:
    import fcntl

    def _lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def write_parts(fd: int, parts: Sequence[bytes | memoryview]) -> int:
        """Write bytes that lie in several pieces with one call; returns how many went out.

        Raises:
            OSError: none did.
        """
        if len(parts) == 1:
            return os.write(fd, parts[0])
        return os.writev(fd, parts if len(parts) <= _MOST_PARTS else [b"".join(parts)])

    def free_bytes(path: Path) -> int:
        """Bytes that this user can still write where a file lies.

        Raises:
            OSError: there is no such file.
        """
        disk = os.statvfs(path)
        return disk.f_bavail * disk.f_frsize

    def _user_name() -> str:
        return str(os.getuid())

    if sys.platform == "darwin":

        def _boot_id() -> str:
            return _output("sysctl", "-n", "kern.bootsessionuuid")

        def _process_start(pid: int) -> str | None:
            return _output("ps", "-o", "lstart=", "-p", str(pid)) or _start_by_signal(pid)

    else:

        def _boot_id() -> str:
            try:
                return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            except OSError:
                return ""

        def _process_start(pid: int) -> str | None:
            try:
                stat = Path(f"/proc/{pid}/stat").read_bytes()
            except OSError:  # no such process, or no /proc
                return _start_by_signal(pid)
            fields = stat[stat.rindex(b")") + 2 :].split()  # the program's name may hold spaces and brackets
            return None if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")


if sys.platform == "linux":

    def _reflink(source: Path, target: Path) -> bool:
        device = source.stat().st_dev
        if device in _REFUSED:  # asking once for each file system is enough
            return False
        with source.open("rb") as reading, target.open("wb") as writing:
            try:
                fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
            except OSError:
                _REFUSED.add(device)
                return False
        return True

else:

    def _reflink(_source: Path, _target: Path) -> bool:
        return False
