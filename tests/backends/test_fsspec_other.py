"""The general adapter: what it finds out about a place, and what follows."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fsspec.registry import known_implementations

import runfolio as rf
from runfolio.errors import AlreadyExistsError, ConfigurationError, MissingDependencyError, NotFoundError
from runfolio.store.opening import open_store
from runfolio_backends.fsspec_other import FsspecOtherBackend

if TYPE_CHECKING:
    from runfolio.backend import Backend
    from store_access import TestStore


def test_a_folder_is_no_shared_store(tmp_path: Path) -> None:
    """fsspec's way of creating a local file looks first, so several writers can win."""
    url = f"fsspec+file://{tmp_path}/store"
    with FsspecOtherBackend(url) as backend:
        assert not backend.capabilities.conditional_create
        assert [*backend.list()] == []
    with pytest.raises(ConfigurationError, match="single_writer"):
        open_store(FsspecOtherBackend(url), create=True)


def test_a_single_writers_store_in_a_folder(tmp_path: Path, own_surroundings: Path) -> None:
    config = own_surroundings / "config" / "runfolio" / "config.toml"
    config.parent.mkdir(parents=True)
    url = f"fsspec+file://{tmp_path}/store"
    config.write_text(f"[stores.mine]\nurl = '{url}'\nsingle_writer = true\n")
    with rf.open_history("mine") as history:
        with history.start_run(project="p") as run:
            run.log("loss", 0.5)
            run.log_bytes("f.bin", b"x" * 100_000)
        stored = history.run(run.id)
        assert stored.status == "Completed"
        assert stored.artifacts["outputs/f.bin"].open().read() == b"x" * 100_000
    assert (tmp_path / "store" / "runfolio.json").is_file()
    assert not [*tmp_path.rglob("*.runfolio-partial")]


def test_memory_is_for_the_threads_of_this_process() -> None:
    with FsspecOtherBackend("fsspec+memory://mine/x") as backend:
        assert backend.capabilities.conditional_create
        assert not backend.capabilities.shared
    with rf.open_history("fsspec+memory://mine/history") as history:
        with history.start_run(project="p") as run:
            run.log("loss", 0.5)
        assert [one.id for one in history.runs(project="p")] == [run.id]


def test_a_conditional_put_is_tried_on_the_place(s3_store: TestStore) -> None:
    with FsspecOtherBackend(f"fsspec+{s3_store.url}") as backend:
        assert backend.capabilities.conditional_create
        assert [*backend.list()] == []
    with FsspecOtherBackend(f"fsspec+{s3_store.url}", single_writer=True) as alone:
        assert not alone.capabilities.conditional_create


def test_a_condition_that_is_ignored_is_found_out(rclone_store: TestStore) -> None:
    url = f"fsspec+{rclone_store.url}"
    with FsspecOtherBackend(url) as backend:
        assert not backend.capabilities.conditional_create
    with pytest.raises(ConfigurationError, match="single_writer"):
        open_store(FsspecOtherBackend(url), create=True)


def test_what_a_killed_writer_leaves_is_not_listed(tmp_path: Path) -> None:
    with FsspecOtherBackend(f"fsspec+file://{tmp_path}") as backend:
        backend.put("a/k", b"x")
        (tmp_path / "a" / ".0123.runfolio-partial").write_bytes(b"torn")
        assert [info.key for info in backend.list()] == ["a/k"]


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = {"class": "no_such_library.Odd", "err": "Install odd-fs"}
    monkeypatch.setitem(known_implementations, "odd", odd)
    with FsspecOtherBackend("fsspec+odd://x/y") as backend, pytest.raises(MissingDependencyError, match="odd-fs"):
        backend.get("k")


def test_it_is_pickled_without_its_file_system(tmp_path: Path) -> None:
    with FsspecOtherBackend(f"fsspec+file://{tmp_path}") as backend:
        backend.create("k", b"x")
        copy: Backend = pickle.loads(pickle.dumps(backend))
        assert copy.get("k") == b"x"
        with pytest.raises(AlreadyExistsError):
            copy.create("k", b"y")
        with pytest.raises(NotFoundError):
            copy.get("none")
