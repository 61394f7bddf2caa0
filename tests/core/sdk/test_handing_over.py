"""A run that is begun in one process and executed by another: Queued in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import runfolio as rf
from runfolio.errors import RunStateError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def history(own_surroundings: Path) -> rf.History:
    return rf.open_history(own_surroundings / "store", project="p")


def test_a_run_that_was_handed_over_is_queued(history: rf.History) -> None:
    with history:
        begun = history.start_run(params={"lr": 0.1})
        begun.set_properties({"JobHandle": "42"})
        assert begun.hand_over(reason="job 42")
        run = history.run(begun.id)
        assert ("Queued", None, None) == (run.status, run.record.end_time_utc, run.record.duration_seconds)
        assert ("42", 0.1) == (run.properties["JobHandle"], run.params["lr"])
        assert run.ending is not None
        assert "job 42" == run.ending.reason
        assert not run.record.ended
        with pytest.raises(RunStateError):
            begun.log("loss", 1)


def test_lists_and_queries_know_it(history: rf.History) -> None:
    with history:
        queued = history.start_run()
        queued.hand_over()
        history.start_run().finish()
        assert ["Completed", "Queued"] == [run.status for run in history.runs()]
        assert [queued.id] == [run.id for run in history.runs(where="status == 'Queued'")]
        history.repair()  # from the folders alone
        assert ["Completed", "Queued"] == [run.status for run in history.runs()]


def test_whoever_goes_on_ends_it(history: rf.History) -> None:
    """The properties and packages of a run are those of where it executed."""
    with history:
        begun = history.start_run()
        begun.set_properties({"Host": "here", "Kept": 1})
        begun.hand_over()
        there = history.resume_run(begun.id, reason="the job has begun")
        assert "Running" == history.run(begun.id).status
        there.set_properties({"Host": "there"})
        there.log("loss", 0.5)
        there.finish("Failed", reason="exit code 3", exit_code=3)
        run = history.run(begun.id)
        assert ("Failed", "there", 1) == (run.status, run.properties["Host"], run.properties["Kept"])
        assert run.record.duration_seconds is not None
        assert [0.5] == run.metric("loss").to_arrow()["value"].to_pylist()
        assert run.packages


def test_a_late_hand_over_changes_nothing(history: rf.History) -> None:
    """The job began before whoever submitted it had written that it waits."""
    with history:
        begun = history.start_run()
        with pytest.raises(RunStateError):
            history.resume_run(begun.id)
        there = history.resume_run(begun.id, force=True)
        begun.hand_over()
        assert "Running" == history.run(begun.id).status
        there.finish()
        assert "Completed" == history.run(begun.id).status


def test_offline_it_is_queued_when_it_is_sent(own_surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNFOLIO_MODE", "offline")
    with rf.open_history(own_surroundings / "store", project="p") as away:
        begun = away.start_run()
        assert not begun.hand_over()
        assert "Queued" == begun.record.status
        assert begun.record.end_time_utc is None
    monkeypatch.setenv("RUNFOLIO_MODE", "online")
    with rf.open_history(own_surroundings / "store", project="p") as history:
        history.sync()
        assert "Queued" == history.run(begun.id).status


def test_the_source_is_there_before_anybody_goes_on(
    history: rf.History, own_surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = own_surroundings / "work" / "proj"
    root.mkdir()
    (root / "script.py").write_text("print(1)\n")
    (root / "runfolio.toml").write_text("project = 'p'\n")
    monkeypatch.chdir(root)
    with rf.open_history(own_surroundings / "store") as here:
        for _ in range(2):  # sent, and then unchanged
            begun = here.start_run(snapshot=here.take_snapshot())
            assert begun.store_source()
            assert begun.store_source()
            begun.hand_over()
            restored = here.run(begun.id).restore(own_surroundings / begun.id)
            assert {"runfolio.toml", "script.py"} == set(restored.added)
        without = here.start_run()
        assert not without.store_source()
        without.finish()
