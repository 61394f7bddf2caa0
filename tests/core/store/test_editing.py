"""Edits and deletes: the later one wins whatever the clocks say, and a delete is final."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runfolio import layout
from runfolio.errors import InvalidNameError, PermissionDeniedError, RunStateError, StorageError
from runfolio.store.desk import Desk
from runfolio.store.documents import decode
from runfolio.store.editing import edit, intend_edit
from runfolio.store.ledger import Ledger
from runfolio.store.promoting import Promoter
from runfolio.store.run_folder import open_run
from runfolio.store.spooled import MemoryNotes
from runfolio.testing import FaultyBackend

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from runfolio.backend import Backend
    from runfolio.store.environment import Environment

RUN = "iris_1700000000000-00000"


@pytest.fixture
def change(environment: Environment) -> Callable[..., dict[str, Any]]:
    """Edit the run, each time in a process of its own."""

    def make(backend: Backend, field: str | None, value: object = None, **options: Any) -> dict[str, Any]:
        desk = Desk(backend, Ledger(MemoryNotes()), environment)
        return edit(desk, intend_edit(desk, run_id=RUN, project="iris", field=field, value=value, **options))

    return make


def _values(backend: Backend) -> dict[str, object]:
    return {one["field"]: one["value"] for one in open_run(backend, RUN).edits}


def test_the_later_one_wins_whatever_the_clocks_say(backend: Backend, change: Callable[..., Any], clock: Any) -> None:
    for value, shift in (("first", 0), ("second", -3600), ("third", -86_400 * 400), ("fourth", 5)):
        clock.now += shift
        change(backend, "name", value)
        assert _values(backend) == {"name": value}
    stamps = [layout.stamp_of(key) for key in open_run(backend, RUN).listing.edits]
    assert stamps == sorted(set(stamps))


def test_made_offline_keeps_its_own_clock(backend: Backend, change: Callable[..., Any], clock: Any) -> None:
    change(backend, "note", "online, an hour later")
    clock.now -= 3600
    change(backend, "note", "offline", offline=True)
    assert _values(backend) == {"note": "online, an hour later"}
    assert len(open_run(backend, RUN).edits) == 2  # it stays in the folder


def test_both_places_have_the_same(backend: Backend, change: Callable[..., Any]) -> None:
    stored = change(backend, "tag:sota", value=True, who="ada")
    (entry,) = [decode(backend.get(info.key), info.key) for info in backend.list(layout.LOG)]
    assert entry["body"] == stored == open_run(backend, RUN).edits[0]
    assert (stored["kind"], stored["field"], stored["value"], stored["who"]) == ("edit", "tag:sota", True, "ada")


@pytest.mark.parametrize("field", ["status", "", None, "tags", "number"])
def test_unknown_fields(backend: Backend, change: Callable[..., Any], field: str | None) -> None:
    with pytest.raises(InvalidNameError):
        change(backend, field, "x")
    assert [*backend.list()] == []


@pytest.mark.parametrize("field", ["name", "note", "description", "archived", "tag:a b", "x-anything"])
def test_known_fields(backend: Backend, change: Callable[..., Any], field: str) -> None:
    change(backend, field, "x")
    assert _values(backend) == {field: "x"}


@pytest.mark.parametrize("operation", ["list", "create", "put"])
@pytest.mark.parametrize("lost", [True, False], ids=["answer lost", "failed"])
def test_what_fails_is_finished_by_a_replay(
    backend: Backend, environment: Environment, operation: Any, lost: bool
) -> None:
    """Whatever step fails, the journal finishes the same edit, once."""
    faulty, notes = FaultyBackend(backend), MemoryNotes()
    desk = Desk(faulty, Ledger(notes), environment)
    token = intend_edit(desk, run_id=RUN, project="iris", field="name", value="x")
    (faulty.lose if lost else faulty.fail)(operation, error=StorageError("broken"))
    try:
        edit(desk, token)
    except StorageError:
        again = Desk(backend, Ledger(notes), environment)
        assert again.ledger.pending_edits == [token]
        edit(again, token)
    assert len(open_run(backend, RUN).edits) == 1
    assert len([*backend.list(layout.LOG)]) == 1
    assert Ledger(notes).pending_edits == []
    with pytest.raises(RunStateError):
        edit(Desk(backend, Ledger(notes), environment), token)


def test_a_copy_of_the_journal_finds_its_own_edit(backend: Backend, environment: Environment) -> None:
    """A journal restored from before the stamp was chosen does not make a second, newer edit of an old one."""
    notes = MemoryNotes()
    desk = Desk(backend, Ledger(notes), environment)
    token = intend_edit(desk, run_id=RUN, project="iris", field="name", value="old")
    restored = MemoryNotes(list(notes.noted))
    edit(desk, token)
    later = intend_edit(desk, run_id=RUN, project="iris", field="name", value="new")
    edit(desk, later)
    edit(Desk(backend, Ledger(restored), environment), token)
    assert _values(backend) == {"name": "new"}
    assert len(open_run(backend, RUN).edits) == 2


def _fill(backend: Backend) -> None:
    folder = layout.run_folder(RUN)
    for name in (
        "start.json",
        "attempt-2.json",
        "end-w.json",
        "live/x",
        "metrics/x",
        "outputs/x",
        "manifest-w.parquet",
    ):
        backend.put(f"{folder}{name}", b'{"format":1,"wid":"w","uid":"u","main":"m"}')
    backend.put(layout.beat(RUN, "main.0000000000000000"), b"{}")
    backend.put(layout.beat("iris_1700000000000-00001", "main.0000000000000000"), b"{}")
    backend.put(f"{folder[:-1]}0/start.json", b"{}")  # the folder of another run, whose id begins like this one's


def test_a_delete_keeps_the_claim(backend: Backend, change: Callable[..., Any]) -> None:
    """Everything goes but the start and the edits; other runs keep theirs."""
    _fill(backend)
    change(backend, "name", "x")
    change(backend, None, kind="delete")
    left = [info.key.removeprefix(layout.run_folder(RUN)) for info in backend.list(layout.run_folder(RUN))]
    assert [name.split("/")[0] for name in left] == ["edits", "edits", "start.json"]
    assert [info.key for info in backend.list(layout.BEATS)] == [
        layout.beat("iris_1700000000000-00001", "main.0000000000000000")
    ]
    assert backend.get(f"{layout.run_folder(RUN)[:-1]}0/start.json") == b"{}"
    assert open_run(backend, RUN).deleted


def _promote(backend: Backend, environment: Environment, *keys: str) -> Promoter:
    """Make version 1 of the asset "iris", of files of the run."""
    files = [{"path": key, "key": key, "size": 1, "sha256": "0" * 64} for key in keys]
    fields = {"path": "outputs", "files": files, "sha256": "0" * 64, "evidence": {}}
    promoter = Promoter(backend, environment)
    assert promoter.promote("iris", RUN, fields)["version"] == 1
    return promoter


def test_a_delete_spares_what_assets_name(
    backend: Backend, environment: Environment, change: Callable[..., Any]
) -> None:
    _fill(backend)
    folder = layout.run_folder(RUN)
    backend.put(f"{folder}outputs/.by-w/y", b"y")
    _promote(backend, environment, "outputs/.by-w/y")
    change(backend, None, kind="delete")
    left = [info.key.removeprefix(folder) for info in backend.list(folder)]
    assert [name.split("/")[0] for name in left] == ["edits", "outputs", "start.json"]
    assert backend.get(f"{folder}outputs/.by-w/y") == b"y"


def test_what_was_taken_back_is_not_spared(
    backend: Backend, environment: Environment, change: Callable[..., Any]
) -> None:
    _fill(backend)
    _promote(backend, environment, "outputs/x").retract("iris", 1)
    change(backend, None, kind="delete")
    assert [*backend.list(f"{layout.run_folder(RUN)}outputs/")] == []


def test_nothing_is_swept_while_an_asset_cannot_be_read(backend: Backend, change: Callable[..., Any]) -> None:
    """It may need any of the files: the run is deleted, and gc looks again."""
    _fill(backend)
    backend.put(layout.asset("iris", 1), b'{"format": 9, "wid": "x"}')
    change(backend, None, kind="delete")
    assert backend.get(f"{layout.run_folder(RUN)}outputs/x")
    assert open_run(backend, RUN).deleted


def test_a_delete_without_permission_to_delete(backend: Backend, change: Callable[..., Any]) -> None:
    """A writer that may not delete still deletes the run for everybody; its files wait for gc."""
    _fill(backend)
    faulty = FaultyBackend(backend).fail("delete", times=99, error=PermissionDeniedError("no"))
    assert change(faulty, None, kind="delete")["kind"] == "delete"
    assert open_run(backend, RUN).deleted
    assert backend.get(f"{layout.run_folder(RUN)}outputs/x")
