"""The background thread of a writer: flush, send files and edits, give a sign of life."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from runfolio.errors import RunfolioError
from runfolio.loading import load

if TYPE_CHECKING:
    from runfolio.recording.complaint import Complaint

_log: Final = logging.getLogger("runfolio")
_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 120.0
_NEEDED: Final = ("runfolio.store.opening", "runfolio.store.manifests", "pyarrow.acero", "pyarrow.parquet")
"""What a thread that sends runs loads late. pyarrow loads the third itself when rows are first grouped."""


class Flusher:
    """Calls `round` when it is due or when somebody waits, and goes on whatever happens.

    Args:
        work: does one round and returns the seconds until the next is due. Told whether somebody is waiting.
        name: for the thread.
        complaint: what the user is told of trouble.
    """

    def __init__(self, work: Callable[[bool], float], name: str, complaint: Complaint) -> None:
        self._work = work
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._complaint = complaint
        self._in_trouble = False
        self._pause = _FIRST_PAUSE
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Do a round now: somebody waits."""
        self._wake.set()

    def stop(self) -> None:
        """Have it end after the round that is under way."""
        self._stopping.set()
        self._wake.set()

    def join(self) -> None:
        """Wait until it has ended."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _loop(self) -> None:
        load(*_NEEDED)
        pause = 0.0
        while not self._stopping.is_set():
            wanted = self._wake.wait(pause)
            self._wake.clear()
            if self._stopping.is_set():
                return
            pause = self._round(wanted)

    def _round(self, wanted: bool) -> float:
        try:
            due = self._work(wanted)
        except (RunfolioError, OSError) as error:
            return self.trouble(error)
        except Exception:  # noqa: BLE001 (a thread's top: a defect must not stop the training, nor pass in silence)
            _log.exception("runfolio: the background thread failed; what was logged is kept in the local journal")
            return _LONGEST_PAUSE
        self._pause = _FIRST_PAUSE
        if self._in_trouble:
            self._in_trouble = False
            self._complaint.settle()
        return due

    def trouble(self, error: BaseException) -> float:
        """Say once that the store cannot be reached, and return how long to wait before the next try."""
        if not self._in_trouble:
            self._in_trouble = True
            self._complaint.tell(
                "runfolio: the store cannot be written now; what is logged is kept in the local journal, and sent when "
                "the store answers, else by the next run or `runfolio sync`: %s",
                error,
            )
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
        return pause
