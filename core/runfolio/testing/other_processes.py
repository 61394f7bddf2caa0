"""What the kit lets other processes do, and how it starts and hears them. Imports no pytest: each child loads this.

A child says that it is ready, waits for the word to go, does its work, and sends what came of it.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from runfolio.errors import AlreadyExistsError, RunfolioError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from runfolio.backend import Backend

METHODS: Final = tuple(method for method in ("spawn", "fork") if method in multiprocessing.get_all_start_methods())
"""How processes come to be on this system: anew, or as copies of their parent."""
Work = Callable[..., object]


class NoAnswerError(AssertionError):
    """A process did not answer in time, or died without an answer."""


@dataclass
class OtherProcess:
    """A process that works for a test."""

    process: BaseProcess
    connection: Connection
    patience: float

    def go(self) -> None:
        """Let it begin."""
        self.connection.send("go")

    def answer(self) -> Any:
        """Return what it sends next.

        Raises:
            NoAnswerError: it did not send anything in time, or failed with an error, whose text is given.
        """
        if not self.connection.poll(self.patience):
            raise NoAnswerError(f"a process gave no answer within {self.patience} s: it hangs")
        try:
            kind, answer = self.connection.recv()
        except EOFError:
            self.process.join(self.patience)
            raise NoAnswerError(f"a process ended with exit code {self.process.exitcode} and no answer") from None
        if kind == "error":
            raise NoAnswerError(f"a process failed: {answer}")
        return answer


@contextmanager
def processes(
    method: str, works: Sequence[tuple[Work, Sequence[object]]], patience: float
) -> Generator[list[OtherProcess]]:
    """Start processes that are ready to go, one for each piece of work; none is left afterwards.

    Args:
        method: one of `METHODS`.
        works: functions of modules, each with its arguments. Backends among these are pickled, or inherited by a fork.
        patience: seconds to wait for an answer.
    """
    context: Any = multiprocessing.get_context(method)
    started: list[OtherProcess] = []
    try:
        for work, arguments in works:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_enter, args=(work, tuple(arguments), theirs, method == "fork"), daemon=True
            )
            with warnings.catch_warnings():
                # Newer Pythons warn of forking beside threads, which is what a backend has to stand.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            theirs.close()
            started.append(OtherProcess(process, ours, patience))
        for one in started:
            one.answer()
        yield started
    finally:
        for one in started:
            one.process.kill()
            one.process.join()
            one.connection.close()


def _enter(work: Work, arguments: tuple[Any, ...], connection: Connection, forked: bool) -> None:
    try:
        if forked:
            for one in arguments:
                if hasattr(one, "after_fork"):
                    one.after_fork()
        connection.send(("ready", None))
        connection.recv()
        connection.send(("done", work(*arguments, tell=lambda told: connection.send(("told", told)))))
    except BaseException as error:  # noqa: BLE001 (the top of a process: told to its parent)
        connection.send(("error", f"{type(error).__name__}: {error}"))


def created(backend: Backend, key: str, data: bytes) -> bool:
    """Create an object; False when somebody was faster."""
    try:
        backend.create(key, data)
    except AlreadyExistsError:
        return False
    return True


def create_each(backend: Backend, keys: Sequence[str], data: bytes, *, tell: Callable[[object], None]) -> list[bool]:
    """Try to create each of several keys; return which of them succeeded."""
    del tell
    return [created(backend, key, data) for key in keys]


def read_write_list(backend: Backend, who: str, *, tell: Callable[[object], None]) -> tuple[bytes, list[str]]:
    """Read an object, write another, delete a third; return what was read and what is listed."""
    del tell
    found = backend.get("shared/first")
    for at in range(5):
        backend.put(f"shared/{who}/{at}", who.encode() * (at + 1))
    backend.delete([f"shared/{who}/0"])
    return found, [info.key for info in backend.list(f"shared/{who}/")]


def peek_and_put(backend: Backend, key: str, mine: str, *, tell: Callable[[object], None]) -> str:
    """Try to read an object, and put another; return what came of it: the bytes as text, or the name of our error."""
    del tell
    try:
        found = backend.get(key).decode()
    except RunfolioError as error:
        found = type(error).__name__
    with suppress(RunfolioError):
        backend.put(mine, b"by another process")
    return found


def whole(number: int) -> bytes:
    """Return contents that show when a part of them is missing."""
    return bytes([number % 251]) * (200_000 + number)


def is_whole(data: bytes) -> bool:
    """Whether data is what `whole` made."""
    return len(data) >= 200_000 and data == whole(len(data) - 200_000)


def write_for_ever(backend: Backend, *, tell: Callable[[object], None]) -> None:
    """Replace, create and put large objects, and tell after each round."""
    number = 0
    while True:
        backend.put("killed/same", whole(number))
        created(backend, f"killed/{number:06d}", whole(number))
        backend.put(f"killed/put-{number:06d}", whole(number))
        number += 1
        tell(number)


def ask(target: Any, handle: str, *, tell: Callable[[object], None]) -> str:
    """Return the status of a job."""
    del tell
    return str(target.status(handle))


def submit(target: Any, job: Any, *, tell: Callable[[object], None]) -> str:
    """Submit a job, and end: the job goes on."""
    del tell
    handle: str = target.submit(job)
    return handle
