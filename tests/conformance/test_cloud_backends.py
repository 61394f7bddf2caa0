"""The kit on the backends of the clouds, against real servers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from runfolio.testing.conformance import BackendConformance, deviates
from runfolio.testing.conformance.stores import KEYS
from runfolio_backends.azure import AzureBackend
from runfolio_backends.s3 import S3Backend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from azurite_blobs import AzuriteBlobs
    from moto_s3 import MotoS3
    from runfolio.backend import Backend
    from seaweed_s3 import SeaweedS3

WRONG = "wrong-secret-of-the-kit"
WRONG_KEY = "d3Jvbmctc2VjcmV0LW9mLXRoZS1raXQ="
PREFIX = "history/"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


class S3Rules(BackendConformance):
    """What the two S3 servers have in common."""

    model_examples = 5  # each request crosses the network
    model_steps = 20
    secrets = (WRONG,)
    server: Any
    port: int

    @pytest.fixture(autouse=True)
    def _port(self, closed_port: int) -> None:
        self.port = closed_port

    def use(self, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Work with a server: in this process, and in those that the kit starts."""
        self.server = server
        for name, value in server.store().environment.items():
            monkeypatch.setenv(name, value)

    def make_backend(self, folder: Path) -> Backend:
        return S3Backend(f"s3://{self.server.bucket()}/{PREFIX}")

    def raw_put(self, backend: Backend, key: str, data: bytes) -> None:
        self.server.s3.put_object(Bucket=_bucket(backend), Key=f"{PREFIX}{key}", Body=data)

    def raw_get(self, backend: Backend, key: str) -> bytes:
        found: bytes = self.server.s3.get_object(Bucket=_bucket(backend), Key=f"{PREFIX}{key}")["Body"].read()
        return found

    def make_denied(self, backend: Backend) -> Backend | None:
        return S3Backend(backend.url, key="AKIAWRONGWRONGWRONG", secret=WRONG)

    def make_missing(self, backend: Backend) -> Backend | None:
        return S3Backend("s3://bucket-that-nobody-has-made/history")

    def make_unreachable(self, backend: Backend) -> Backend | None:
        return S3Backend(backend.url, endpoint=f"http://127.0.0.1:{self.port}", connect_timeout=2.0, read_timeout=2.0)


class TestS3OnMoto(S3Rules):
    @pytest.fixture(autouse=True)
    def _server(self, moto: MotoS3, monkeypatch: pytest.MonkeyPatch) -> None:
        self.use(moto, monkeypatch)

    def make_read_only(self, backend: Backend) -> Backend | None:
        return self._allowed(backend, "GetObject")

    def make_undeletable(self, backend: Backend) -> Backend | None:
        return self._allowed(backend, "GetObject", "PutObject")

    def _allowed(self, backend: Backend, *actions: str) -> Backend:
        from moto_s3 import allow

        key = self.server.key(*allow(_bucket(backend), on_bucket=["ListBucket"], on_objects=actions))
        return S3Backend(backend.url, key=key.id, secret=key.secret)


class TestS3OnSeaweed(S3Rules):
    impossible = {  # noqa: RUF012 (read only)
        "make_undeletable": "its permission to write is also that to delete",
        "make_missing": "it makes a bucket when somebody who may do so puts an object into it",
    }

    @pytest.fixture(autouse=True)
    def _server(self, seaweed: SeaweedS3, monkeypatch: pytest.MonkeyPatch) -> None:
        self.use(seaweed, monkeypatch)

    def make_read_only(self, backend: Backend) -> Backend | None:
        from seaweed_s3 import READER

        return S3Backend(backend.url, key=READER.id, secret=READER.secret)

    @pytest.mark.parametrize("start_after", ["", "a", "b/B", "b/a", "b/lower", "b/z", "z"])
    @pytest.mark.parametrize("limit", [None, 0, 1, 2, 99])
    @deviates("SeaweedFS lists one folder after the other, and begins after a key within its folder only")
    def test_start_after_and_limit(self, backend: Backend, start_after: str, limit: int | None) -> None:
        keys = ["b/B", "b/a", "b/a-b", "b/a0", "b/lower", "b/\u00e4"]
        for key in reversed(keys):
            backend.put(key, b"x")
        expected = [key for key in keys if key > start_after]
        assert [info.key for info in backend.list("b/", start_after=start_after, limit=limit)] == expected[:limit]

    @deviates("as above: the folder `a/` comes before `a-b`, and every folder in one piece")
    def test_order(self, backend: Backend) -> None:
        for key in reversed(KEYS):
            self.raw_put(backend, key, b"x")
        assert [info.key for info in backend.list()] == sorted(KEYS, key=_by_folder)

    @pytest.mark.parametrize("prefix", ["", "a/", "a/y/", "ab/", "b/", "none/"])
    @deviates("as above")
    def test_prefix(self, backend: Backend, prefix: str) -> None:
        for key in KEYS:
            self.raw_put(backend, key, b"x")
        expected = [key for key in sorted(KEYS, key=_by_folder) if key.startswith(prefix)]
        assert [info.key for info in backend.list(prefix)] == expected

    @deviates("as above: what is listed is compared without its order across folders")
    def test_against_a_dict(self, tmp_path: Path) -> None:
        backend, model = self.make_backend(tmp_path), dict[str, bytes]()
        keys = [f"b/{one}{two}" for one in ("a", "a-", "a0") for two in ("x", "y", "-1")]
        for at in range(150):
            key = keys[at * 7 % len(keys)]
            if at % 3:
                model[key] = bytes(at % 5)
                backend.put(key, model[key])
            else:
                backend.delete([key])
                model.pop(key, None)
            after = keys[at % len(keys)]
            assert [info.key for info in backend.list("b/", start_after=after)] == sorted(
                one for one in model if one > after
            )
        assert {info.key: backend.get(info.key) for info in backend.list()} == model


def _by_folder(key: str) -> list[bytes]:
    return [part.encode() for part in key.split("/")]


class TestAzure(BackendConformance):
    model_examples = 5
    model_steps = 20
    secrets = (WRONG_KEY,)

    @pytest.fixture(autouse=True)
    def _server(self, azurite: AzuriteBlobs, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.azurite, self.port = azurite, closed_port
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string())

    def make_backend(self, folder: Path) -> Backend:
        return AzureBackend(f"az://{self.azurite.container()}/{PREFIX}")

    def raw_put(self, backend: Backend, key: str, data: bytes) -> None:
        blob = self.azurite.service.get_blob_client(_bucket(backend), f"{PREFIX}{key}")
        blob.upload_blob(data, overwrite=True)

    def raw_get(self, backend: Backend, key: str) -> bytes:
        blob = self.azurite.service.get_blob_client(_bucket(backend), f"{PREFIX}{key}")
        return blob.download_blob().readall()

    def make_denied(self, backend: Backend) -> Backend | None:
        return AzureBackend(backend.url, connection_string=self.azurite.connection_string(key=WRONG_KEY))

    def make_missing(self, backend: Backend) -> Backend | None:
        return AzureBackend("az://container-that-nobody-has-made/history")

    def make_unreachable(self, backend: Backend) -> Backend | None:
        nowhere = self.azurite.connection_string(server=f"http://127.0.0.1:{self.port}")
        return AzureBackend(backend.url, connection_string=nowhere, connect_timeout=2.0, read_timeout=2.0)

    def make_read_only(self, backend: Backend) -> Backend | None:
        return self._allowed(backend, "rl")

    def make_undeletable(self, backend: Backend) -> Backend | None:
        return self._allowed(backend, "rlwc")

    def _allowed(self, backend: Backend, permission: str) -> Backend:
        signature = self.azurite.sas(_bucket(backend), permission)
        return AzureBackend(backend.url, connection_string=self.azurite.connection_string(sas=signature))


def _bucket(backend: Backend) -> str:
    return backend.url.split("/")[2].partition("@")[0]
