"""What a released format wrote stays readable, value by value, and can be written on."""

from __future__ import annotations

import importlib.util
import json
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

import runfolio as rf

HERE = Path(__file__).parent
STORES = sorted((HERE / "stores").glob("*.tar.gz"))


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_store", HERE / "make_store.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_is_a_store_of_every_format() -> None:
    from runfolio.store.documents import FORMAT

    assert [path.name.split(".")[0] for path in STORES] == [str(version) for version in range(1, FORMAT + 1)]


@pytest.fixture(params=STORES, ids=lambda path: path.name)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, object]]:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path / "old", filter="data")
    kept = request.param.with_name(request.param.name.replace(".tar.gz", ".json"))
    return tmp_path / "old", json.loads(kept.read_text(encoding="utf-8"))


def test_everything_in_it_is_read_as_it_was_written(old: tuple[Path, dict[str, object]]) -> None:
    store, expected = old
    with rf.open_history(store, read_only=True) as history:
        assert maker().seen(history) == expected


def test_it_can_be_repaired_and_written_on(old: tuple[Path, dict[str, object]]) -> None:
    store, expected = old
    with rf.open_history(store) as history:
        assert history.repair().ok
        assert maker().seen(history) == expected
        with history.start_run(project="2024") as run:
            run.log("loss", 0.5)
        assert run.number == 4
        assert history.run(next(iter(expected))).to_dict()["run_id"] in expected
