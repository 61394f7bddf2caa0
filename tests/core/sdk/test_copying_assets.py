"""Assets go with the runs they were made of when a store is copied, and come back as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import runfolio as rf
from runfolio.plugins import Plugins


@pytest.fixture
def target(make_store_url: Callable[[], str]) -> Iterator[rf.History]:
    with rf.open_history(make_store_url(), project="p", plugins=Plugins(disabled=["system_metrics"])) as opened:
        yield opened


def make(history: rf.History, data: bytes, name: str = "r") -> rf.Run:
    with history.start_run(name=name) as run:
        run.log_bytes("outputs/m.pkl", data)
    return history.run(run.id)


def test_versions_aliases_and_what_was_taken_back_are_carried(history: rf.History, target: rf.History) -> None:
    for data in (b"one", b"two", b"three"):
        make(history, data).promote("outputs/m.pkl", name="iris")
    history.assets.alias("iris@1", "production")
    history.assets.retract("iris@3")
    report = history.copy_to(target)
    assert report.problems == []
    assert target.assets.versions("iris") == history.assets.versions("iris")
    assert target.assets.local_path("iris").read_bytes() == b"two"
    assert target.assets.local_path("iris@production").read_bytes() == b"one"
    again = history.copy_to(target)
    assert (again.objects, again.problems) == (0, [])


def test_the_files_of_a_deleted_run_that_an_asset_pins_are_carried(history: rf.History, target: rf.History) -> None:
    run = make(history, b"kept")
    run.promote("outputs/m.pkl", name="iris")
    run.delete()
    report = history.copy_to(target)
    assert (report.deleted, report.problems) == (1, [])
    assert target.assets.local_path("iris").read_bytes() == b"kept"
    target.gc(dry_run=False)
    assert history.copy_to(target).objects == 0
    assert target.assets.local_path("iris@1").read_bytes() == b"kept"


def test_only_assets_of_chosen_runs_are_carried(history: rf.History, target: rf.History) -> None:
    make(history, b"one", "a").promote("outputs/m.pkl", name="iris")
    make(history, b"two", "b").promote("outputs/m.pkl", name="iris")
    make(history, b"other", "b").promote("outputs/m.pkl", name="other")
    history.assets.alias("iris@2", "best")
    assert history.copy_to(target, where="name = 'a'").problems == []
    assert [one.version for one in target.assets.versions("iris")] == [1]
    assert [one.name for one in target.assets.list()] == ["iris"]
    with pytest.raises(rf.RunfolioError):
        target.assets.get("iris@best")


def test_a_version_of_its_own_stays_in_the_target(history: rf.History, target: rf.History) -> None:
    make(target, b"theirs").promote("outputs/m.pkl", name="iris")
    make(history, b"ours").promote("outputs/m.pkl", name="iris")
    report = history.copy_to(target)
    assert len(report.problems) == 1
    assert "assets/iris/" in report.problems[0]
    assert target.assets.local_path("iris").read_bytes() == b"theirs"
