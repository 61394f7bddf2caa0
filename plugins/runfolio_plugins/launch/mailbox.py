"""Requests from inside a run to its launcher: log a value, capture the outputs now.

Each request is a file of its own, written under another name and renamed; the launcher answers with a second file. A
named pipe only wakes it. So nothing is lost or half read, whoever is killed, and a value of any size passes.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runfolio_plugins.launch import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VARIABLE: Final = "RUNFOLIO_REQUESTS"
"""Environment variable of a tracked script: the folder for requests."""
_REQUEST: Final = ".request"
_ANSWER: Final = ".answer"
_TAKEN: Final = ".taken"
_WAKE: Final = "wake"
_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.05


class Mailbox:
    """The launcher's side.

    Args:
        folder: for requests; made here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        folder.mkdir(mode=0o700)
        self.wake_fd: Final = processes.open_wake_pipe(folder / _WAKE)

    def answer_all(self, answer: Callable[[dict[str, Any]], Mapping[str, Any] | None]) -> None:
        """Answer every request that waits, in the order in which they were made.

        Args:
            answer: returns the answer to a request, or None when it is answered later with `reply`.
        """
        for path in sorted(self.folder.glob(f"*{_REQUEST}")):
            taken = path.with_suffix(_TAKEN)
            try:
                path.rename(taken)  # who asked may take the request back the same way: one of the two succeeds
                request = json.loads(taken.read_text(encoding="utf-8", errors="surrogatepass"))
            except (OSError, ValueError):
                continue
            found = answer({**request, "token": path.stem})
            if found is not None:
                self.reply(path.stem, found)

    def reply(self, token: str, content: Mapping[str, Any]) -> None:
        """Answer one request."""
        draft = self.folder / f"{token}.draft"
        try:
            draft.write_text(json.dumps(dict(content)), encoding="utf-8", errors="surrogatepass")
            draft.rename(draft.with_suffix(_ANSWER))
            (self.folder / f"{token}{_TAKEN}").unlink(missing_ok=True)
        except OSError:
            return  # who asked sees no answer, and says so

    def close(self) -> None:
        """Hear nothing more."""
        if self.wake_fd is not None:
            os.close(self.wake_fd)


def ask(request: Mapping[str, Any], *, timeout: float) -> dict[str, Any] | None:
    """Ask the launcher of the run that this process belongs to.

    Args:
        request: JSON values.
        timeout: seconds to wait for the answer.

    Returns:
        The answer; None when there is no launcher, or it did not take the request. The request is then void: it will
        not be carried out later.

    Raises:
        TimeoutError: the launcher took the request and has not answered in time.
    """
    place = os.environ.get(VARIABLE)
    if not place or not Path(place).is_dir() or not _launcher_lives(Path(place)):
        return None
    folder = Path(place)
    token = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
    draft = folder / f"{token}.draft"
    waiting, answer = folder / f"{token}{_REQUEST}", folder / f"{token}{_ANSWER}"
    try:
        draft.write_text(json.dumps(dict(request)), encoding="utf-8", errors="surrogatepass")
        draft.rename(waiting)
    except OSError:
        return None
    processes.wake(folder / _WAKE)
    limit, pause = time.monotonic() + timeout, _FIRST_PAUSE
    while True:
        try:
            found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8", errors="surrogatepass"))
        except FileNotFoundError:
            pass
        else:
            answer.unlink(missing_ok=True)
            return found
        if not folder.is_dir() or time.monotonic() >= limit or not _launcher_lives(folder):
            break
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    _take_back(waiting)
    return None


def _take_back(waiting: Path) -> None:
    try:
        waiting.unlink()
    except FileNotFoundError:
        if waiting.parent.is_dir() and _launcher_lives(waiting.parent):
            raise TimeoutError("the launcher of this run has not answered in time") from None


def _launcher_lives(folder: Path) -> bool:
    return processes.is_held(folder.parent / "lock")
