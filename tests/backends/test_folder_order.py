"""A service that lists one folder after the other: nothing is missed there, and a check of the store says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import runfolio as rf
from runfolio import store_check
from runfolio.plugins import Plugins

pytest.importorskip("botocore")

from runfolio_backends import cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moto_s3 import MotoS3
    from seaweed_s3 import SeaweedS3
    from store_access import TestStore

pytestmark = pytest.mark.cloud

BUILT_IN = Plugins(enabled=["builtin_backends"])
ORDER = "list folders in order"


def entered(store: TestStore, monkeypatch: pytest.MonkeyPatch) -> rf.History:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return rf.open_history(store.url, project="p", plugins=BUILT_IN)


@pytest.fixture
def history(seaweed: SeaweedS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[rf.History]:
    with entered(seaweed.store(), monkeypatch) as opened:
        yield opened


def test_it_is_told_and_forbids_nothing(history: rf.History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_check, "_ROUNDS", 1)  # creates of one key wait for each other there, a second each
    report = history.check()
    assert report.ok
    (found,) = [one for one in report.guarantees if not one.ok]
    assert found.name == ORDER
    assert "one folder after the other" in found.detail
    assert "again" in found.remedy


def test_other_services_keep_the_order(moto: MotoS3, monkeypatch: pytest.MonkeyPatch) -> None:
    with entered(moto.store(), monkeypatch) as history:
        assert next(one for one in history.check().guarantees if one.name == ORDER).ok


def test_rows_of_running_runs_are_seen(history: rf.History) -> None:
    with history.start_run() as run:
        run.log("loss", 0.5)
        assert run.flush(timeout=60)
        assert history.run(run.id).metrics()["value"].to_pylist() == [0.5]
        assert history.metrics([run.id])["value"].to_pylist() == [0.5]


def test_folders_that_end_in_the_middle_of_a_page_stay_whole(
    history: rf.History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Projects of which one's name begins with the other's are listed the other way round."""
    for project in ("p", "p", "p-2", "p-2"):
        with history.start_run(project) as run:
            run.log("loss", 0.5)
    monkeypatch.setattr(cloud, "_PAGE", 4)
    before = [run.to_dict() for run in history.runs("*")]
    report = history.repair()
    assert (report.figures["runs"], report.problems) == (4, [])
    assert [run.to_dict() for run in history.runs("*")] == before
