"""What `log` returns: the promise that a value reaches the store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import final


@final
class Pending:
    """Values that were logged and are on their way to the store. All values of one flush share one object.

    Args:
        wake: called by each `wait`, so that whoever flushes need not sleep out its interval.
    """

    __slots__ = ("__weakref__", "_done", "_stored", "_wake")

    def __init__(self, wake: Callable[[], None] | None = None) -> None:
        self._done = threading.Event()
        self._stored = False
        self._wake = wake

    @property
    def stored(self) -> bool:
        """Whether the values are in the store by now."""
        return self._stored

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the values are in the *store*; never because the local journal has them.

        Never raises on trouble with the storage.

        Args:
            timeout: seconds to wait at most; without it, as long as it takes.

        Returns:
            True when they are in the store; False when the time is over, or the run was closed without reaching the
            store.
        """
        if not self._done.is_set():
            if self._wake is not None:
                self._wake()
            # The lock beneath refuses what does not fit its clock, and NaN: both mean "for as long as it takes".
            limited = timeout is not None and timeout < threading.TIMEOUT_MAX
            self._done.wait(max(timeout, 0.0) if limited and timeout is not None else None)
        return self._stored

    def resolve(self, *, stored: bool) -> None:
        """Tell everybody who waits. Called once, by the owner of the journal; later calls change nothing."""
        if not self._done.is_set():
            self._stored = stored
            self._done.set()

    def __repr__(self) -> str:
        state = "stored" if self._stored else "not stored" if self._done.is_set() else "on its way"
        return f"<Pending: {state}>"
