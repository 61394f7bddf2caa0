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
from typing import TYPE_CHECKING, Any, Final, Self

from runfolio_plugins.launch import processes
from runfolio_plugins.launch.streaming import Source

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from types import FrameType

    from runfolio_plugins.launch.streaming import OutputLog

DEFAULT_GRACE: Final = 10.0
"""Seconds between passing on a signal and killing."""
_LINGER: Final = 2.0
"""Seconds to wait for the output of processes that a script left behind."""
_IDLE: Final = 60.0
_POLL: Final = 0.2


class Interrupts:
    """The signals that reach the launcher while it is responsible for a run.

    The first Ctrl-C, SIGTERM, SIGHUP or SIGQUIT is passed on to the script and everything it started; a second one
    kills them. SIGUSR1 and SIGUSR2 are passed on to the script alone. Use as a context manager, in the main thread.

    Args:
        tell: told in words what happened.
        show: shows a line to whoever watches.
        grace: seconds that a script has after the first signal.
        time_limit: seconds that a script may take; then it is told to end, as by SIGTERM.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        show: Callable[[str], None] = lambda _: None,
        *,
        grace: float = DEFAULT_GRACE,
        time_limit: float | None = None,
    ) -> None:
        self.canceled_by: int | None = None
        """The first signal that ends the run."""
        self.timed_out = False
        """The script took longer than it may."""
        self.expires: float | None = None
        """When it will have."""
        self.time_limit: Final = time_limit
        self.deadline: float | None = None
        """When what is left of the script is killed."""
        self.grace: Final = grace
        self.resized = False
        self.wake_fd: int | None = None
        """Readable when a signal came."""
        self._tell = tell
        self._show = show
        self._unshown: list[str] = []
        self._count = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self._before: dict[int, Any] = {}
        self._fds: tuple[int, int] | None = None
        self._old_wake_fd = -1

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # signals go to the main thread; an embedder there decides what they mean
        reading, writing = os.pipe()
        for fd in (reading, writing):
            processes.set_non_blocking(fd)
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
        self._ended = self.timed_out = False
        self.expires = None if self.time_limit is None else time.monotonic() + self.time_limit
        if self.canceled_by is not None:
            processes.signal_group(process, self.canceled_by)
            self.deadline = time.monotonic() + self.grace

    @property
    def ending(self) -> bool:
        """Whether the script was told to end."""
        return self.timed_out or self.canceled_by is not None

    @property
    def asked(self) -> bool:
        """Whether anybody asked for an end, be it while the script ran or after it."""
        return self._count > 0

    def keep_up(self) -> None:
        """Show what signals did, which their handlers cannot; tell the script to end when its time is over."""
        while self._unshown:
            self._show(self._unshown.pop(0))
        if self.expires is None or time.monotonic() < self.expires or self._process is None:
            return
        self.expires = None
        if not self.ending:
            self.timed_out = True
            self._tell(f"the time limit of {self.time_limit:g} s is over: the script is told to end")
            self._show(f"runfolio: the time limit of {self.time_limit:g} s is over: the script is told to end")
            processes.signal_group(self._process, signal.SIGTERM)
            self.deadline = time.monotonic() + self.grace

    def release(self) -> None:
        """The program has ended: there is nothing to pass on any more, and nothing to cancel."""
        self._ended = True
        self._process = None
        self.deadline = self.expires = None

    def _cancel(self, number: int, _: FrameType | None) -> None:
        self._count += 1
        process = self._process
        if self._ended and self._count == 1:
            self._tell(f"{processes.signal_name(number)} received while files are being stored: once more stops that")
        elif self._count == 1:
            self.canceled_by = number
            self._tell(f"{processes.signal_name(number)} received: the run is canceled")
            self._unshown.append(
                f"runfolio: {processes.signal_name(number)}: the run is canceled; the script has {self.grace:g} s to "
                "end, and what it made is stored. Once more kills it"
            )
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

    def _note(self, *_: object) -> None:
        """Only the wake-up counts."""

    def _resize(self, *_: object) -> None:
        self.resized = True

    def _pause(self, *_: object) -> None:
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
    if not processes.PIPES_CAN_BE_WAITED_FOR:
        return _supervise_with_threads(process, sources, log, interrupts, on_request)
    with selectors.DefaultSelector() as selector:
        watch = _Watch(process, sources, log, interrupts, selector)
        watch.listen(requests_fd, on_request)
        watch.until_ended()
        left_running = processes.group_lives(process)
        if left_running and interrupts.ending:
            processes.kill_group(process)
            left_running = False
        watch.drain()
        for source in sources:
            source.finish(log)
    interrupts.release()
    return Ending(process.returncode, left_running)


class _Watch:
    """Waits for whatever comes next: output, a signal, a request, a moment at which something is due."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        sources: list[Source],
        log: OutputLog,
        interrupts: Interrupts,
        selector: selectors.BaseSelector,
    ) -> None:
        self._process = process
        self._sources = sources
        self._log = log
        self._interrupts = interrupts
        self._selector = selector
        self._open = 0
        self._ended: float | None = None

    def listen(self, requests_fd: int | None, on_request: Callable[[], None]) -> None:
        """Begin."""
        for source in self._sources:
            self._selector.register(source.reading, selectors.EVENT_READ, source)
            self._open += 1
        if self._interrupts.wake_fd is not None:
            self._selector.register(self._interrupts.wake_fd, selectors.EVENT_READ)
        if requests_fd is not None:
            self._selector.register(requests_fd, selectors.EVENT_READ, on_request)

    def until_ended(self) -> None:
        """Go on until the program and its output have ended. Processes left behind keep that open for a moment only."""
        while True:
            if self._ended is None and self._process.poll() is not None:
                self._ended = time.monotonic()
            if self._ended is not None and (not self._open or self._waited_enough(self._ended)):
                return
            for key, _ in self._selector.select(self._patience()):
                self._take(key)
            self._keep_up()

    def drain(self) -> None:
        """Take what is already there from channels that others keep open."""
        if not self._open:
            return
        for source in self._sources:
            processes.set_non_blocking(source.reading)
        limit = time.monotonic() + _LINGER
        while self._open and time.monotonic() < limit:
            ready = [key for key, _ in self._selector.select(0) if isinstance(key.data, Source)]
            if not ready:
                return
            for key in ready:
                self._take(key)

    def _take(self, key: selectors.SelectorKey) -> None:
        if isinstance(key.data, Source):
            if not key.data.pump(self._log):
                self._selector.unregister(key.fd)
                self._open -= 1
            return
        _empty(key.fd)
        if key.data is not None:
            key.data()

    def _patience(self) -> float:
        """Seconds until something has to be looked at without an event."""
        moments = [time.monotonic() + _IDLE]
        moments += [one for one in (self._interrupts.deadline, self._interrupts.expires) if one is not None]
        if self._ended is not None:
            moments.append(self._ended + _LINGER)
        elif self._interrupts.wake_fd is None or not self._open:
            return _POLL  # nothing announces the end of the program
        return max(0.0, min(moments) - time.monotonic())

    def _waited_enough(self, ended: float) -> bool:
        """Whether to stop listening to processes that the program left behind."""
        deadline = self._interrupts.deadline
        if deadline is not None and processes.group_lives(self._process):
            return time.monotonic() >= deadline
        return time.monotonic() >= ended + _LINGER

    def _keep_up(self) -> None:
        _keep_up(self._process, self._sources, self._interrupts)


def _keep_up(process: subprocess.Popen[bytes], sources: list[Source], interrupts: Interrupts) -> None:
    interrupts.keep_up()
    if interrupts.deadline is not None and time.monotonic() >= interrupts.deadline and process.poll() is None:
        processes.kill_group(process)
        interrupts.deadline = None
    if interrupts.resized:
        interrupts.resized = False
        for source in sources:
            if source.terminal and source.to is not None:
                processes.copy_size(source.to, source.reading)


def _empty(fd: int) -> None:
    """Take the wake-up bytes out of a pipe."""
    with contextlib.suppress(OSError):
        while os.read(fd, 4096):
            pass


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
    for source in sources:
        source.finish(log)
    on_request()
    interrupts.release()
    return Ending(process.returncode, left_running=False)
