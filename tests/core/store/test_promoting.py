"""Records of assets: new objects only, one number each, and a version of a run that is gone is taken back at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runfolio import layout
from runfolio.errors import FormatError, RunStateError, StorageError
from runfolio.store.asset_records import AssetReader, list_assets, pinned_files
from runfolio.store.desk import Desk
from runfolio.store.documents import encode
from runfolio.store.editing import edit, intend_edit
from runfolio.store.ledger import Ledger
from runfolio.store.promoting import Promoter
from runfolio.store.spooled import MemoryNotes
from runfolio.store.wrapping import WrappedBackend
from runfolio.testing import FaultyBackend

if TYPE_CHECKING:
    from runfolio.backend import Backend
    from runfolio.store.environment import Environment
    from runfolio.testing import CountingBackend

RUN = "iris_1700000000000-00000"
FIELDS: dict[str, Any] = {
    "path": "outputs/m.pkl",
    "files": [{"path": "outputs/m.pkl", "key": "outputs/m.pkl", "size": 1, "sha256": "0" * 64}],
    "sha256": "0" * 64,
    "evidence": {},
}


def _reader(backend: Backend, environment: Environment, name: str = "iris") -> AssetReader:
    return AssetReader(backend, list_assets(backend, name)[name], environment)


def test_each_promotion_is_a_version_of_its_own(backend: Backend, environment: Environment) -> None:
    promoter = Promoter(backend, environment, who="ada")
    made = [promoter.promote("iris", RUN, FIELDS) for _ in range(3)]
    assert [one["version"] for one in made] == [1, 2, 3]
    assert {one["who"] for one in made} == {"ada"}
    assert [info.key for info in backend.list(layout.ASSETS)] == [layout.asset("iris", n) for n in (3, 2, 1)]
    assert _reader(backend, environment).newest() == made[2]


def test_what_a_promotion_costs(counted: CountingBackend, environment: Environment) -> None:
    Promoter(counted, environment).promote("iris", RUN, FIELDS)
    assert [one.operation for one in counted.requests] == ["list", "create", "list"]


def test_a_version_of_a_deleted_run_is_taken_back_at_once(backend: Backend, environment: Environment) -> None:
    desk = Desk(backend, Ledger(MemoryNotes()), environment)
    edit(desk, intend_edit(desk, run_id=RUN, project="iris", field=None, kind="delete"))
    with pytest.raises(RunStateError):
        Promoter(backend, environment).promote("iris", RUN, FIELDS)
    reader = _reader(backend, environment)
    assert reader.newest() is None
    document, retraction = reader.version(1)
    assert document is not None
    assert retraction is not None
    assert pinned_files(backend, environment) == {}


@pytest.mark.parametrize("operation", ["list", "create", "get"])
def test_lost_answers_make_no_second_version(backend: Backend, environment: Environment, operation: Any) -> None:
    faulty = FaultyBackend(backend).lose(operation, times=2)
    assert Promoter(faulty, environment).promote("iris", RUN, FIELDS)["version"] == 1
    assert len([*backend.list(layout.ASSETS)]) == 1


def test_two_that_promote_at_one_moment_get_two_versions(backend: Backend, environment: Environment) -> None:
    """The number that was free when it was looked up is taken when it is claimed."""
    other = Promoter(backend, environment)

    class Overtaken(WrappedBackend):
        def create(self, key: str, data: bytes) -> None:
            if key == layout.asset("iris", 1) and not [*backend.list(layout.ASSETS)]:
                other.promote("iris", RUN, FIELDS)
            self.inner.create(key, data)

    assert Promoter(Overtaken(backend), environment).promote("iris", RUN, FIELDS)["version"] == 2


def test_a_check_that_fails_says_what_was_left(backend: Backend, environment: Environment) -> None:
    class Broken(WrappedBackend):
        def list(self, prefix: str = "", **options: Any) -> Any:
            if prefix.endswith("edits/"):
                raise StorageError("broken")
            return self.inner.list(prefix, **options)

    with pytest.raises(StorageError) as caught:
        Promoter(Broken(backend), environment).promote("iris", RUN, FIELDS)
    assert "runfolio assets retract iris@1" in "\n".join(caught.value.__notes__)
    backend.put(layout.edit(RUN, 1, "aa"), b"{}")
    with pytest.raises(FormatError) as damaged:
        Promoter(backend, environment).promote("iris", RUN, FIELDS)
    assert "runfolio assets retract iris@2" in "\n".join(damaged.value.__notes__)


def test_an_alias_moves_by_new_records(backend: Backend, environment: Environment) -> None:
    promoter = Promoter(backend, environment)
    seen = []
    for version in (1, 2, None, 1):
        promoter.alias("iris", "prod", version)
        promoter.alias("iris", "test", 7)
        seen.append(_reader(backend, environment).aliases(["prod"]))
    assert seen == [{"prod": 1}, {"prod": 2}, {}, {"prod": 1}]
    assert _reader(backend, environment).aliases() == {"prod": 1, "test": 7}
    assert len([*backend.list(layout.ASSETS)]) == 8
    assert _reader(backend, environment).listing.versions == []


def test_names_of_all_kinds_keep_apart(backend: Backend, environment: Environment) -> None:
    names = ["iris", "iris2", "model.pkl", "ein Modell", "Größe #1", "aliases", ".hidden"]
    for name in names:
        Promoter(backend, environment).promote(name, RUN, FIELDS)
    backend.put("assets/strange/file.json", b"{")
    backend.put("assets/%zz/0000000001.json", b"{")
    assert sorted(list_assets(backend)) == sorted(names)
    (owners,) = pinned_files(backend, environment).values()
    assert {name for name, _ in owners} == set(names)


@pytest.mark.parametrize(
    "change",
    [
        {"asset": "other"},
        {"version": 2},
        {"files": [{**FIELDS["files"][0], "path": "outputs/../../x"}]},
        {"files": [{**FIELDS["files"][0], "key": "../other/outputs/x"}]},
        {"files": [{**FIELDS["files"][0], "key": "start.json"}]},
        {"files": [{**FIELDS["files"][0], "size": -1}]},
        {"files": [{**FIELDS["files"][0], "sha256": "../../x"}]},
        {"files": ["outputs/x"]},
        {"files": None},
        {"run": 7},
        {"kind": None},
        {"format": 9},
    ],
    ids=str,
)
def test_a_record_that_lies_is_refused(backend: Backend, environment: Environment, change: dict[str, Any]) -> None:
    made = Promoter(backend, environment).promote("iris", RUN, FIELDS)
    backend.put(layout.asset("iris", 1), encode({**made, **change}))
    with pytest.raises(FormatError):
        _reader(backend, environment).newest()
    with pytest.raises(FormatError):
        pinned_files(backend, environment)
