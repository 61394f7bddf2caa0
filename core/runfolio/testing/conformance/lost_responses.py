"""Rules for requests that took effect and whose answer was lost: what the core does about it, on this backend."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import pytest

from runfolio.errors import NotFoundError, PermissionDeniedError
from runfolio.store.created import create_document, create_parquet
from runfolio.store.documents import FORMAT
from runfolio.store.environment import Environment
from runfolio.store.retrying import RetryingBackend
from runfolio.testing.conformance.abilities import needs, refuses_to_be_shared
from runfolio.testing.conformance.stores import StoreRules
from runfolio.testing.counting import CountingBackend
from runfolio.testing.faults import FaultyBackend

if TYPE_CHECKING:
    from pathlib import Path

    from runfolio.backend import Backend

_OURS: Final = {"format": FORMAT, "wid": "ours", "value": 1}
_THEIRS: Final = {"format": FORMAT, "wid": "theirs", "value": 2}


def _impatient() -> Environment:
    """An environment in which waiting takes no time."""
    return Environment(sleep=lambda _: None)


class LostResponseConformance(StoreRules):
    """What is sent again does no harm, and what was created is known again."""

    @needs("conditional_create", otherwise=refuses_to_be_shared)
    @pytest.mark.parametrize("times", [1, 3], ids=["once", "three times"])
    @pytest.mark.parametrize("fault", ["lose", "fail"], ids=["answer lost", "not sent"])
    def test_unanswered_create(self, backend: Backend, fault: str, times: int) -> None:
        """A create without an answer is settled by reading back: it is ours, stored once, and nobody else's after."""
        faulty = FaultyBackend(backend)
        (faulty.lose if fault == "lose" else faulty.fail)("create", times=times)
        made = create_document(faulty, "a/document.json", _OURS, _impatient())
        assert (made.ours, made.document) == (True, _OURS)
        assert faulty.struck >= 1
        assert [info.key for info in backend.list()] == ["a/document.json"]
        again = create_document(backend, "a/document.json", _OURS, _impatient())
        assert (again.ours, again.fresh) == (True, False)
        other = create_document(backend, "a/document.json", _THEIRS, _impatient())
        assert (other.ours, other.document) == (False, _OURS)

    @needs("conditional_create", otherwise=refuses_to_be_shared)
    def test_unanswered_create_that_somebody_else_won(self, backend: Backend) -> None:
        """A create without an answer, of a key that somebody else has, ends with theirs untouched."""
        create_document(backend, "k", _THEIRS, _impatient())
        before = self.raw_get(backend, "k")
        made = create_document(FaultyBackend(backend).lose("create"), "k", _OURS, _impatient())
        assert (made.ours, made.document) == (False, _THEIRS)
        assert self.raw_get(backend, "k") == before

    @needs("conditional_create", otherwise=refuses_to_be_shared)
    def test_unanswered_create_of_a_parquet_file(self, backend: Backend) -> None:
        """A Parquet file is known again by its footer, read from the end of the object."""
        import pyarrow as pa  # noqa: PLC0415 (loaded on use)
        import pyarrow.parquet as pq  # noqa: PLC0415 (loaded on use)

        def contents(wid: str) -> bytes:
            out = io.BytesIO()
            table = pa.table({"value": pa.array(range(50_000))})
            pq.write_table(table.replace_schema_metadata({"runfolio.wid": wid}), out)
            return out.getvalue()

        sent = contents("ours")
        faulty = FaultyBackend(backend).lose("create")
        assert create_parquet(faulty, "rows.parquet", sent, "ours", _impatient()).ours
        assert not create_parquet(backend, "rows.parquet", contents("theirs"), "theirs", _impatient()).ours
        assert self.raw_get(backend, "rows.parquet") == sent

    @needs("conditional_create", otherwise=refuses_to_be_shared)
    def test_refused_create(self, backend: Backend) -> None:
        """A create that was refused is not sent again, and leaves nothing."""
        refused = FaultyBackend(backend).fail("create", error=PermissionDeniedError("refused, as asked for"))
        counting = CountingBackend(refused)
        with pytest.raises(PermissionDeniedError):
            create_document(counting, "k", _OURS, _impatient())
        assert counting.counts() == {"create": 1}
        assert [*backend.list()] == []

    @pytest.mark.parametrize("fault", ["lose", "fail"], ids=["answer lost", "not sent"])
    def test_unanswered_put(self, backend: Backend, fault: str) -> None:
        """A put that is sent again leaves the object once, with the bytes that were put last."""
        backend.put("a/k", b"before")
        faulty = FaultyBackend(backend)
        (faulty.lose if fault == "lose" else faulty.fail)("put", times=2)
        RetryingBackend(faulty, environment=_impatient()).put("a/k", b"after")
        assert faulty.struck == 2
        assert self.raw_get(backend, "a/k") == b"after"
        assert [(info.key, info.size) for info in backend.list()] == [("a/k", 5)]

    @pytest.mark.parametrize("fault", ["lose", "fail", "tear"], ids=["answer lost", "not sent", "half done"])
    def test_unanswered_delete(self, backend: Backend, fault: str) -> None:
        """A delete that is sent again removes what it names and nothing else."""
        for key in ("a/1", "a/2", "a/3"):
            backend.put(key, b"x")
        faulty = FaultyBackend(backend)
        {"lose": faulty.lose, "fail": faulty.fail, "tear": faulty.tear}[fault]("delete", times=2)
        RetryingBackend(faulty, environment=_impatient()).delete(["a/1", "a/3"])
        assert [info.key for info in backend.list()] == ["a/2"]
        with pytest.raises(NotFoundError):
            backend.get("a/1")

    def test_broken_off_list(self, backend: Backend) -> None:
        """A listing that breaks off goes on where it was: each object once, none left out."""
        keys = [f"a/{at:03d}" for at in range(200)]
        for key in keys:
            self.raw_put(backend, key, b"x")
        broken = RetryingBackend(FaultyBackend(backend).tear("list", times=3), environment=_impatient())
        assert [info.key for info in broken.list("a/")] == keys
        broken = RetryingBackend(FaultyBackend(backend).tear("list", times=3), environment=_impatient())
        assert [info.key for info in broken.list("a/", limit=150)] == keys[:150]

    def test_repeated_file(self, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
        """A file whose transfer has to be repeated arrives whole, in both directions."""
        folder: Path = tmp_path_factory.mktemp("files")
        (folder / "source").write_bytes(b"contents" * 50_000)
        faulty = FaultyBackend(backend).lose("put").fail("get")
        patient = RetryingBackend(faulty, environment=_impatient())
        patient.put_file("k", folder / "source")
        patient.get_file("k", folder / "target")
        assert (folder / "target").read_bytes() == b"contents" * 50_000 == self.raw_get(backend, "k")
        assert faulty.struck == 2
