"""Each server of the tests starts, listens on loopback only, and does what its module says of it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.auth
import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient
from botocore.exceptions import ClientError

from moto_s3 import MotoS3, allow
from seaweed_s3 import READER, SeaweedS3
from server_process import RunningServer, answers, listening_addresses
from store_access import S3Key, TestStore, aws_client

if TYPE_CHECKING:
    from azurite_blobs import AzuriteBlobs
    from rclone_s3 import RcloneS3

LOOPBACK_ADDRESSES = ("0100007F:", "0" * 24 + "01000000:", "0000000000000000FFFF00000100007F:")
NAMES = ("B", "a", "a b", "a#b", "a%b", "a&b=c", "a*", "a+b", "a-b", "a.b", "a/b", "a:b", "a~b", "c/d", "é", "😀")


def refusal(call: Callable[..., object], **arguments: Any) -> tuple[int, str]:
    """Return status and code of the answer to a request that must be refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def winners(create: Callable[..., object], refused: type[Exception], racers: int = 8) -> list[bytes]:
    """Let threads create one object at the same moment, and return what those sent who were told that they did."""
    won: list[bytes] = []
    barrier = threading.Barrier(racers)

    def race(body: bytes) -> None:
        barrier.wait()
        try:
            create(Body=body)
        except refused:
            return
        won.append(body)

    threads = [threading.Thread(target=race, args=(bytes([65 + number]),)) for number in range(racers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


@pytest.fixture(params=["moto", "seaweed"])
def s3(request: pytest.FixtureRequest) -> MotoS3 | SeaweedS3:
    """Each S3 that is fit for a shared store."""
    server: MotoS3 | SeaweedS3 = request.getfixturevalue(request.param)
    return server


@pytest.mark.cloud
@pytest.mark.parametrize("name", ["moto", "seaweed", "rclone", "azurite"])
def test_only_loopback(request: pytest.FixtureRequest, name: str) -> None:
    running: RunningServer = request.getfixturevalue(name).server
    addresses = listening_addresses(running.processes())
    assert {int(address.rsplit(":", 1)[1], 16) for address in addresses} == set(running.ports)
    assert all(address.startswith(LOOPBACK_ADDRESSES) for address in addresses), addresses


@pytest.mark.cloud
@pytest.mark.parametrize(("first", "second"), [(b"first", b"second"), (b"", b"second"), (b"first", b"")])
def test_a_conditional_put_has_one_winner(s3: MotoS3 | SeaweedS3, first: bytes, second: bytes) -> None:
    bucket = s3.bucket()
    s3.s3.put_object(Bucket=bucket, Key="key", Body=first, IfNoneMatch="*")
    again = {"Bucket": bucket, "Key": "key", "Body": second, "IfNoneMatch": "*"}
    assert refusal(s3.s3.put_object, **again) == (412, "PreconditionFailed")
    assert s3.s3.get_object(Bucket=bucket, Key="key")["Body"].read() == first


@pytest.mark.cloud
def test_a_race_of_conditional_puts_has_one_winner(s3: MotoS3 | SeaweedS3) -> None:
    bucket = s3.bucket()
    for number in range(4):  # SeaweedFS lets each loser of a race wait for a second
        key = f"race/{number}"
        create = partial(s3.s3.put_object, Bucket=bucket, Key=key, IfNoneMatch="*")
        won = winners(create, ClientError)
        assert won == [s3.s3.get_object(Bucket=bucket, Key=key)["Body"].read()]


def listed(s3: Any, bucket: str, **arguments: Any) -> list[str]:
    """Return the keys of a listing, all pages of it."""
    pages: Iterator[dict[str, Any]] = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, **arguments)
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


@pytest.mark.cloud
def test_what_every_s3_does(s3: MotoS3 | SeaweedS3) -> None:
    bucket, client = s3.bucket(), s3.s3
    keys = [f"list/{name}" for name in NAMES]
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=b"0123456789")
    for key in keys:
        assert client.get_object(Bucket=bucket, Key=key, Range="bytes=2-4")["Body"].read() == b"234"
    assert client.get_object(Bucket=bucket, Key=keys[0], Range="bytes=-3")["Body"].read() == b"789"
    assert client.get_object(Bucket=bucket, Key=keys[0], Range="bytes=8-99")["Body"].read() == b"89"
    past = {"Bucket": bucket, "Key": keys[0], "Range": "bytes=10-12"}
    assert refusal(client.get_object, **past) == (416, "InvalidRange")
    assert sorted(listed(client, bucket, Prefix="list/", PaginationConfig={"PageSize": 3})) == sorted(keys)
    gone = [*keys[3:6], "list/never"]
    answer = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in gone]})
    assert answer.get("Errors", []) == []
    assert sorted(listed(client, bucket, Prefix="list/")) == sorted(set(keys) - set(gone))
    assert refusal(client.get_object, Bucket=bucket, Key="never") == (404, "NoSuchKey")
    assert refusal(client.list_objects_v2, Bucket="no-such-bucket") == (404, "NoSuchBucket")
    assert refusal(client.put_object, Bucket="no-such-bucket", Key="key", Body=b"") == (404, "NoSuchBucket")


@pytest.mark.cloud
@pytest.mark.parametrize("name", ["moto", "seaweed"])
def test_order_of_listings(request: pytest.FixtureRequest, name: str) -> None:
    server: MotoS3 | SeaweedS3 = request.getfixturevalue(name)
    bucket = server.bucket()
    for key in ("a", "a-b", "a/b", "a0"):
        server.s3.put_object(Bucket=bucket, Key=key, Body=b"")
    # The second one goes through folders: what is in `a/` follows `a`.
    in_order = ["a", "a-b", "a/b", "a0"] if name == "moto" else ["a", "a/b", "a-b", "a0"]
    assert listed(server.s3, bucket) == in_order
    assert listed(server.s3, bucket, StartAfter=in_order[1]) == in_order[2:]


@pytest.mark.cloud
def test_wrong_credentials_are_refused(s3: MotoS3 | SeaweedS3) -> None:
    bucket, endpoint = s3.bucket(), s3.endpoint
    right = s3.store(bucket=bucket).environment
    nobody = aws_client("s3", endpoint, S3Key("AKIANOBODY", "secret"))
    assert refusal(nobody.list_objects_v2, Bucket=bucket) == (403, "InvalidAccessKeyId")
    liar = aws_client("s3", endpoint, S3Key(right["AWS_ACCESS_KEY_ID"], "wrong-secret"))
    assert refusal(liar.list_objects_v2, Bucket=bucket) == (403, "SignatureDoesNotMatch")


def test_policies_are_enforced_by_moto(moto: MotoS3) -> None:
    bucket = moto.bucket()
    moto.s3.put_object(Bucket=bucket, Key="key", Body=b"data")
    reading = allow(bucket, on_bucket=["ListBucket"], on_objects=["GetObject"])
    for key in (moto.key(*reading), moto.temporary_key(*reading)):
        reader = aws_client("s3", moto.endpoint, key)
        assert reader.get_object(Bucket=bucket, Key="key")["Body"].read() == b"data"
        assert listed(reader, bucket) == ["key"]
        assert refusal(reader.put_object, Bucket=bucket, Key="new", Body=b"") == (403, "AccessDenied")
        assert refusal(reader.delete_object, Bucket=bucket, Key="key") == (403, "AccessDenied")
        refused = reader.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "key"}]})["Errors"]
        assert [(one["Key"], one["Code"]) for one in refused] == [("key", "AccessDenied")]
        assert refusal(reader.list_objects_v2, Bucket=moto.bucket()) == (403, "AccessDenied")
    blind = aws_client("s3", moto.endpoint, moto.key(*allow(bucket, on_objects=["GetObject", "PutObject"])))
    assert refusal(blind.list_objects_v2, Bucket=bucket) == (403, "AccessDenied")
    blind.put_object(Bucket=bucket, Key="new", Body=b"")


def test_identities_and_clocks_are_checked_by_seaweedfs(seaweed: SeaweedS3, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = seaweed.bucket()
    seaweed.s3.put_object(Bucket=bucket, Key="key", Body=b"data")
    reader = aws_client("s3", seaweed.endpoint, READER)
    assert reader.get_object(Bucket=bucket, Key="key")["Body"].read() == b"data"
    assert refusal(reader.put_object, Bucket=bucket, Key="new", Body=b"") == (403, "AccessDenied")
    assert refusal(reader.delete_object, Bucket=bucket, Key="key") == (403, "AccessDenied")
    monkeypatch.setattr(
        botocore.auth, "get_current_datetime", lambda *_, **__: datetime.now(UTC) + timedelta(hours=1), raising=True
    )
    assert refusal(reader.list_objects_v2, Bucket=bucket) == (403, "RequestTimeTooSkewed")


def test_conditional_puts_are_ignored_by_rclone(rclone: RcloneS3) -> None:
    bucket = rclone.bucket()
    for body in (b"first", b"second"):
        rclone.s3.put_object(Bucket=bucket, Key="key", Body=body, IfNoneMatch="*")
    assert rclone.s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"second"


def upload(container: ContainerClient, name: str, Body: bytes) -> None:  # noqa: N803 (as S3 calls it)
    container.upload_blob(name, Body)


def test_blobs(azurite: AzuriteBlobs) -> None:
    container = azurite.service.get_container_client(azurite.container())
    for number in range(10):
        name = f"race/{number}"
        won = winners(partial(upload, container, name), ResourceExistsError)
        assert won == [container.download_blob(name).readall()]
    container.upload_blob("empty", b"")
    with pytest.raises(ResourceExistsError):
        container.upload_blob("empty", b"more")
    assert container.download_blob("empty").readall() == b""
    for name in NAMES:
        container.upload_blob(f"list/{name}", b"0123456789")
    wanted = sorted((f"list/{name}" for name in NAMES), key=lambda key: key.encode())
    assert list(container.list_blob_names(name_starts_with="list/", results_per_page=3)) == wanted
    assert container.download_blob("list/a", offset=2, length=3).readall() == b"234"
    container.delete_blob("list/a")
    with pytest.raises(ResourceNotFoundError):
        container.download_blob("list/a")


def test_wrong_keys_and_signatures_are_refused_by_azurite(azurite: AzuriteBlobs) -> None:
    name = azurite.container()
    azurite.service.get_container_client(name).upload_blob("blob", b"data")

    def client(connection_string: str) -> ContainerClient:
        return ContainerClient.from_connection_string(connection_string, name, retry_total=0)

    with pytest.raises(HttpResponseError) as caught:
        next(client(azurite.connection_string(key="d3Jvbmc=")).list_blobs())
    assert caught.value.status_code == 403
    reader = client(azurite.connection_string(sas=azurite.sas(name, "rl")))
    assert [blob.name for blob in reader.list_blobs()] == ["blob"]
    assert reader.download_blob("blob").readall() == b"data"
    for refused in (lambda: reader.upload_blob("new", b""), lambda: reader.delete_blob("blob")):
        with pytest.raises(HttpResponseError) as caught:
            refused()
        assert caught.value.status_code == 403
    expired = client(
        azurite.connection_string(sas=azurite.sas(name, "rl", until=datetime.now(UTC) - timedelta(hours=1)))
    )
    with pytest.raises(HttpResponseError) as caught:
        expired.download_blob("blob")
    assert caught.value.status_code == 403


PUT_AND_LIST = """
import os, sys
from urllib.parse import urlsplit
place = urlsplit(sys.argv[1])
key = f"{place.path[1:]}/from-the-child"
if place.scheme == "s3":
    import botocore.session
    botocore.session.get_session().create_client("s3").put_object(Bucket=place.netloc, Key=key, Body=b"x")
else:
    from azure.storage.blob import BlobServiceClient
    service = BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
    service.get_blob_client(place.netloc, key).upload_blob(b"x")
"""


@pytest.mark.cloud
@pytest.mark.parametrize("name", ["s3_store", "seaweed_store", "rclone_store", "azure_store"])
def test_a_process_reaches_the_store(request: pytest.FixtureRequest, name: str) -> None:
    store: TestStore = request.getfixturevalue(name)
    done = subprocess.run([sys.executable, "-c", PUT_AND_LIST, store.url], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


STARTS_AND_DIES = """
import os, pathlib, signal, sys
from server_process import running
command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]
with running(lambda ports: [*command, str(ports[0])], pathlib.Path()) as server:
    print(server.ports[0], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="platform: needs setpriv of Linux")
def test_a_server_does_not_outlive_killed_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", STARTS_AND_DIES], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    while answers(int(done.stdout)):  # it is on its way out; the time limit of the test is that of this wait
        pass


LIVE = """
def test_places(s3_store, azure_store):
    import os
    assert s3_store.url.startswith("s3://bucket/some/where/test-")
    assert azure_store.url.startswith("az://container/test-")
    assert s3_store.environment == {"AWS_ACCESS_KEY_ID": "key", "AWS_PROFILE": "team"}
    assert os.environ["AWS_PROFILE"] == "team" and azure_store.environment == {}
"""


def test_other_servers_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fixtures start nothing then, and take the credentials from the environment."""
    folder = Path(__file__).parent
    Path("conftest.py").write_text((folder.parent / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    Path("test_sample.py").write_text(LIVE, encoding="utf-8")
    for variable, value in {
        "PYTHONPATH": str(folder),
        "RUNFOLIO_TEST_S3_URL": "s3://bucket/some/where/",
        "RUNFOLIO_TEST_AZURE_URL": "az://container",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_PROFILE": "team",
    }.items():
        monkeypatch.setenv(variable, value)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--basetemp",
        "temporary",
        "-q",
        "test_sample.py",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout
