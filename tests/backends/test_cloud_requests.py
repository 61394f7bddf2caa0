"""What the S3 and Azure backends send, and what they make of answers, seen through a proxy before a real server."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fault_proxy import (
    NOT_IMPLEMENTED,
    SLOW_DOWN,
    TOO_MANY_REQUESTS,
    Answer,
    CutResponse,
    Fault,
    FaultProxy,
    LoseResponse,
)
from runfolio.errors import (
    AlreadyExistsError,
    NotFoundError,
    PermissionDeniedError,
    RunfolioError,
    StorageError,
    TransientStorageError,
)

if TYPE_CHECKING:
    from azurite_blobs import AzuriteBlobs
    from http_messages import Head
    from moto_s3 import MotoS3
    from runfolio_backends.cloud import CloudBackend

pytestmark = pytest.mark.cloud

MEBI = 1024 * 1024


@dataclass
class Cloud:
    """A service behind a proxy.

    Attributes:
        proxy: between the backend and the service.
        url: of an empty store.
        make: makes a backend of a URL and options.
        absent: a URL whose bucket or container does not exist.
        put_raw: stores an object beside the backend: its path and, on Azure, metadata.
        parts_left: how many unfinished parts of uploads there are.
        break_key: puts a wrong secret key into the environment and returns it.
    """

    proxy: FaultProxy
    url: str
    make: Callable[..., CloudBackend]
    absent: str
    put_raw: Callable[..., object]
    parts_left: Callable[[], int]
    break_key: Callable[[], str]

    def requests(self, method: str, *, holding: str = "") -> list[str]:
        """The targets of the requests so far."""
        return [target for one, target in self.proxy.requests if one == method and holding in target]


@pytest.fixture(params=["s3", "azure"])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[Cloud]:
    made = _s3(request, monkeypatch) if request.param == "s3" else _azure(request, monkeypatch)
    with made.proxy:
        yield made


def _s3(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    from runfolio_backends.s3 import S3Backend

    moto: MotoS3 = request.getfixturevalue("moto")
    proxy, bucket = FaultProxy(moto.server.ports[0]), moto.bucket()
    store = moto.store(bucket=bucket, endpoint=proxy.url)
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)

    def break_key() -> str:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-wrong-secret")
        return "wrong-wrong-secret"

    return Cloud(
        proxy,
        store.url,
        S3Backend,
        "s3://no-such-bucket-anywhere/x",
        lambda path, metadata=None: moto.s3.put_object(Bucket=bucket, Key=path, Body=b""),
        lambda: len(moto.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])),
        break_key,
    )


def _azure(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    from runfolio_backends.azure import AzureBackend

    azurite: AzuriteBlobs = request.getfixturevalue("azurite")
    proxy, container = FaultProxy(azurite.server.ports[0]), azurite.container()
    store = azurite.store(azurite.connection_string(server=proxy.url), container)
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)

    def break_key() -> str:
        wrong = "d3JvbmctbG9uZy1zZWNyZXQtd3Jvbmc="
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string(key=wrong, server=proxy.url))
        return wrong

    return Cloud(
        proxy,
        store.url,
        AzureBackend,
        "az://no-such-container/x",
        lambda path, metadata=None: azurite.service.get_blob_client(container, path).upload_blob(
            b"", metadata=metadata
        ),
        lambda: 0,  # the service forgets them by itself
        break_key,
    )


def conditional(head: Head) -> bool:
    return any(name.lower() == "if-none-match" for name, _ in head.headers)


@pytest.mark.parametrize("size", [0, 5, 20 * MEBI], ids=["empty", "small", "large"])
def test_creating_is_one_conditional_request(cloud: Cloud, size: int) -> None:
    with cloud.make(cloud.url) as backend:
        backend.create("k", b"x" * size)
        assert len(cloud.proxy.requests) == 1
        assert cloud.proxy.counts["PUT"] == 1
        with pytest.raises(AlreadyExistsError):
            backend.create("k", b"y")
        assert len(cloud.proxy.requests) == 2
        assert backend.stat("k").size == size


def test_one_request_each_and_none_of_the_librarys_own(cloud: Cloud) -> None:
    with cloud.make(cloud.url) as backend:
        for action, expected in (
            (lambda: backend.put("a/k", b"0123456789"), 1),
            (lambda: backend.get("a/k"), 1),
            (lambda: backend.get("a/k", 2, 5), 1),
            (lambda: backend.stat("a/k"), 1),
            (lambda: [*backend.list("a/")], 1),
            (lambda: [*backend.list("a/", limit=1)], 1),
            (lambda: backend.delete(["a/k"]), 1),
        ):
            before = len(cloud.proxy.requests)
            action()
            assert len(cloud.proxy.requests) - before == expected


def test_a_limited_listing_asks_for_no_more_than_it_needs(cloud: Cloud) -> None:
    with cloud.make(cloud.url) as backend:
        for at in range(5):
            backend.put(f"p/{at}", b"")
        cloud.proxy.requests.clear()
        assert [info.key for info in backend.list("p/", start_after="p/2", limit=1)] == ["p/3"]
        assert len(cloud.proxy.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        SLOW_DOWN,
        TOO_MANY_REQUESTS,
        Answer(500, "InternalError"),
        Answer(503, "ServerBusy"),
        Answer(502, "AnythingElse"),
        Answer(408, "RequestTimeout"),
    ],
    ids=lambda fault: f"{fault.status}-{fault.code}",
)
def test_throttling_may_pass_and_is_not_repeated_below_us(cloud: Cloud, fault: Fault) -> None:
    with cloud.make(cloud.url) as backend:
        backend.put("k", b"x")
        cloud.proxy.always(fault)
        requests: tuple[Callable[[], object], ...] = (
            lambda: backend.get("k"),
            lambda: backend.put("k", b"y"),
            lambda: backend.create("n", b"y"),
            lambda: [*backend.list()],
            lambda: backend.delete(["k"]),
        )
        for send in requests:
            before = len(cloud.proxy.requests)
            with pytest.raises(TransientStorageError):
                send()
            assert len(cloud.proxy.requests) == before + 1
        cloud.proxy.heal()
        assert backend.get("k") == b"x"


def test_broken_connections_may_pass(cloud: Cloud) -> None:
    with cloud.make(cloud.url) as backend:
        backend.put("k", b"x" * 100_000)
        cloud.proxy.always(CutResponse(1000), where=lambda head: head.method == "GET")
        with pytest.raises(TransientStorageError):
            backend.get("k")
        cloud.proxy.heal()
        assert len(backend.get("k")) == 100_000
        cloud.proxy.vanish()
        with pytest.raises(TransientStorageError):
            backend.get("k")
        cloud.proxy.appear()
        assert len(backend.get("k")) == 100_000


def test_a_lost_answer_to_a_create_leaves_a_doubt_and_the_object(cloud: Cloud) -> None:
    with cloud.make(cloud.url) as backend:
        cloud.proxy.always(LoseResponse(), where=conditional)
        # Some HTTP clients send a request again by themselves, and then hear that it exists.
        with pytest.raises((TransientStorageError, AlreadyExistsError)):
            backend.create("k", b"x")
        cloud.proxy.heal()
        assert backend.get("k") == b"x"


def test_a_service_without_conditional_writes_is_refused_by_name(cloud: Cloud) -> None:
    cloud.proxy.always(NOT_IMPLEMENTED, where=conditional)
    with cloud.make(cloud.url) as backend:
        with pytest.raises(StorageError, match="single_writer") as caught:
            backend.create("k", b"x")
        assert not caught.value.retryable
    with cloud.make(cloud.url, single_writer=True) as alone:
        assert not alone.capabilities.conditional_create
        alone.create("k", b"x")
        with pytest.raises(AlreadyExistsError):
            alone.create("k", b"y")
        assert alone.get("k") == b"x"


def test_a_missing_bucket_is_no_missing_object(cloud: Cloud) -> None:
    with cloud.make(cloud.absent) as backend:
        requests: tuple[Callable[[], object], ...] = (
            lambda: backend.get("k"),
            lambda: backend.stat("k"),
            lambda: [*backend.list()],
            lambda: backend.create("k", b"x"),
            lambda: backend.put("k", b"x"),
        )
        for send in requests:
            with pytest.raises(StorageError, match="create it") as caught:
                send()
            assert not caught.value.retryable


def test_a_wrong_key_is_refused_and_shown_nowhere(cloud: Cloud) -> None:
    secret = cloud.break_key()
    with cloud.make(cloud.url) as backend:
        assert secret not in repr(backend)
        with pytest.raises(PermissionDeniedError) as caught:
            backend.get("k")
        assert secret not in "".join(traceback.format_exception(caught.value))
        assert not caught.value.retryable


def test_a_large_file_goes_in_parts_and_each_is_repeated_alone(cloud: Cloud, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(12 * MEBI) + b"end")
    told: list[int] = []
    failed = iter([True])

    def third_put(head: Head) -> bool:
        return head.method == "PUT" and len(cloud.requests("PUT")) == 3 and next(failed, False)

    with cloud.make(cloud.url, part_size=5 * MEBI) as backend:
        cloud.proxy.next(SLOW_DOWN, where=third_put)
        backend.put_file("f", source, told.append)
        assert backend.get("f") == source.read_bytes()
        assert sum(told) == source.stat().st_size
        assert len(cloud.requests("PUT")) <= 5  # three parts, one of them twice, and on Azure the list of them


def test_an_upload_that_fails_is_aborted(cloud: Cloud, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 12 * MEBI)
    with cloud.make(cloud.url, part_size=5 * MEBI) as backend:
        cloud.proxy.always(Answer(403, "AccessDenied"), where=lambda head: head.method == "PUT")
        with pytest.raises(PermissionDeniedError):
            backend.put_file("f", source)
        cloud.proxy.heal()
        assert cloud.parts_left() == 0
        with pytest.raises(NotFoundError):
            backend.stat("f")


@pytest.mark.parametrize("size", [1, 10_000, MEBI])
def test_a_small_file_comes_and_goes_in_one_request(cloud: Cloud, tmp_path: Path, size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))
    with cloud.make(cloud.url) as backend:
        backend.put_file("f", source)
        backend.get_file("f", target)
    assert [method for method, _ in cloud.proxy.requests] == ["PUT", "GET"]
    assert target.read_bytes() == source.read_bytes()


def test_a_download_goes_on_when_answers_break_off(cloud: Cloud, tmp_path: Path) -> None:
    data, told = os.urandom(40 * MEBI + 1), list[int]()
    with cloud.make(cloud.url, part_size=5 * MEBI, concurrency=2) as backend:
        backend.put("f", data)
        cloud.proxy.next(CutResponse(3 * MEBI), times=3, where=lambda head: head.method == "GET")
        backend.get_file("f", tmp_path / "target", told.append)
        assert cloud.proxy.faults[CutResponse] == 3
        assert (tmp_path / "target").read_bytes() == data
        assert sum(told) == len(data)


def test_a_download_that_failed_is_continued_by_the_next_call(cloud: Cloud, tmp_path: Path) -> None:
    data, target = os.urandom(22 * MEBI), tmp_path / "target"
    told: list[int] = []
    with cloud.make(cloud.url, part_size=5 * MEBI, concurrency=1) as backend:
        backend.put("f", data)
        seen = iter(range(1000))
        cloud.proxy.next(Answer(403, "AccessDenied"), where=lambda head: head.method == "GET" and next(seen) == 3)
        with pytest.raises(PermissionDeniedError):
            backend.get_file("f", target, told.append)
        assert sum(told) == 15 * MEBI
        before = len(cloud.requests("GET"))
        backend.get_file("f", target, told.append)
        assert target.read_bytes() == data
        assert sum(told) == len(data)
        assert len(cloud.requests("GET")) - before == 2
        backend.get_file("f", target)  # what is complete is fetched anew
        assert target.read_bytes() == data


def test_a_download_is_not_continued_when_the_object_or_the_file_changed(cloud: Cloud, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with cloud.make(cloud.url, part_size=5 * MEBI, concurrency=1) as backend:
        for change in ("object", "file"):
            backend.put("f", b"a" * 11 * MEBI)
            cloud.proxy.next(Answer(403, "AccessDenied"), where=_second_get())
            with pytest.raises(PermissionDeniedError):
                backend.get_file("f", target)
            if change == "object":
                backend.put("f", b"b" * 11 * MEBI)
            else:
                target.unlink()
                target.write_bytes(b"c" * 11 * MEBI)
            backend.get_file("f", target)
            assert target.read_bytes() == backend.get("f")


def _second_get() -> Callable[[Head], bool]:
    seen = iter(range(1000))
    return lambda head: head.method == "GET" and next(seen) == 1


def test_the_clock_of_the_service(cloud: Cloud) -> None:
    with cloud.make(cloud.url) as backend:
        assert backend.now() is None
        backend.put("k", b"x")
        now = backend.now()
        assert now is not None
        assert abs(now - datetime.now(UTC)) < timedelta(minutes=5)
        modified = backend.stat("k").modified
        assert modified is not None
        assert abs(now - modified) < timedelta(minutes=5)


def test_marks_of_folders_are_no_objects(cloud: Cloud) -> None:
    with cloud.make(cloud.url) as backend:
        root = cloud.url.split("/", 3)[3]
        cloud.put_raw(f"{root}/a/", metadata={"hdi_isfolder": "true"})
        if backend.name == "azure":
            cloud.put_raw(f"{root}/a", metadata={"hdi_isfolder": "true"})
        backend.put("a/k", b"x")
        assert [info.key for info in backend.list()] == ["a/k"]
        assert [info.key for info in backend.list("a/", limit=1)] == ["a/k"]
        for look in (backend.get, backend.stat):
            with pytest.raises(NotFoundError):
                look("a")


def test_copying_on_the_server(cloud: Cloud) -> None:
    with cloud.make(f"{cloud.url}/one") as one, cloud.make(f"{cloud.url}/two") as two:
        one.put("a/ä b", b"contents")
        cloud.proxy.requests.clear()
        assert two.copy_from(one, "a/ä b", "c")
        assert cloud.requests("GET") == []
        assert two.get("c") == b"contents"
        with pytest.raises(NotFoundError):
            two.copy_from(one, "none", "c")
        from runfolio_backends.memory import MemoryBackend

        assert not two.copy_from(MemoryBackend("memory://copy"), "k", "c")


def test_a_pickled_backend_shows_no_secret_and_is_the_same_store(cloud: Cloud) -> None:
    with cloud.make(cloud.url) as backend:
        backend.put("k", b"x")
        copy = pickle.loads(pickle.dumps(backend))
        assert copy.url == backend.url
        with copy:
            assert copy.get("k") == b"x"


_FORK = """
import os, sys
from {module} import {kind} as Backend
backend = Backend({url!r})
backend.put("parent", b"1")
child = os.fork()
if child == 0:
    backend.after_fork()
    backend.create("child", backend.get("parent") + b"2")
    sys.exit(0)  # through everything that runs at the end of a process
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert backend.get("child") == b"12"
backend.put("after", b"3")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="platform: forking is of Unix")
def test_a_forked_child_works_and_ends(cloud: Cloud) -> None:
    kind = cloud.make
    script = _FORK.format(module=kind.__module__, kind=kind.__name__, url=cloud.url)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_errors_survive_pickling(cloud: Cloud) -> None:
    with cloud.make(cloud.url) as backend:
        cloud.proxy.always(SLOW_DOWN)
        with pytest.raises(TransientStorageError) as caught:
            backend.get("k")
        again: RunfolioError = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.key, again.operation, again.backend) == (
            str(caught.value),
            "k",
            "get",
            backend.name,
        )
