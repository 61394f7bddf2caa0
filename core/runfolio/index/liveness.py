"""Is a run that has not ended still alive? Told by the store's clock, not by those of writers and readers.

A beat is fresh when the store wrote it at most `FRESH` ago. Beats come every 30 s, later every 5 min, so a writer that
lives misses at least two before it counts as lost.

What the store's clock says *now* is not always known. The newest modification time that was seen, plus the time this
process has waited since, is a moment that has certainly passed: a beat that was old by then is `lost`. That a beat is
`alive` is only known from a clock that is close: one the caller brought, or one that was seen to move on while this
process looked. Otherwise it is `unknown`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from runfolio.backend import ObjectInfo

Liveness: TypeAlias = Literal["alive", "lost", "unknown"]
FRESH: Final = timedelta(minutes=15)
"""Three times the longest interval between beats."""


class StoreClock:
    """What is known of the store's clock.

    Args:
        exact: says what the store's clock shows now, where somebody knows: from a response, or because the store is a
            folder of this machine. It may return None.
        monotonic: seconds from some moment, never going back.
    """

    def __init__(
        self, exact: Callable[[], datetime | None] | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._exact = exact
        self._monotonic = monotonic
        self._newest: datetime | None = None
        self._seen_at = 0.0
        self._seen_moving = False

    def observe(self, listing: Iterable[ObjectInfo]) -> None:
        """Learn from the modification times of a listing."""
        newest = max((info.modified for info in listing if info.modified is not None), default=None)
        if newest is not None:
            self.observe_moment(newest)

    def observe_moment(self, moment: datetime) -> None:
        """Learn that the store's clock has shown this moment, for example when it took a put of ours."""
        known = self._passed()
        if known is None:
            self._newest, self._seen_at = moment, self._monotonic()
        elif moment > known:
            self._newest, self._seen_at = moment, self._monotonic()
            self._seen_moving = True
        elif self._newest is not None and moment > self._newest:
            self._seen_moving = True

    def observe_own_put(self, moment: datetime) -> None:
        """Learn when the store took a put that we have just made: this is now."""
        self.observe_moment(moment)
        self._seen_moving = True

    def _passed(self) -> datetime | None:
        if self._newest is None:
            return None
        return self._newest + timedelta(seconds=self._monotonic() - self._seen_at)

    def now(self) -> tuple[datetime | None, bool]:
        """A moment that the store's clock has reached, and whether it is close to what it shows now."""
        exact = self._exact() if self._exact is not None else None
        passed = self._passed()
        if exact is None:
            return passed, self._seen_moving
        return exact if passed is None else max(exact, passed), True

    def liveness(self, written: datetime | None) -> Liveness:
        """Whether a writer lives whose last sign the store wrote at this moment."""
        now, close = self.now()
        if now is None or written is None:
            return "unknown"
        if now - written > FRESH:
            return "lost"
        return "alive" if close else "unknown"

    def age(self, written: datetime | None) -> timedelta | None:
        """How long ago, at least, the store wrote something; None when that is not known."""
        now, _ = self.now()
        return None if now is None or written is None else now - written
