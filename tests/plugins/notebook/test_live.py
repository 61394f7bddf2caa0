from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runfolio_plugins.notebook.live import MOST_POINTS, Panel

if TYPE_CHECKING:
    import runfolio as rf


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_panel_grows_with_the_run_and_says_how_far_it_is(history: rf.History) -> None:
    shown: list[str] = []
    clock = Clock()
    panel = Panel([], 100, shown.append, clock)
    panel.update(None)
    assert shown == []
    with history.start_run() as run:
        run.log({"loss": 4.0, "system/cpu_percent": 3.0}, step=0)
        panel.update(run)
        assert "loss: last 4, min 4, max 4" in shown[-1]
        assert "1 of 100" in shown[-1]
        assert "system/" not in shown[-1]
        clock.now = 10.0
        for step in range(1, 21):
            run.log("loss", 1.0 / step, step=step)
        panel.update(run)
        assert "loss: last 0.05, min 0.05, max 4" in shown[-1]
        assert "21 of 100 · 2 steps/s · 0:00:40 left" in shown[-1]
        before = len(shown)
        panel.update(run)
        assert len(shown) == before  # nothing new, nothing drawn
        run.log("loss", 7.0, step=21)
        panel.update(run, last=True)
        assert "max 7" in shown[-1]
        assert "ended" in shown[-1]
    panel.update(run)
    assert "ended" in shown[-1]


def test_a_panel_stays_with_its_run(history: rf.History) -> None:
    shown: list[str] = []
    panel = Panel(["x"], None, shown.append)
    with history.start_run() as outer:
        outer.log("x", 1)
        panel.update(outer)
        with history.start_run() as inner:
            inner.log("x", 5)
            outer.log("x", 2)
            panel.update(inner)
            panel.update(inner, last=True)
        assert not panel.closed.is_set()
        assert outer.short_id in shown[-1]
        assert "last 2" in shown[-1]
        panel.update(outer, last=True)
    assert panel.closed.is_set()


def test_a_long_curve_keeps_its_spike_and_stays_small(history: rf.History) -> None:
    shown: list[str] = []
    panel = Panel(["x"], None, shown.append)
    with history.start_run() as run:
        for part in range(20):
            run.log_columns({"x": [1.0] * 500 + [100.0 if part == 7 else 2.0] + [1.0] * 499}, step=part * 1000)
            panel.update(run)
        assert "max 100" in shown[-1]
        (points,) = re.findall(r'points="([^"]*)"', shown[-1])
        assert len(points.split()) <= 2 * MOST_POINTS


def test_the_panel_of_a_run_that_has_ended_reads_nothing(history: rf.History) -> None:
    shown: list[str] = []
    panel = Panel(["x"], None, shown.append)
    run = history.start_run()
    run.log("x", 1)
    run.finish()
    panel.update(run)
    assert shown == []


def test_names_are_escaped(history: rf.History) -> None:
    shown: list[str] = []
    panel = Panel([], None, shown.append)
    with history.start_run() as run:
        run.log("<script>", 1.0)
        panel.update(run)
    assert "<script>" not in shown[-1]
    assert "&lt;script&gt;" in shown[-1]
