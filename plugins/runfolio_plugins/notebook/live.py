"""A panel below a cell: curves that grow while a run of this process logs, and how far it has come.

What is shown comes from the journal of this process (`ActiveRun.tail`): no request, and nothing is added to `log`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from IPython.display import HTML, display

from runfolio.current import current_run
from runfolio.notebook_html import curve_html, points_of
from runfolio.rows.view import downsample

if TYPE_CHECKING:
    from runfolio.active_run import ActiveRun
    from runfolio.recording.tailing import Tail

INTERVAL: Final = 0.5
"""Seconds between two looks."""
MOST_POINTS: Final = 400
"""What of a curve is kept and drawn. The extremes of each stretch stay."""
_MOST_CURVES: Final = 4
_SYSTEM: Final = "system/"


class Panel:
    """Follows one run: the current one, or else the next one.

    Args:
        metrics: which to show; by default the first few that are logged, without those of the machine.
        total: how many steps there will be, if that is known.
        show: called with HTML when there is something new.
        clock: seconds.

    Attributes:
        run: the run, as soon as there is one.
        closed: the run has ended, or nobody looks any more.
    """

    def __init__(
        self,
        metrics: Sequence[str],
        total: int | None,
        show: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run: ActiveRun | None = None
        self.closed: Final = threading.Event()
        self._metrics = list(metrics)
        self._total = total
        self._show = show
        self._clock = clock
        self._lock = threading.Lock()
        self._tail: Tail | None = None
        self._rows: pa.Table | None = None
        self._done = 0
        self._began: tuple[float, int] | None = None

    def follow(self) -> None:
        """Look again and again in a thread, until `closed`."""
        threading.Thread(target=self._keep_looking, name="runfolio-live", daemon=True).start()

    def _keep_looking(self) -> None:
        while not self.closed.wait(INTERVAL):
            self.update(current_run())

    def update(self, run: ActiveRun | None, *, last: bool = False) -> None:
        """Look at what is new.

        Args:
            run: the run that is current, or that ends.
            last: it ends after this.
        """
        with self._lock:
            if self._tail is None and run is not None:
                self.run, self._tail = run, run.tail()
            if self._tail is None or self.closed.is_set() or (last and run != self.run):
                return
            new = self._tail.read(self._metrics or None)
            if last:
                self.closed.set()
            if new.num_rows or last:
                self._add(new)
                self._show(self._html())

    def _add(self, new: pa.Table) -> None:
        if new.num_rows:
            self._done = max(self._done, pc.max(new.column("step")).as_py() + 1)
            self._began = self._began or (self._clock(), self._done)
        both = new if self._rows is None else pa.concat_tables([self._rows, new]).unify_dictionaries()
        self._rows = downsample(both.combine_chunks(), MOST_POINTS)

    def _html(self) -> str:
        assert self.run is not None
        assert self._rows is not None
        names = self._metrics or self._first(self._rows.column("name").unique().to_pylist())
        curves = "".join(curve_html(name, points_of(self._rows, name)) for name in names)
        state = "ended" if self.closed.is_set() else "running"
        return f"<div><p><b>{escape(self.run.short_id)}</b> {state}{self._progress()}</p>{curves}</div>"

    @staticmethod
    def _first(names: list[str]) -> list[str]:
        return [name for name in names if not name.startswith(_SYSTEM)][:_MOST_CURVES]

    def _progress(self) -> str:
        if not self._total:
            return f" · {self._done} steps" if self._done else ""
        done = min(self._done, self._total)
        text = f" <progress value='{done}' max='{self._total}'></progress> {done} of {self._total}"
        began, first = self._began or (0.0, 0)
        seconds = self._clock() - began
        if self.closed.is_set() or seconds <= 0 or self._done <= first:
            return text
        rate = (self._done - first) / seconds
        left = timedelta(seconds=round((self._total - done) / rate))
        return f"{text} · {rate:.3g} steps/s · {left} left"


_panels: Final[list[Panel]] = []
"""Those that are kept up: at most one a run, and one that waits for a run."""


def show_live(metrics: Sequence[str], total: int | None) -> None:
    """Show a panel below this cell that follows the run of this process. An earlier panel of it stays as it is."""
    handle = display(HTML("<p>No run is logging yet.</p>"), display_id=True)
    assert handle is not None
    panel = Panel(metrics, total, lambda html: handle.update(HTML(html)))
    panel.update(current_run())
    for earlier in _panels:
        if earlier.run == panel.run:
            earlier.closed.set()
    _panels[:] = [*(one for one in _panels if not one.closed.is_set()), panel]
    panel.follow()


def show_last(run: ActiveRun) -> None:
    """Read what a run logged last, before it ends."""
    for panel in _panels:
        panel.update(run, last=True)
