"""Azure Blob Storage by Azurite, with an account of its own: a wrong key and what a SAS does not allow are refused."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from azure.storage.blob import BlobServiceClient, generate_container_sas

from server_process import LOOPBACK, RunningServer, program, running
from store_access import TestStore, random_name

ACCOUNT = "runfoliotests"


@dataclass(frozen=True)
class AzuriteBlobs:
    """A running server.

    Attributes:
        server: its process.
        key: the account key.
    """

    server: RunningServer
    key: str = field(repr=False)

    @property
    def endpoint(self) -> str:
        """Where clients send their requests, the account included."""
        return f"{self.server.url}/{ACCOUNT}"

    def connection_string(self, *, key: str | None = None, sas: str | None = None, server: str | None = None) -> str:
        """Return what clients are configured with.

        Args:
            key: the account key; the right one by default.
            sas: a shared access signature to use instead of a key.
            server: URL of the server where requests go, for example of a proxy; this one's by default.
        """
        right = f"SharedAccessSignature={sas}" if sas is not None else f"AccountKey={key or self.key}"
        endpoint = f"{server or self.server.url}/{ACCOUNT}"
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};{right};BlobEndpoint={endpoint}"

    @cached_property
    def service(self) -> BlobServiceClient:
        """A client of the owner, which sends each request once."""
        return BlobServiceClient.from_connection_string(self.connection_string(), retry_total=0)

    def container(self) -> str:
        """Make an empty container and return its name."""
        name = random_name("container")
        # By a connection of its own: Azurite drops those that were idle for a while.
        with BlobServiceClient.from_connection_string(self.connection_string()) as owner:
            owner.create_container(name).close()
        return name

    def sas(self, container: str, permission: str, *, until: datetime | None = None) -> str:
        """Return a shared access signature for a container.

        Args:
            container: the only container it opens.
            permission: letters as Azure writes them, such as ``rl`` for reading and listing.
            until: when it expires; in a day by default.
        """
        expiry = until or datetime.now(UTC) + timedelta(days=1)
        return generate_container_sas(ACCOUNT, container, account_key=self.key, permission=permission, expiry=expiry)

    def store(self, connection_string: str | None = None, container: str | None = None) -> TestStore:
        """Return access to a store, by default the owner's in a new container."""
        variables = {"AZURE_STORAGE_CONNECTION_STRING": connection_string or self.connection_string()}
        return TestStore(f"az://{container or self.container()}/history", environment=variables)


@contextmanager
def azurite_blobs(folder: Path) -> Generator[AzuriteBlobs, None, None]:
    """Run the server for as long as the context lasts.

    Raises:
        MissingServerError: it is not installed.
    """
    azurite = program("azurite-blob", "npm install azurite (`./scripts/test` does)")
    key = base64.b64encode(secrets.token_bytes(64)).decode("ascii")

    def command(ports: tuple[int, ...]) -> list[str]:
        options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        return [azurite, "--blobHost", LOOPBACK, "--blobPort", str(ports[0]), *options]

    with running(command, folder, environment={"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"}) as server:
        yield AzuriteBlobs(server, key)
