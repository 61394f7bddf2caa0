"""Watching over a script while it runs: its output, the signals meant for it, requests from inside, and its end."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from runfolio_plugins.launch import processes

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from types import FrameType

    from runfolio_plugins.launch.streaming import OutputLog, Source

DEFAULT_GRACE: Final = 10.0
"""Seconds between passing on a signal and killing."""
_LINGER: Final = 2.0
"""Seconds to wait for the output of processes that a script left behind."""
_IDLE: Final = 60.0
_POLL: Final = 0.2


class Interrupts:
    """The signals that reach the launcher while it is responsible for a run.

    The first Ctrl-C, SIGTERM, SIGHUP or SIGQUIT is passed on to the script and everything it started; a second one kills them. SIGUSR1
    and SIGUSR2 are passed on to the script alone. Use as a context manager, in the main thread.

    Args:
        tell: told in words what happened.
        grace: seconds that a script has after the first signal.
    """

    def __init__(self, tell: Callable[[str], None], *, grace: float = DEFAULT_GRACE) -> None:
        self.canceled_by: int | None = None
        """The first signal that ends the run."""
        self.deadline: float | None = None
        """When what is left of the script is killed."""
        self.grace: Final = grace
        self.resized = False
        self.wake_fd: int | None = None
        """Readable when a signal came."""
        self._tell = tell
        self._count = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._before: dict[int, Any] = {}
        self._fds: tuple[int, int] | None = None
        self._old_wake_fd = -1

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is not threading.main_thread():
            return self  # signals go to the main thread; an embedder there decides what they mean
        reading, writing = os.pipe()
        for fd in (reading, writing):
            os.set_blocking(fd, False)  # noqa: FBT003  (a flag of the system call)
        self._fds = (reading, writing)
        self.wake_fd = reading
        self._old_wake_fd = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in processes.CANCELING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup: the user wants it to go on
                self._before[number] = signal.signal(number, self._cancel)
        for number in processes.PASSED_ON:
            self._before[number] = signal.signal(number, self._pass_on)
        if sys.platform != "win32":
            self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, self._note)
            self._before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, self._resize)
            if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
                self._before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._pause)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self._fds is not None:
            signal.set_wakeup_fd(self._old_wake_fd)
            for fd in self._fds:
                os.close(fd)
            self._fds = None
            self.wake_fd = None

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """Pass signals on to a program from now on; one that came before it was started is passed on at once."""
        self._process = process
        if self.canceled_by is not None:
            processes.signal_group(process, self.canceled_by)
            self.deadline = time.monotonic() + self.grace

    def release(self) -> None:
        """The program has ended: there is nothing to pass on any more."""
        self._process = None
        self.deadline = None

    def _cancel(self, number: int, _: FrameType | None) -> None:
        self._count += 1
        process = self._process
        if self._count == 1:
            self.canceled_by = number
            self._tell(f"{processes.signal_name(number)} received: the run is canceled")
            if process is not None:
                processes.signal_group(process, number)
                self.deadline = time.monotonic() + self.grace
        elif process is not None:
            self._tell(f"{processes.signal_name(number)} received again: the script is killed")
            processes.kill_group(process)
        else:
            self._tell(f"{processes.signal_name(number)} received again: what is not stored yet stays on this machine")
            raise KeyboardInterrupt

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        if self._process is not None:
            self._tell(f"{processes.signal_name(number)} passed on to the script")
            processes.signal_one(self._process, number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Only the wake-up counts."""

    def _resize(self, number: int, frame: FrameType | None) -> None:
        self.resized = True

    def _pause(self, number: int, _: FrameType | None) -> None:
        if sys.platform != "win32":
            if self._process is not None:
                processes.signal_group(self._process, signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)  # here we stay until the shell brings us back
            if self._process is not None:
                processes.signal_group(self._process, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ended.

    Attributes:
        returncode: as `subprocess` has it: negative for a signal.
        left_running: processes that it started live on.
    """

    returncode: int
    left_running: bool


def supervise(
    process: subprocess.Popen[bytes],
    sources: list[Source],
    log: OutputLog,
    interrupts: Interrupts,
    *,
    requests_fd: int | None = None,
    on_request: Callable[[], None] = lambda: None,
) -> Ending:
    """Pass on a program's output until it has ended and all of its output is there.

    Args:
        process: the program.
        sources: its channels.
        log: where all output goes.
        interrupts: the signals.
        requests_fd: readable when something inside the run asks for something.
        on_request: called then, in this thread.
    """
    if sys.platform == "win32":
        return _supervise_with_threads(process, sources, log, interrupts, on_request)
    with selectors.DefaultSelector() as selector:
        for source in sources:
            selector.register(source.reading, selectors.EVENT_READ, source)
        for fd in (interrupts.wake_fd, requests_fd):
            if fd is not None:
                selector.register(fd, selectors.EVENT_READ)
        open_sources = len(sources)
        ended: float | None = None
        while True:
            if process.poll() is not None and ended is None:
                ended = time.monotonic()
            if ended is not None and (not open_sources or _waited_enough(ended, interrupts, process)):
                break
            for key, _ in selector.select(_patience(ended, interrupts, open_sources)):
                if key.data is not None:
                    if not key.data.pump(log):
                        selector.unregister(key.fd)
                        open_sources -= 1
                elif _empty(key.fd) and key.fd == requests_fd:
                    on_request()
            _keep_up(process, sources, interrupts)
        left_running = processes.group_lives(process)
        if left_running and interrupts.canceled_by is not None:
            processes.kill_group(process)
            left_running = False
        if open_sources:
            _drain(selector, log)
    interrupts.release()
    return Ending(process.returncode, left_running)


def _patience(ended: float | None, interrupts: Interrupts, open_sources: int) -> float:
    """Seconds until something has to be looked at without an event."""
    moments = [] if interrupts.deadline is None else [interrupts.deadline]
    if ended is not None:
        moments.append(ended + _LINGER)
    elif interrupts.wake_fd is None or not open_sources:
        return _POLL  # nothing announces the end of the program
    return max(0.0, min(moments, default=time.monotonic() + _IDLE) - time.monotonic())


def _waited_enough(ended: float, interrupts: Interrupts, process: subprocess.Popen[bytes]) -> bool:
    """Whether to stop listening to processes that a program left behind."""
    if interrupts.deadline is not None and processes.group_lives(process):
        return time.monotonic() >= interrupts.deadline
    return time.monotonic() >= ended + _LINGER


def _keep_up(process: subprocess.Popen[bytes], sources: list[Source], interrupts: Interrupts) -> None:
    if interrupts.deadline is not None and time.monotonic() >= interrupts.deadline and process.poll() is None:
        processes.kill_group(process)
        interrupts.deadline = None
    if interrupts.resized:
        interrupts.resized = False
        for source in sources:
            if source.terminal and source.to is not None:
                processes.copy_size(source.to, source.reading)


def _empty(fd: int) -> bool:
    """Take the wake-up bytes out of a pipe. True when there were any."""
    found = False
    with contextlib.suppress(OSError):
        while os.read(fd, 4096):
            found = True
    return found


def _drain(selector: selectors.BaseSelector, log: OutputLog) -> None:
    """Take what is already there from channels that others keep open."""
    for source in _channels(selector):
        os.set_blocking(source.reading, False)  # noqa: FBT003  (a flag of the system call)
    limit = time.monotonic() + _LINGER
    while time.monotonic() < limit:
        ready = [key for key, _ in selector.select(0) if key.data is not None]
        if not ready:
            return
        for key in ready:
            if not key.data.pump(log):
                selector.unregister(key.fd)


def _channels(selector: selectors.BaseSelector) -> Iterator[Source]:
    return (key.data for key in selector.get_map().values() if key.data is not None)


def _supervise_with_threads(
    process: subprocess.Popen[bytes],
    sources: list[Source],
    log: OutputLog,
    interrupts: Interrupts,
    on_request: Callable[[], None],
) -> Ending:
    """The same where pipes cannot be waited for."""

    def pump(source: Source) -> None:
        while source.pump(log):
            pass

    threads = [threading.Thread(target=pump, args=(source,), daemon=True) for source in sources]
    for thread in threads:
        thread.start()
    while process.poll() is None:
        on_request()
        _keep_up(process, sources, interrupts)
        time.sleep(_POLL)
    for thread in threads:
        thread.join(_LINGER)
    on_request()
    interrupts.release()
    return Ending(process.returncode, left_running=False)
