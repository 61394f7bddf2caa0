"""The S3 backend beyond the kit and beyond what it shares with Azure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runfolio as rf
from fault_proxy import Answer, CutResponse, FaultProxy
from runfolio.errors import (
    AlreadyExistsError,
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    TransientStorageError,
)
from runfolio_backends.s3 import S3Backend

if TYPE_CHECKING:
    from http_messages import Head
    from moto_s3 import MotoS3
    from store_access import TestStore

MEBI = 1024 * 1024
OWNER = {"on_bucket": ["ListBucket"], "on_objects": ["GetObject", "PutObject", "DeleteObject"]}


@pytest.fixture
def proxy(moto: MotoS3, monkeypatch: pytest.MonkeyPatch) -> Generator[FaultProxy]:
    with FaultProxy(moto.server.ports[0]) as made:
        yield made


@pytest.fixture
def backend(moto: MotoS3, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Generator[S3Backend]:
    with S3Backend(enter(moto.store(endpoint=proxy.url), monkeypatch).url) as made:
        yield made


def enter(store: TestStore, monkeypatch: pytest.MonkeyPatch) -> TestStore:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return store


def creating(head: Head) -> bool:
    return any(name.lower() == "if-none-match" for name, _ in head.headers)


@pytest.mark.parametrize("code", ["PreconditionFailed", "AnotherNameForIt"])
def test_a_refused_condition_is_told_by_its_status(backend: S3Backend, proxy: FaultProxy, code: str) -> None:
    """Not every service says in the body which condition failed."""
    proxy.next(Answer(412, code), where=creating)
    with pytest.raises(AlreadyExistsError):
        backend.create("k", b"x")


def test_a_conflict_is_settled_by_trying_again(backend: S3Backend, proxy: FaultProxy) -> None:
    proxy.next(Answer(409, "ConditionalRequestConflict"), times=2, where=creating)
    backend.create("k", b"x")
    assert proxy.counts["PUT"] == 3
    proxy.always(Answer(409, "ConditionalRequestConflict"), where=creating)
    with pytest.raises(TransientStorageError):
        backend.create("n", b"x")


@pytest.mark.parametrize(
    ("status", "code", "expected", "words"),
    [
        (403, "RequestTimeTooSkewed", PermissionDeniedError, "clock"),
        (400, "ExpiredToken", PermissionDeniedError, "expired"),
        (403, "InvalidAccessKeyId", PermissionDeniedError, "credentials"),
        (301, "PermanentRedirect", StorageError, "region"),
        (400, "AuthorizationHeaderMalformed", StorageError, "region"),
        (403, "InvalidObjectState", StorageError, "archive"),
        (400, "KMS.DisabledException", StorageError, "KMS"),
    ],
)
def test_what_to_do_next(
    backend: S3Backend, proxy: FaultProxy, status: int, code: str, expected: type[StorageError], words: str
) -> None:
    proxy.always(Answer(status, code), where=lambda head: head.method == "GET")
    with pytest.raises(expected, match=words) as caught:
        backend.get("k")
    assert not caught.value.retryable


def test_no_credentials_at_all(proxy: FaultProxy, moto: MotoS3, monkeypatch: pytest.MonkeyPatch) -> None:
    store = enter(moto.store(endpoint=proxy.url), monkeypatch)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with S3Backend(store.url) as backend, pytest.raises(PermissionDeniedError, match="anonymous"):
        backend.get("k")
    with (
        pytest.raises(ConfigurationError, match=r"nobody|ProfileNotFound"),
        S3Backend(store.url, profile="nobody") as it,
    ):
        it.get("k")


def test_a_reader_reads_and_may_not_write(moto: MotoS3, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = moto.bucket()
    from moto_s3 import allow

    with S3Backend(enter(moto.store(bucket=bucket), monkeypatch).url) as owner:
        owner.put("a/k", b"x")
    key = moto.key(*allow(bucket, on_bucket=["ListBucket"], on_objects=["GetObject"]))
    with S3Backend(enter(moto.store(key, bucket), monkeypatch).url) as reader:
        assert reader.get("a/k") == b"x"
        assert [info.key for info in reader.list()] == ["a/k"]
        refused: tuple[Callable[[], object], ...] = (
            lambda: reader.put("a/k", b"y"),
            lambda: reader.create("a/n", b"y"),
            lambda: reader.delete(["a/k"]),
            lambda: reader.delete(["a/k", "a/l"]),
        )
        for send in refused:
            with pytest.raises(PermissionDeniedError):
                send()


def test_credentials_from_code(moto: MotoS3, monkeypatch: pytest.MonkeyPatch) -> None:
    store = enter(moto.store(), monkeypatch)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    given: dict[str, Any] = {"key": moto.admin.id, "secret": moto.admin.secret}
    with rf.open_history(store.url, storage_options=given) as history:
        with history.start_run(project="p") as run:
            run.log("loss", 0.5)
        assert history.run(run.id).status == "Completed"


def test_a_run_from_start_to_end(s3_store: TestStore) -> None:
    with rf.open_history(s3_store.url, storage_options=s3_store.options) as history:
        with history.start_run(project="iris", name="baseline") as run:
            for step in range(100):
                run.log("loss", 1 / (step + 1), step=step)
            run.log_bytes("model.bin", b"weights")
        stored = history.run(run.id)
        assert stored.status == "Completed"
        assert stored.metric("loss").to_arrow().num_rows == 100
        assert stored.artifacts["outputs/model.bin"].open().read() == b"weights"
        assert [one.id for one in history.runs(project="iris")] == [run.id]


def test_the_condition_of_an_old_botocore_is_missed_before_anything_is_sent(
    backend: S3Backend, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be dropped in silence, and `create` would overwrite."""
    from botocore.model import Shape, StructureShape

    known = vars(StructureShape)["members"]

    def without_condition(shape: StructureShape) -> dict[str, Shape]:
        return {name: one for name, one in known.__get__(shape, type(shape)).items() if name != "IfNoneMatch"}

    monkeypatch.setattr(StructureShape, "members", property(without_condition))
    with pytest.raises(ConfigurationError, match="upgrade"):
        backend.create("k", b"x")
    assert proxy.requests == []


def test_a_part_is_continued_where_it_broke_off(
    moto: MotoS3, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data, part = os.urandom(12 * MEBI), 5 * MEBI
    ranges: list[str] = []

    def second(head: Head) -> bool:
        ranges.append(head.header("Range"))
        return len(ranges) == 2

    with S3Backend(enter(moto.store(endpoint=proxy.url), monkeypatch).url, part_size=part, concurrency=1) as backend:
        backend.put("f", data)
        proxy.next(CutResponse(4 * MEBI), times=2, where=second)  # it happens once, and sees all
        backend.get_file("f", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == data
    begins = [int(one.removeprefix("bytes=").partition("-")[0]) for one in ranges]
    assert begins[:2] == [0, part]
    assert part < begins[2] <= part + 4 * MEBI
    assert begins[3:] == [2 * part]


def test_a_large_object_comes_in_few_ranges(
    moto: MotoS3, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its bytes are written as they come, so a range need not fit into memory."""
    data = os.urandom(48 * MEBI)
    with S3Backend(enter(moto.store(endpoint=proxy.url), monkeypatch).url, concurrency=1) as backend:
        backend.put("f", data)
        backend.get_file("f", tmp_path / "target")
    assert proxy.counts["GET"] == 5  # the first part of 6 MiB, then 12 MiB each
    assert (tmp_path / "target").read_bytes() == data


def test_a_range_from_a_service_that_knows_none(backend: S3Backend, moto: MotoS3) -> None:
    backend.put("k", b"")
    assert backend.get("k", 0, 5) == b""
    assert backend.get("k", -5) == b""
    with pytest.raises(NotFoundError):
        backend.get("none", 3, 3)


def test_the_library_is_named_when_it_is_missing() -> None:
    script = (
        "import sys; sys.modules['s3fs'] = None\n"
        "import runfolio as rf\n"
        "try: rf.open_history('s3://b/p').runs(limit=1)[:]\n"
        "except rf.errors.MissingDependencyError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "runfolio[s3]" in done.stdout
