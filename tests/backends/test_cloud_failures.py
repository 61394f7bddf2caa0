"""What goes wrong with stores in clouds, on real servers: errors that say what to do, in time, and tell no secret."""

from __future__ import annotations

import base64
import logging
import random
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import runfolio as rf
from runfolio.connection import Connection
from runfolio.errors import (
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    RunfolioError,
    StorageError,
    TransientStorageError,
)
from runfolio.plugins import Plugins
from runfolio.store.environment import Environment, serially
from runfolio.store.retrying import PATIENT

botocore_auth = pytest.importorskip("botocore.auth")

from fault_proxy import (  # noqa: E402
    NOT_IMPLEMENTED,
    SLOW_DOWN,
    TOO_MANY_REQUESTS,
    Answer,
    CutRequest,
    CutResponse,
    Fault,
    FaultProxy,
    Hang,
    LoseRequest,
    LoseResponse,
    Reset,
)
from moto_s3 import MotoS3, allow  # noqa: E402
from seaweed_s3 import READER, SeaweedS3  # noqa: E402
from store_access import S3Key, TestStore  # noqa: E402

if TYPE_CHECKING:
    from azurite_blobs import AzuriteBlobs
    from rclone_s3 import RcloneS3
    from runfolio.backend import Backend

pytestmark = pytest.mark.cloud

BUILT_IN = Plugins(enabled=["builtin_backends"])
WRONG_SECRET = "not-the-secret-of-anybody"

Operation = Callable[["Backend"], object]

OPERATIONS: Mapping[str, Operation] = {
    "list": lambda backend: list(backend.list()),
    "get": lambda backend: backend.get("there"),
    "put": lambda backend: backend.put("new", b"x"),
    "create": lambda backend: backend.create("new", b"x"),
    "delete": lambda backend: backend.delete(["there"]),
}


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        chance = random.Random(1)
        self.environment = Environment(monotonic=lambda: self.now, sleep=self.sleep, chance=chance, gather=serially)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Trouble:
    """Uses stores in this process, and keeps what people would see of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        self._monkeypatch = monkeypatch
        self._caplog = caplog
        caplog.set_level(logging.INFO)
        caplog.set_level(logging.DEBUG, logger="runfolio")

    def enter(self, store: TestStore) -> None:
        """Make the store's environment that of this process."""
        for name, value in store.environment.items():
            self._monkeypatch.setenv(name, value)

    def error(self, store: TestStore, operation: str, clock: Clock | None = None, **options: object) -> RunfolioError:
        """Return how an operation fails."""
        self.enter(store)
        connection = Connection(store.url, plugins=BUILT_IN, options={**store.options, **options})
        connection.environment = (clock or Clock()).environment
        try:
            with pytest.raises(RunfolioError) as caught:
                OPERATIONS[operation](connection.backend)
        finally:
            connection.close()
        self.nothing_told(store, caught.value)
        return caught.value

    def nothing_told(self, store: TestStore, error: BaseException | None = None) -> None:
        """Assert that no secret of a store is in an error, its traceback or the log."""
        shown = [self._caplog.text]
        if error is not None:
            shown += [str(error), repr(error), *traceback.format_exception(error)]
        for secret in secrets_of(store):
            assert not any(secret in text for text in shown), shown


def secrets_of(store: TestStore) -> list[str]:
    environment = store.environment
    found = [environment.get("AWS_SECRET_ACCESS_KEY"), environment.get("AWS_SESSION_TOKEN")]
    for part in environment.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";"):
        name, _, value = part.partition("=")
        if name == "AccountKey":
            found.append(value)
        if name == "SharedAccessSignature":
            found.append(value.partition("sig=")[2].partition("&")[0])
    return [one for one in found if one]


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Trouble:
    return Trouble(monkeypatch, caplog)


@pytest.fixture
def moto_proxy(moto: MotoS3) -> Iterator[FaultProxy]:
    with FaultProxy(moto.server.ports[0]) as proxy:
        yield proxy


@pytest.fixture
def azurite_proxy(azurite: AzuriteBlobs) -> Iterator[FaultProxy]:
    with FaultProxy(azurite.server.ports[0]) as proxy:
        yield proxy


@pytest.fixture(params=["s3", "azure"])
def proxied(request: pytest.FixtureRequest) -> tuple[FaultProxy, TestStore]:
    """A proxy, and a store that is reached through it."""
    if request.param == "s3":
        proxy: FaultProxy = request.getfixturevalue("moto_proxy")
        moto: MotoS3 = request.getfixturevalue("moto")
        return proxy, moto.store(endpoint=proxy.url)
    proxy = request.getfixturevalue("azurite_proxy")
    azurite: AzuriteBlobs = request.getfixturevalue("azurite")
    return proxy, azurite.store(azurite.connection_string(server=proxy.url))


def check(error: RunfolioError, kind: type[RunfolioError], *says: str) -> None:
    """Assert of which kind an error is, and that it names the fault, the place and the way out."""
    assert isinstance(error, kind)
    assert isinstance(error, PermissionDeniedError) is (kind is PermissionDeniedError)
    assert getattr(error, "retryable", False) is (kind is TransientStorageError)
    for one in says:
        assert one in str(error)


def test_wrong_keys_of_s3(trouble: Trouble, moto: MotoS3) -> None:
    bucket = moto.bucket()
    unknown = moto.store(S3Key("AKIANOBODYATALL", WRONG_SECRET), bucket)
    check(trouble.error(unknown, "list"), PermissionDeniedError, "InvalidAccessKeyId", "Check the credentials")
    liar = moto.store(S3Key(moto.admin.id, WRONG_SECRET), bucket)
    for operation in OPERATIONS:
        error = trouble.error(liar, operation)
        check(error, PermissionDeniedError, "SignatureDoesNotMatch", "Check the credentials", bucket)


def test_no_key_of_s3(trouble: Trouble, moto: MotoS3) -> None:
    store = moto.store()
    without = {name: value for name, value in store.environment.items() if "ACCESS_KEY" not in name}
    error = trouble.error(TestStore(store.url, environment=without), "list")
    check(error, PermissionDeniedError, "Check the credentials", store.url)


def test_wrong_keys_of_azure(trouble: Trouble, azurite: AzuriteBlobs) -> None:
    wrong = base64.b64encode(WRONG_SECRET.encode()).decode()
    liar = azurite.store(azurite.connection_string(key=wrong))
    for operation in OPERATIONS:
        check(trouble.error(liar, operation), PermissionDeniedError, "AuthorizationFailure", "credentials", liar.url)


@pytest.mark.parametrize("cloud", ["s3", "azure"])
def test_what_credentials_expire(trouble: Trouble, request: pytest.FixtureRequest, cloud: str) -> None:
    if cloud == "azure":
        azurite: AzuriteBlobs = request.getfixturevalue("azurite")
        container = azurite.container()
        over = azurite.sas(container, "rwdl", until=datetime.now(UTC) - timedelta(hours=1))
        store = azurite.store(azurite.connection_string(sas=over), container)
        check(trouble.error(store, "list"), PermissionDeniedError, "AuthorizationFailure", "credentials")
        return
    moto: MotoS3 = request.getfixturevalue("moto")
    proxy: FaultProxy = request.getfixturevalue("moto_proxy")  # moto's tokens live for ever
    proxy.always(Answer(400, "ExpiredToken"))
    bucket = moto.bucket()
    key = moto.temporary_key(*allow(bucket, on_bucket=["ListBucket"]))
    store = moto.store(key, bucket, endpoint=proxy.url)
    check(trouble.error(store, "list"), PermissionDeniedError, "ExpiredToken", "expired", "renew")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("cloud", ["moto", "seaweed", "azurite"])
def test_no_such_bucket_or_container(
    trouble: Trouble, request: pytest.FixtureRequest, cloud: str, operation: str
) -> None:
    server: MotoS3 | SeaweedS3 | AzuriteBlobs = request.getfixturevalue(cloud)
    elsewhere = server.store()
    store = TestStore(elsewhere.url.replace("-", "-no-", 1), environment=elsewhere.environment)
    error = trouble.error(store, operation)
    check(error, StorageError, "There is no such", "create it", store.url)
    assert not isinstance(error, NotFoundError)


@pytest.mark.parametrize("operation", ["list", "get", "put", "create", "delete"])
def test_what_policies_of_s3_forbid(trouble: Trouble, moto: MotoS3, operation: str) -> None:
    bucket = moto.bucket()
    moto.s3.put_object(Bucket=bucket, Key="history/there", Body=b"data")
    rights = {"get": "GetObject", "put": "PutObject", "create": "PutObject", "delete": "DeleteObject"}
    allowed = [right for right in sorted(set(rights.values())) if right != rights.get(operation)]
    on_bucket = [] if operation == "list" else ["ListBucket"]
    store = moto.store(moto.key(*allow(bucket, on_bucket=on_bucket, on_objects=allowed)), bucket)
    check(trouble.error(store, operation), PermissionDeniedError, "AccessDenied", "credentials", operation)


@pytest.mark.parametrize(
    ("operation", "permission"),
    [("list", "rwdc"), ("get", "wdlc"), ("put", "rdl"), ("create", "rdl"), ("delete", "rwlc")],
)
def test_what_a_sas_forbids(trouble: Trouble, azurite: AzuriteBlobs, operation: str, permission: str) -> None:
    container = azurite.container()
    azurite.service.get_blob_client(container, "history/there").upload_blob(b"data")
    sas = azurite.sas(container, permission)
    store = azurite.store(azurite.connection_string(sas=sas), container)
    check(trouble.error(store, operation), PermissionDeniedError, "credentials", operation)


def test_a_clock_that_is_wrong(trouble: Trouble, seaweed: SeaweedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    store = seaweed.store()
    late = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(botocore_auth, "get_current_datetime", lambda *_, **__: late)
    for operation in OPERATIONS:
        check(trouble.error(store, operation), PermissionDeniedError, "RequestTimeTooSkewed", "clock of this machine")


def test_a_clock_that_is_wrong_for_azure(trouble: Trouble, azurite: AzuriteBlobs, azurite_proxy: FaultProxy) -> None:
    azurite_proxy.always(Answer(403, "AuthenticationFailed"))  # what Azure answers; Azurite looks at no clock
    store = azurite.store(azurite.connection_string(server=azurite_proxy.url))
    check(trouble.error(store, "list"), PermissionDeniedError, "AuthenticationFailed", "clock")


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[str]:
    """Some server of web pages, without any."""
    serve = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("operation", ["list", "put", "create"])  # any server may say that there is no such object
def test_an_endpoint_of_something_else(
    trouble: Trouble, moto: MotoS3, azurite: AzuriteBlobs, web_server: str, operation: str
) -> None:
    azure = azurite.store(azurite.connection_string(server=web_server))
    for store in (moto.store(endpoint=web_server), moto.store(endpoint=azurite.server.url), azure):
        error = trouble.error(store, operation)
        assert isinstance(error, StorageError)
        assert not error.retryable


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_network(trouble: Trouble, proxied: tuple[FaultProxy, TestStore], operation: str) -> None:
    proxy, store = proxied
    proxy.vanish()
    clock = Clock()
    check(trouble.error(store, operation, clock), TransientStorageError, "endpoint", "network", store.url)
    assert clock.now <= PATIENT.deadline
    assert (clock.now > 0) is (operation != "create")  # a doubtful create is read back by who asked for it


FOR_EVER = {
    "slow down": SLOW_DOWN,
    "too many": TOO_MANY_REQUESTS,
    "busy": Answer(503, "ServerBusy"),
    "broken": Answer(500, "InternalError"),
    "lost": LoseRequest(),
    "hanging": Hang(),
}


@pytest.mark.parametrize("fault", FOR_EVER)
def test_what_does_not_pass(trouble: Trouble, proxied: tuple[FaultProxy, TestStore], fault: str) -> None:
    """It is tried again as often as patience says, and not beneath it as well.

    Of a connection that was closed without an answer, aiohttp itself tries another one at once.
    """
    proxy, store = proxied
    proxy.always(FOR_EVER[fault])
    beneath = 2 if fault == "lost" else 1
    for operation, times in (
        ("get", PATIENT.attempts),
        ("put", PATIENT.attempts),
        ("create", 1),
        ("list", PATIENT.attempts),
    ):
        clock = Clock()
        before = proxy.counts.total()
        check(trouble.error(store, operation, clock, read_timeout=0.3), TransientStorageError, store.url)
        assert clock.now <= PATIENT.deadline
        assert times <= proxy.counts.total() - before <= times * beneath


def test_what_passes(trouble: Trouble, proxied: tuple[FaultProxy, TestStore]) -> None:
    proxy, store = proxied
    trouble.enter(store)
    connection = Connection(store.url, plugins=BUILT_IN)
    clock = Clock()
    connection.environment = clock.environment
    backend = connection.backend
    for fault in (SLOW_DOWN, TOO_MANY_REQUESTS, LoseRequest(), LoseResponse(), Reset(), CutRequest(3), CutResponse(3)):
        proxy.next(fault, 2)
        backend.put("there", b"0123456789")
        proxy.next(fault, 2)
        assert backend.get("there") == b"0123456789"
        proxy.next(fault, 2)
        assert [info.key for info in backend.list()] == ["there"]
        proxy.heal()
    connection.close()


def test_conditions_that_are_ignored(trouble: Trouble, rclone: RcloneS3) -> None:
    trouble.enter(rclone.store())
    store = rclone.store()
    with rf.open_history(store.url, plugins=BUILT_IN) as history:
        report = history.check()
        assert not report.ok
        broken = {one.name: one for one in report.guarantees if not one.ok}
        assert "single_writer = true" in broken["create only if absent"].remedy
        with pytest.raises(ConfigurationError, match="single_writer"):
            history._connection.writable()
    trouble.nothing_told(store)


def test_conditions_that_are_refused(trouble: Trouble, moto: MotoS3, moto_proxy: FaultProxy) -> None:
    moto_proxy.always(NOT_IMPLEMENTED, where=lambda request: request.header("If-None-Match") == "*")
    store = moto.store(endpoint=moto_proxy.url)
    check(trouble.error(store, "create"), StorageError, "NotImplemented", "single_writer = true")
    with rf.open_history(store.url, plugins=BUILT_IN) as history:
        broken = [one for one in history.check().guarantees if not one.ok]
        assert [one.name for one in broken][:1] == ["create only if absent"]
        with pytest.raises(StorageError, match="single_writer"):
            history._connection.writable()


@pytest.mark.parametrize("cloud", ["moto", "seaweed", "azurite"])
def test_credentials_that_only_read(
    trouble: Trouble, request: pytest.FixtureRequest, cloud: str, tmp_path: Path
) -> None:
    server: MotoS3 | SeaweedS3 | AzuriteBlobs = request.getfixturevalue(cloud)
    owner = server.store()
    place = owner.url.split("/")[2]
    trouble.enter(owner)
    with rf.open_history(owner.url, project="p", plugins=BUILT_IN) as history:
        for rate in (0.1, 0.2):
            with history.start_run(params={"rate": rate}) as run:
                run.log("loss", [rate, rate / 2])
                run.log_bytes("model.bin", b"x" * 1000)
    if isinstance(server, MotoS3):
        reading = allow(place, on_bucket=["ListBucket"], on_objects=["GetObject"])
        reader = server.store(server.key(*reading), place)
    elif isinstance(server, SeaweedS3):
        reader = server.store(READER, place)
    else:
        reader = server.store(server.connection_string(sas=server.sas(place, "rl")), place)
    trouble.enter(reader)
    with rf.open_history(owner.url, project="p", plugins=BUILT_IN) as history:
        runs = list(history.runs())
        assert [run.number for run in runs] == [2, 1]
        assert [run.status for run in runs] == ["Completed"] * 2
        assert runs[0].metric("loss").values() == [[0.2, 0.1]]
        assert [one.name for one in history.compare(runs).differences().sections["params"]] == ["rate"]
        runs[0].artifacts.download(tmp_path)
        assert (tmp_path / "outputs/model.bin").read_bytes() == b"x" * 1000
        with pytest.raises(PermissionDeniedError):
            runs[0].edit(name="mine")
    trouble.nothing_told(reader)


MID_RUN: Mapping[str, Mapping[str, Fault]] = {
    "token": {"s3": Answer(400, "ExpiredToken"), "az": Answer(403, "AuthenticationFailed")},
    "network": {"s3": LoseRequest(), "az": LoseRequest()},
}


@pytest.mark.parametrize("fault", MID_RUN)
def test_trouble_in_the_middle_of_a_run(
    trouble: Trouble,
    proxied: tuple[FaultProxy, TestStore],
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The training goes on, is told once, and everything is stored when the trouble is over."""
    proxy, store = proxied
    trouble.enter(store)
    with rf.open_history(store.url, project="p", plugins=BUILT_IN) as history:
        history._connection.environment = Clock().environment
        run = history.start_run()
        run.log("loss", 0.0, step=0)
        assert run.flush(120)
        proxy.always(MID_RUN[fault][store.url.split(":")[0]])
        for step in range(1, 100):
            run.log("loss", float(step), step=step)
        assert not run.flush(2)
        assert not run.finish()
        told = [record.message for record in caplog.records if "cannot be written" in record.message]
        assert len(told) == 1
        proxy.heal()
        assert len(history.sync().completed) == 1
        stored = history.run(run.id)
        assert stored.status == "Completed"
        assert stored.metric("loss").values() == [float(step) for step in range(100)]
    trouble.nothing_told(store)
