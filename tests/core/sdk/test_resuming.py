"""Runs that go on in another attempt."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

import pytest

import runfolio as rf


def steps(run: rf.Run, name: str = "loss") -> list[int]:
    found: list[int] = run.metric(name).to_arrow()["step"].to_pylist()
    return found


def tried_twice(history: rf.History, at_step: int = 5) -> rf.Run:
    """A run whose first attempt went to step 9 with worse and worse values, and whose second began at `at_step`."""
    with history.start_run() as first:
        for step in range(10):
            first.log("loss", 10.0 + step, step=step)
        first.log("only before", 1, step=9)
    with history.resume_run(first.id, at_step=at_step) as second:
        for step in range(at_step, 7):
            second.log("loss", float(step))
    return history.run(first.id)


def test_the_abandoned_tail_is_hidden_and_kept(history: rf.History) -> None:
    run = tried_twice(history)
    assert [0, 1, 2, 3, 4, 5, 6] == steps(run)
    assert [10.0, 11.0, 12.0, 13.0, 14.0, 5.0, 6.0] == list(run.metric("loss").values())
    assert [] == list(run.metric("only before").values())
    assert 13 == run.record.rows, "nothing was rewritten"


def test_lists_and_records_know_what_is_left(history: rf.History) -> None:
    run = tried_twice(history)
    (listed,) = history.runs(where="max(loss) = 14 and min(loss) = 5").records()
    for record in (run.record, listed):
        loss = record.metrics["loss"]
        assert (7, 6.0, 6, 4, 5) == (loss.count, loss.value, loss.last_step, loss.max_step, loss.min_step)
        assert "only before" not in record.metrics


def test_many_runs_compacted_or_not_are_read_alike(history: rf.History) -> None:
    runs = [tried_twice(history).id for _ in range(5)]
    with history.start_run() as other:
        other.log("loss", 1.0, step=100)

    def read() -> list[tuple[str, int]]:
        table = history.metrics([*runs, other.id])
        return list(zip(table["run_id"].to_pylist(), table["step"].to_pylist(), strict=True))

    expected = [(run, step) for run in runs for step in range(7)] + [(other.id, 100)]
    assert expected == read()
    history.compact()
    assert expected == read()


def test_a_cut_counts_for_everything_before_it(history: rf.History) -> None:
    """A third attempt may begin before the second one, and then nothing of that is left."""
    run = tried_twice(history)
    with history.resume_run(run.id, at_step=2) as third:
        third.log("loss", 0.0)
    assert [0, 1, 2] == steps(history.run(run.id))
    assert (3, 0.0, 11.0) == _summary(history, run)
    with history.resume_run(run.id) as fourth:
        fourth.log("loss", -1.0)
    assert [0, 1, 2, 3] == steps(history.run(run.id))
    assert (4, -1.0, 11.0) == _summary(history, run)


def _summary(history: rf.History, run: rf.Run) -> tuple[int, object, float | None]:
    loss = history.run(run.id).record.metrics["loss"]
    return loss.count, loss.value, loss.max


def test_other_writers_of_an_attempt_are_cut_too(history: rf.History) -> None:
    with history.start_run() as first, history.attach(first.id, writer="script") as script:
        for step in range(4):
            script.log("acc", step, step=step)
    with history.resume_run(first.id, at_step=2) as second, history.attach(first.id, writer="script") as script:
        script.log("acc", 20, step=2)
        assert 2 != second.number
    assert [0, 1, 20] == list(history.run(first.id).metric("acc").values())


def test_a_late_writer_of_an_earlier_attempt_is_cut_when_it_ends(history: rf.History) -> None:
    """It had stored nothing when the next attempt began."""
    first = history.start_run()
    straggler = history.attach(first.id, writer="rank1")
    first.finish()
    with history.resume_run(first.id, at_step=1):
        pass
    straggler.log({"a": 1}, step=0)
    straggler.log({"a": 2}, step=1)
    straggler.finish()
    assert [1] == list(history.run(first.id).metric("a").values())


@pytest.mark.not_in_memory("another process uses the store")
def test_a_killed_process_is_resumed_at_once(
    history: rf.History, script: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Its beat is fresh, but its journal says that it is gone, and is sent first."""
    killed = script(
        """
        import os, signal
        import runfolio as rf
        run = rf.start_run()
        for step in range(8):
            run.log("loss", step, step=step)
        print(run.id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert -signal.SIGKILL == killed.returncode
    with history.resume_run(killed.stdout.strip(), at_step=6) as again:
        again.log("loss", 60)
    assert [0, 1, 2, 3, 4, 5, 60] == list(history.run(again.id).metric("loss").values())


def test_a_run_that_seems_to_live_is_resumed_by_force_only(history: rf.History) -> None:
    with history.start_run() as first:
        first.log("a", 1, step=0)
        with pytest.raises(rf.RunStateError, match="force"):
            history.resume_run(first.id)
        with history.resume_run(first.id, at_step=0, force=True) as second:
            second.log("a", 2)
    assert "Completed" == history.run(first.id).status
    assert [2] == list(history.run(first.id).metric("a").values())


def test_the_index_made_anew_has_the_same(history: rf.History) -> None:
    tried_twice(history)
    before = history.runs().records()
    history.repair()
    assert before == history.runs().records()
