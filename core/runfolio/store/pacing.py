"""How often a writer flushes and beats: often while a run is young, seldom in a long one.

The intervals grow with the age of the run, so that a crash loses sight of at most a tenth of it, and a day costs fewer
than 500 requests. All values are data: `Pacing` can be made with others.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pacing:
    """When to flush and when to beat.

    Attributes:
        share: an interval is this share of the age of the run …
        flush_least: … but at least so many seconds for a flush,
        flush_most: and at most so many.
        beat_least: likewise for a heartbeat of the main writer,
        beat_most: which is also the interval of every other writer.
        rows: so many unsent rows are flushed at once, or `rows_share` of the rows stored, if that is more.
        rows_share: see `rows`.
    """

    share: float = 0.1
    flush_least: float = 2.0
    flush_most: float = 900.0
    beat_least: float = 30.0
    beat_most: float = 300.0
    rows: int = 200_000
    rows_share: float = 0.25

    def flush_interval(self, age: float) -> float:
        """Seconds between two flushes of a run that is `age` seconds old."""
        return min(self.flush_most, max(self.flush_least, self.share * age))

    def beat_interval(self, age: float, *, main: bool = True) -> float:
        """Seconds between two heartbeats of a writer that is `age` seconds old."""
        return min(self.beat_most, max(self.beat_least, self.share * age)) if main else self.beat_most

    def flush_due(self, age: float, since_flush: float, unsent: int, stored: int) -> bool:
        """Whether rows are to be sent now.

        Args:
            age: seconds since the writer began.
            since_flush: seconds since the last flush began, or since the writer began.
            unsent: rows in the journal that were never sent.
            stored: rows that were.
        """
        if unsent <= 0:
            return False
        return since_flush >= self.flush_interval(age) or unsent >= max(self.rows, self.rows_share * stored)

    def beat_due(self, age: float, since_beat: float, *, main: bool = True) -> bool:
        """Whether a heartbeat is to be sent now.

        Args:
            age: seconds since the writer began.
            since_beat: seconds since the last heartbeat, or since the writer began.
            main: the writer is the main one of its run.
        """
        return since_beat >= self.beat_interval(age, main=main)
