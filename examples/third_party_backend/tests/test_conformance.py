"""The conformance kit of Runfolio on our backend, and what is particular to it."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import lmdb
import pytest

from runfolio.errors import ConfigurationError, NotFoundError, ReadOnlyError, RunfolioError, StorageError
from runfolio.testing.conformance import BackendConformance
from runfolio_lmdb import environments
from runfolio_lmdb.backend import LmdbBackend
from runfolio_lmdb.environments import ERRORS, translate_errors

if TYPE_CHECKING:
    from runfolio.backend import Backend

_LOCAL = "a database in a folder has no credentials and no connection"


class TestLmdb(BackendConformance):
    impossible = {
        "make_denied": _LOCAL,
        "make_missing": "the folder is made by the first write",
        "make_unreachable": _LOCAL,
        "make_undeletable": _LOCAL,
    }

    def make_backend(self, folder: Path) -> Backend:
        # Not durable: a test kills processes, not the machine.
        return LmdbBackend(f"lmdb://{folder}/a%20store", map_size=1024**3, durable=False)

    def make_read_only(self, backend: Backend) -> Backend:
        return LmdbBackend(backend.url, map_size=1024**3, read_only=True)


@pytest.mark.parametrize("url", ["lmdb://", "lmdb://host/folder", "lmdb:///", "s3://bucket"])
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        LmdbBackend(url)


def test_a_reader_makes_no_folder(tmp_path: Path) -> None:
    backend = LmdbBackend(f"lmdb://{tmp_path}/none")
    assert [*backend.list()] == []
    with pytest.raises(NotFoundError):
        backend.get("k")
    assert not (tmp_path / "none").exists()


def test_a_full_database_says_so_and_stays_readable(tmp_path: Path) -> None:
    with LmdbBackend(f"lmdb://{tmp_path}", map_size=1024**2) as backend:
        backend.put("k", b"x")
        with pytest.raises(StorageError, match="map_size"):
            backend.put("large", b"x" * 2 * 1024**2)
        assert backend.get("k") == b"x"
        assert [info.key for info in backend.list()] == ["k"]


def test_space_is_used_again(tmp_path: Path) -> None:
    """Objects that are replaced do not fill the database."""
    with LmdbBackend(f"lmdb://{tmp_path}", map_size=8 * 1024**2, durable=False) as backend:
        for at in range(50):
            backend.put("k", bytes([at]) * 1024**2)
        assert backend.get("k", 5, 6) == bytes([49])


def test_keys_that_differ_where_they_are_cut_stay_in_order(tmp_path: Path) -> None:
    """A character of several bytes may lie across the end of a head."""
    with LmdbBackend(f"lmdb://{tmp_path}", durable=False) as backend:
        keys = [f"{'h' * 479}{rest}" for rest in ("", "a", "z", "z/long", "ä", "ä/long", "漢字")]
        for key in reversed(keys):
            backend.put(key, key.encode())
        assert [info.key for info in backend.list()] == keys
        assert [backend.get(key) for key in keys] == [key.encode() for key in keys]


def test_every_error_of_lmdb_has_its_counterpart() -> None:
    for kind in vars(lmdb).values():
        if isinstance(kind, type) and issubclass(kind, lmdb.Error):
            with pytest.raises(RunfolioError), translate_errors("put", "k", "lmdb:///x"):
                raise kind("what lmdb says")
    assert ERRORS[lmdb.ReadonlyError] is ReadOnlyError


def test_closing_closes_the_database_once_nobody_uses_it(tmp_path: Path) -> None:
    first, second = (LmdbBackend(f"lmdb://{tmp_path}", durable=False) for _ in range(2))
    first.put("k", b"x")
    listing = second.list()
    assert next(listing).key == "k"
    first.close()
    assert second.get("k") == b"x"
    second.close()
    with lmdb.open(str(tmp_path), max_dbs=2) as alone:  # LMDB refuses what is open in this process already
        assert alone.stat()["entries"] == 2


def test_closing_while_others_read(tmp_path: Path) -> None:
    """A transaction that goes on in another thread is left to end."""
    backend = LmdbBackend(f"lmdb://{tmp_path}", durable=False)
    backend.put("k", b"x" * 100_000)
    failed: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(200):
                backend.get("k")
        except BaseException as error:
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in itertools.takewhile(lambda _: reader.is_alive(), itertools.count()):
        backend.close()
    reader.join()
    backend.close()
    assert failed == []
    assert not [place for place in environments._opened if str(tmp_path) in place[1]]
