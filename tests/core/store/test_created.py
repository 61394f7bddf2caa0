"""Create-if-absent under lost answers: the stored object counts, and nothing unreadable is ever a success."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runfolio.errors import (
    FormatError,
    PermissionDeniedError,
    ReadOnlyError,
    StorageError,
    TransientStorageError,
)
from runfolio.store.created import create_document, create_parquet, parquet_wid
from runfolio.store.documents import encode
from runfolio.store.retrying import ONCE, Attempts, Patience, RetryingBackend
from runfolio.store.wrapping import WrappedBackend
from runfolio.testing import FaultyBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from runfolio.backend import Backend
    from runfolio.store.environment import Environment

MINE = {"format": 1, "wid": "mine", "value": 1}
THEIRS = {"format": 1, "wid": "theirs", "value": 2}


def test_fresh(backend: Backend, environment: Environment) -> None:
    done = create_document(backend, "k", MINE, environment)
    assert (done.ours, done.fresh, done.document) == (True, True, MINE)


def test_anothers(backend: Backend, environment: Environment) -> None:
    backend.put("k", encode(THEIRS))
    done = create_document(backend, "k", MINE, environment)
    assert (done.ours, done.document) == (False, THEIRS)
    assert backend.get("k") == encode(THEIRS)


def test_what_is_stored_counts(backend: Backend, environment: Environment) -> None:
    """An earlier attempt stored other contents under the same write id: they are adopted."""
    earlier = {**MINE, "value": 0, "unknown": [1]}
    backend.put("k", encode(earlier))
    done = create_document(backend, "k", MINE, environment)
    assert (done.ours, done.fresh, done.document) == (True, False, earlier)


@pytest.mark.parametrize("times", [1, 3])
def test_lost_answers(backend: Backend, environment: Environment, times: int) -> None:
    faulty = FaultyBackend(backend).lose("create", times=times).fail("get", times=times)
    assert create_document(faulty, "k", MINE, environment).ours


def test_failed_without_effect(backend: Backend, environment: Environment) -> None:
    faulty = FaultyBackend(backend).fail("create", times=3)
    done = create_document(faulty, "k", MINE, environment)
    assert (done.ours, done.fresh) == (True, True)


def test_doubt_about_anothers(backend: Backend, environment: Environment) -> None:
    """The answer is lost, and somebody else's object is there: a failure of ours, not a success."""
    backend.put("k", encode(THEIRS))
    faulty = FaultyBackend(backend).fail("create")
    assert not create_document(faulty, "k", MINE, environment).ours


@pytest.mark.parametrize("stored", [b"", b"{}", b"not json", b'{"format":1}', b'{"format":99,"wid":"mine"}', b"[1]"])
def test_unreadable_is_an_error(backend: Backend, environment: Environment, stored: bytes) -> None:
    backend.put("k", stored)
    with pytest.raises(FormatError):
        create_document(backend, "k", MINE, environment)
    assert backend.get("k") == stored


def test_torn_by_the_storage(backend: Backend, environment: Environment) -> None:
    """Storage that breaks its promise and stores half of it: never a success."""
    with pytest.raises(FormatError):
        create_document(FaultyBackend(backend).tear("create"), "k", MINE, environment)


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), ReadOnlyError("no")])
def test_refused_at_once(backend: Backend, environment: Environment, error: Exception) -> None:
    faulty = FaultyBackend(backend).fail("create", error=error, times=9)  # type: ignore[arg-type]  # both are ours
    with pytest.raises(type(error)):
        create_document(faulty, "k", MINE, environment)
    assert faulty.struck == 1


def test_a_full_disk_is_not_retried(backend: Backend, environment: Environment) -> None:
    faulty = FaultyBackend(backend).fail("create", error=StorageError("full"), times=9)
    with pytest.raises(StorageError, match="full"):
        create_document(faulty, "k", MINE, environment)
    assert faulty.struck == 1


def test_patience_ends(backend: Backend, environment: Environment, clock: Callable[[], float]) -> None:
    began = clock()
    faulty = FaultyBackend(backend).fail("create", times=99)
    with pytest.raises(TransientStorageError):
        create_document(faulty, "k", MINE, environment, Patience(attempts=4, first=1.0))
    assert faulty.struck == 4
    assert clock() - began <= 1 + 2 + 4


class _Vanishing(WrappedBackend):
    """Exists when it is created and is gone when it is read, a few times."""

    def __init__(self, inner: Backend, times: int) -> None:
        super().__init__(inner)
        self.left = times

    def create(self, key: str, data: bytes) -> None:
        if self.left:
            self.left -= 1
            self.inner.put(key, encode(THEIRS))
            try:
                self.inner.create(key, data)
            finally:
                self.inner.delete([key])
        self.inner.create(key, data)


def test_gone_is_created_again(backend: Backend, environment: Environment) -> None:
    assert create_document(_Vanishing(backend, 3), "k", MINE, environment).fresh
    backend.delete(["k"])
    with pytest.raises(TransientStorageError):
        create_document(_Vanishing(backend, 10**6), "k", MINE, environment, ONCE)


def _parquet(wid: str, columns: int = 1) -> bytes:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({f"a long name of a column {at}": [at] for at in range(columns)})
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"runfolio.wid": wid}), out)
    return out.getvalue()


@pytest.mark.parametrize("columns", [1, 2000], ids=["small", "footer beyond 64 KiB"])
def test_parquet(backend: Backend, environment: Environment, columns: int) -> None:
    data = _parquet("mine", columns)
    assert create_parquet(FaultyBackend(backend).lose("create"), "k", data, "mine", environment).ours
    assert parquet_wid(backend, "k") == "mine"
    backend.put("k", _parquet("theirs", columns))
    assert not create_parquet(backend, "k", data, "mine", environment).ours
    backend.put("k", data[: len(data) // 2])
    with pytest.raises(FormatError):
        create_parquet(backend, "k", data, "mine", environment)


def test_reads_are_sent_again(backend: Backend, environment: Environment) -> None:
    for at in range(9):
        backend.put(f"a/{at}", bytes([at]))
    faulty = FaultyBackend(backend).fail("get").lose("put").fail("stat").lose("delete").tear("list", times=2)
    backend = RetryingBackend(faulty, environment=environment)
    assert backend.get("a/1") == b"\x01"
    backend.put("a/1", b"x")
    assert backend.stat("a/1").size == 1
    assert [info.key for info in backend.list("a/")] == [f"a/{at}" for at in range(9)]
    backend.delete(["a/1"])
    assert faulty.struck == 6


def test_a_deadline_ends_the_patience(environment: Environment, clock: Callable[[], float]) -> None:
    attempts = Attempts(Patience(attempts=1000, first=5.0, deadline=30.0), environment)
    began = clock()

    def wait_for_ever() -> None:
        for _ in range(1000):
            attempts.wait(TransientStorageError("away"))

    with pytest.raises(TransientStorageError):
        wait_for_ever()
    assert clock() - began <= 30.0
