"""The kit on file systems behind the general adapter."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from runfolio.testing.conformance import BackendConformance
from runfolio_backends.fsspec_other import FsspecOtherBackend

if TYPE_CHECKING:
    from pathlib import Path

    from moto_s3 import MotoS3
    from runfolio.backend import Backend

_spaces = count()
_NO_SERVER: dict[str, str] = dict.fromkeys(
    ("make_denied", "make_missing", "make_unreachable", "make_read_only", "make_undeletable"),
    "there is no server, and there are no credentials",
)


class TestFolder(BackendConformance):
    """fsspec's local files cannot create exclusively, and are found out."""

    impossible = _NO_SERVER

    def make_backend(self, folder: Path) -> Backend:
        return FsspecOtherBackend(f"fsspec+file://{folder}/store")


class TestMemory(BackendConformance):
    impossible = _NO_SERVER

    def make_backend(self, folder: Path) -> Backend:
        return FsspecOtherBackend(f"fsspec+memory://kit-{next(_spaces)}/store")


class TestObjectStore(BackendConformance):
    """An object store with a conditional put of its own."""

    impossible = _NO_SERVER | dict.fromkeys(
        _NO_SERVER, "what its library says of that is tried with the backend for S3"
    )
    model_examples = 3
    model_steps = 20

    @pytest.fixture(autouse=True)
    def _server(self, moto: MotoS3, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moto = moto
        for name, value in moto.store().environment.items():
            monkeypatch.setenv(name, value)

    def make_backend(self, folder: Path) -> Backend:
        return FsspecOtherBackend(f"fsspec+s3://{self.moto.bucket()}/history")
