"""Processes, signals and terminals: what differs between operating systems when a script is run.

Linux is what the tests run on. The branches for macOS and Windows are type-checked and unverified.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

if sys.platform != "win32":
    import fcntl
    import termios

CANCELING: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK") if hasattr(signal, name)
)
"""Signals that end a run as Canceled."""
PASSED_ON: Final = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))
"""Signals that mean something to the script only (job systems announce a preemption with them)."""
PIPES_CAN_BE_WAITED_FOR: Final = sys.platform != "win32"
"""Whether a selector takes pipes and terminals."""
_SHELL: Final = 128
_LOOKS: Final = 50
_INSTANT: Final = 0.002


def start(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdin: int | None,
    stdout: int,
    stderr: int,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own: a Ctrl-C reaches the launcher alone, which passes it on once.

    Raises:
        OSError: it cannot be started.
    """
    if sys.platform == "win32":
        return subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
        )
    else:  # noqa: RET505 (a type checker for another system must not see what follows)
        return subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a program and all that it started. Harmless when none of it lives."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            os.killpg(process.pid, number)


def signal_one(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a program alone."""
    with contextlib.suppress(OSError):
        process.send_signal(number)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started, at once."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def group_lives(process: subprocess.Popen[bytes]) -> bool:
    """Whether anything of a program's group is left, after the program itself was waited for."""
    if sys.platform != "win32":
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return not _all_ended(process.pid)
    else:  # noqa: RET505 (as above)
        return False


def _all_ended(group: int) -> bool:
    """Whether only ended processes are left of a group, as where the first process of a container reaps nothing."""
    try:
        entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    except OSError:
        return False
    if not entries:
        return False
    for entry in entries:
        try:
            stat = (entry / "stat").read_bytes()
        except OSError:
            continue
        state, _, its_group = stat[stat.rindex(b")") + 2 :].split()[:3]
        if int(its_group) == group and state not in (b"Z", b"X"):
            return False
    return True


def exit_code(returncode: int) -> int:
    """Return the exit code as shells give it: 128 plus the number of the signal that ended a program."""
    return _SHELL - returncode if returncode < 0 else returncode


def signal_name(number: int) -> str:
    """Return ``SIGKILL`` for 9, and so on."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def open_terminal(like: int) -> tuple[int, int]:
    """Make a pseudo-terminal for a program whose output goes to the terminal `like`.

    Returns:
        The end to read from, and the end to give to the program.

    Raises:
        OSError: there is none to be had.
    """
    if sys.platform != "win32":
        reading, writing = os.openpty()
        attributes = termios.tcgetattr(writing)
        attributes[1] &= ~termios.OPOST  # line ends stay as written: the real terminal, and the log, want them so
        termios.tcsetattr(writing, termios.TCSANOW, attributes)
        copy_size(like, reading)
        return reading, writing
    else:  # noqa: RET505 (as above)
        raise OSError("this system has no pseudo-terminals")


def copy_size(like: int, terminal: int) -> None:
    """Give a pseudo-terminal the size of a terminal. The system tells the program with SIGWINCH."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, fcntl.ioctl(like, termios.TIOCGWINSZ, bytes(8)))


def set_non_blocking(fd: int) -> None:
    """Make reading and writing of a descriptor return at once."""
    if sys.platform != "win32":
        os.set_blocking(fd, False)


def hold(path: Path) -> int | None:
    """Take the lock on a file until the descriptor is closed or the process ends; None when somebody else has it.

    Raises:
        OSError: the file cannot be opened.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415  (exists on Windows only)

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


def hold_surely(path: Path) -> int | None:
    """Take a lock that others may have for an instant, because they look whether it is taken; None when one keeps it.

    Raises:
        OSError: the file cannot be opened.
    """
    for _ in range(_LOOKS):
        fd = hold(path)
        if fd is not None:
            return fd
        time.sleep(_INSTANT)
    return None


def is_held(path: Path) -> bool:
    """Whether a living process has the lock on a file."""
    if not path.exists():
        return False
    try:
        fd = hold(path)
    except OSError:
        return False
    if fd is None:
        return True
    os.close(fd)
    return False


def open_wake_pipe(path: Path) -> int | None:
    """Make a named pipe that other processes can wake this one through; None where the system has none."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.mkfifo(path, 0o600)
            # Opened for both ways: it never comes to an end because a writer left.
            return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    return None


def wake(path: Path) -> None:
    """Wake whoever made a pipe with `open_wake_pipe`. Harmless when nobody listens any more."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            os.write(fd, b".")
        finally:
            os.close(fd)
