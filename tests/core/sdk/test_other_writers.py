"""The values of a running run that another process of this machine logs, such as the script of a tracked run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

import runfolio as rf
from runfolio.plugins import Plugins
from runfolio.store.beating import spread

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def history(store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[rf.History]:
    monkeypatch.setenv("RUNFOLIO_BEAT_INTERVAL", "0.1")
    with rf.open_history(store, project="p", plugins=Plugins(disabled=["system_metrics"])) as opened:
        yield opened


def test_they_are_shown_as_soon_as_the_main_writer_beats(history: rf.History, store: str) -> None:
    """The other writer's own first beat comes after five minutes: none of it is waited for here."""
    with history.start_run() as run, history.attach(run.id, "script") as script:
        script.log("loss", 0.5)
        script.log("loss", 0.25)
        assert script.flush(timeout=60)
        with rf.open_history(store, project="p") as reader:
            while "loss" not in (seen := reader.runs()[0].record).metrics:
                run.flush(timeout=0.1)  # wakes its thread
            assert (seen.status, seen.metrics["loss"].value, seen.metrics["loss"].count) == ("Running", 0.25, 2)
            assert reader.run(run.id).refresh().metrics["loss"].count == 2
            # The beat of the main writer is the only one there is.
            assert len([*history._backend.list("beats/")]) == 1
    ended = history.run(run.id).record
    assert (ended.status, ended.metrics["loss"].count) == ("Completed", 2)


@pytest.mark.parametrize(("own", "carried", "shown"), [(None, 3, 3), (2, 3, 3), (3, 3, 3), (4, 3, 4), (math.nan, 3, 3)])
def test_of_two_signs_of_one_writer_the_later_one_counts(own: float | None, carried: int, shown: int) -> None:
    beats: dict[str, Any] = {"main": {"rows": 0, "others": {"script": {"rows": carried}, "odd": None}}}
    if own is not None:
        beats["script"] = {"rows": own}
    found = spread(beats)
    assert {writer: beat["rows"] for writer, beat in found.items()} == {"main": 0, "script": shown}
    assert spread({"main": {"others": "nonsense"}}).keys() == {"main"}
