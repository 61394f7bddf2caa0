"""The policies of ``docs/configuring/permissions.md``, word for word, on a server that enforces them.

What moto does not do as AWS: it evaluates no conditions, so a policy reaches beyond its prefix when it lists; and it
asks for the right to delete many objects on the bucket, not on each object. So a role that may delete gets that right
on the bucket as well, which AWS does not ask for; what it may delete is tried with single objects.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runfolio as rf
from runfolio.plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    from azurite_blobs import AzuriteBlobs
    from moto_s3 import MotoS3
    from store_access import TestStore

PAGE = Path(__file__).parents[2] / "docs" / "configuring" / "permissions.md"
ROLES = ("Reader", "Writer", "Writer without delete", "Maintainer")

pytestmark = pytest.mark.source


def policy(role: str, bucket: str) -> list[dict[str, Any]]:
    """The statements of a role, for a bucket."""
    section = PAGE.read_text("utf-8").split(f"\n### {role}\n", 1)[1]
    text = section.split("```json\n", 1)[1].split("```", 1)[0]
    statements: list[dict[str, Any]] = json.loads(text.replace("BUCKET", bucket))["Statement"]
    if any("s3:DeleteObject" in one["Action"] for one in statements):
        statements.append({"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": f"arn:aws:s3:::{bucket}"})
    return statements


@pytest.fixture
def team(moto: MotoS3, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], rf.History]:
    """Open the history of a bucket of this test, in a role; None is the administrator."""
    bucket = moto.bucket()

    def open_as(role: str | None) -> rf.History:
        key = None if role is None else moto.key(*policy(role, bucket))
        return opened(moto.store(key, bucket), monkeypatch)

    return open_as


def opened(store: TestStore, monkeypatch: pytest.MonkeyPatch) -> rf.History:
    """A history whose pauses between two attempts take no time."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    history = rf.open_history(store.url, project="p", plugins=Plugins(disabled=["system_metrics"]))
    connection = history._connection
    connection.environment = replace(connection.environment, sleep=lambda _seconds: None)
    return history


def write(history: rf.History, *, patience: float = 60.0) -> tuple[str, bool]:
    """A whole run: values in several flushes, files of both sizes; returns whether all of it is stored."""
    with history.start_run(name="one") as run:
        for step in range(3):
            run.log("loss", float(step), step=step)
            run.flush(timeout=patience)
        run.log_bytes("small.bin", b"x")
        run.log_bytes("large.bin", bytes(9 * 1024 * 1024))
    return run.id, run.finish()


def read(history: rf.History, run_id: str, folder: Path) -> None:
    """What a reader does."""
    assert run_id in history.runs().ids()
    run = history.run(run_id)
    assert (run.status, run.metric("loss").values()) == ("Completed", [0.0, 1.0, 2.0])
    assert run.artifacts.download(folder).downloaded == ["outputs/large.bin", "outputs/small.bin"]


def left_live(history: rf.History, run_id: str) -> list[str]:
    """Live segments that the end did not take away."""
    return [info.key for info in history._backend.list("runs/") if "/live/" in info.key and run_id[-5:] in info.key]


def test_a_reader_reads_and_nothing_else(team: Callable[[str | None], rf.History], tmp_path: Path) -> None:
    run_id, stored = write(team(None))
    assert stored
    reader = team("Reader")
    read(reader, run_id, tmp_path / "files")
    with pytest.raises(rf.PermissionDeniedError):
        reader.run(run_id).edit(name="mine")
    with pytest.raises(rf.PermissionDeniedError):
        reader.run(run_id).delete()
    denied, stored = write(reader, patience=0.1)  # in vain: it would wait for all of it
    assert not stored
    with pytest.raises(rf.RunNotFoundError):
        reader.run(denied)


@pytest.mark.parametrize("role", ["Writer", "Writer without delete"])
def test_a_writer_writes_and_deletes_no_run(
    team: Callable[[str | None], rf.History], tmp_path: Path, role: str
) -> None:
    writer = team(role)
    run_id, stored = write(writer)
    assert stored
    read(writer, run_id, tmp_path / "files")
    writer.run(run_id).edit(name="two")
    assert writer.run(run_id).record.name == "two"
    assert bool(left_live(writer, run_id)) == (role == "Writer without delete")
    with pytest.raises(rf.PermissionDeniedError):
        writer._backend.delete([info.key for info in writer._backend.list("runs/") if info.key.endswith("start.json")])
    read(writer, run_id, tmp_path / "again")
    assert writer.check().ok


def test_a_maintainer_may_do_everything_that_the_sdk_does(
    team: Callable[[str | None], rf.History], tmp_path: Path
) -> None:
    maintainer = team("Maintainer")
    run_id, stored = write(maintainer)
    assert stored
    read(maintainer, run_id, tmp_path / "files")
    assert left_live(maintainer, run_id) == []
    assert all(one.ok for one in maintainer.check().guarantees)
    assert maintainer.repair().ok
    target = rf.open_history(f"memory://policies-{run_id}", project="p")
    assert maintainer.copy_to(target).copied == 1
    maintainer.run(run_id).delete()
    assert maintainer.gc(dry_run=False).ok
    assert maintainer.runs().ids() == []
    left = [info.key.rsplit("/", 2)[-2:] for info in maintainer._backend.list("runs/")]
    assert max(name for _, name in left) == "start.json"
    assert len(left) == 2


@pytest.mark.parametrize("role", ROLES)
def test_no_role_reaches_beyond_its_prefix(moto: MotoS3, role: str) -> None:
    from botocore.exceptions import ClientError

    from store_access import aws_client

    bucket = moto.bucket()
    moto.s3.put_object(Bucket=bucket, Key="elsewhere/secret", Body=b"x")
    client = aws_client("s3", moto.endpoint, moto.key(*policy(role, bucket)))
    requests: tuple[Callable[[], object], ...] = (
        lambda: client.get_object(Bucket=bucket, Key="elsewhere/secret"),
        lambda: client.put_object(Bucket=bucket, Key="elsewhere/new", Body=b"x"),
        lambda: client.delete_object(Bucket=bucket, Key="elsewhere/secret"),
        lambda: client.get_bucket_policy(Bucket=bucket),
    )
    for request in requests:
        with pytest.raises(ClientError) as caught:
            request()
        assert caught.value.response["Error"]["Code"] in ("AccessDenied", "403")


def permissions(role: str) -> str:
    """The letters of a SAS, in the table of the page."""
    (line,) = [one for one in PAGE.read_text("utf-8").splitlines() if one.startswith(f"| {role}") and "`r" in one]
    return line.rsplit("`", 2)[1]


def test_the_signatures_of_the_page_are_enough_for_each_role_and_no_more(
    azurite: AzuriteBlobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    container = azurite.container()

    def open_as(role: str) -> rf.History:
        signature = azurite.sas(container, permissions(role))
        return opened(azurite.store(azurite.connection_string(sas=signature), container), monkeypatch)

    writer = open_as("writer without delete")
    run_id, stored = write(writer)
    assert stored
    assert left_live(writer, run_id)
    with pytest.raises(rf.PermissionDeniedError):
        writer._backend.delete([info.key for info in writer._backend.list("runs/") if info.key.endswith("start.json")])
    reader = open_as("reader")
    read(reader, run_id, tmp_path / "files")
    with pytest.raises(rf.PermissionDeniedError):
        reader.run(run_id).edit(name="mine")
    assert not write(reader, patience=0.1)[1]  # in vain: it would wait for all of it
    maintainer = open_as("writer, maintainer")
    assert all(one.ok for one in maintainer.check().guarantees)
    maintainer.run(run_id).delete()
    assert maintainer.gc(dry_run=False).ok
    assert run_id not in maintainer.runs().ids()
