"""The kit on the backends that come with Runfolio."""

from __future__ import annotations

import errno
import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from runfolio.store.retrying import RetryingBackend
from runfolio.testing import CountingBackend, FaultyBackend, LatencyBackend
from runfolio.testing.conformance import (
    BackendConformance,
    ConcurrencyConformance,
    ConditionalCreateConformance,
    WriteConformance,
)
from runfolio_backends.local import LocalBackend
from runfolio_backends.memory import MemoryBackend

if TYPE_CHECKING:
    from runfolio.backend import Backend

_spaces = count()
_FOLDER = "a folder has no credentials of its own: tests/backends/test_local.py tries its permissions"
_OWN_MEMORY = "the memory of this process is always there, and open"


class TestLocal(BackendConformance):
    impossible = {  # noqa: RUF012 (read only)
        "make_denied": _FOLDER,
        "make_missing": "the folder is made by the first write",
        "make_unreachable": "there is no connection",
        "make_read_only": _FOLDER,
        "make_undeletable": _FOLDER,
    }

    def make_backend(self, folder: Path) -> Backend:
        return LocalBackend(folder / "a store#1")

    def raw_put(self, backend: Backend, key: str, data: bytes) -> None:
        path = self._path(backend, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def raw_get(self, backend: Backend, key: str) -> bytes:
        return self._path(backend, key).read_bytes()

    def _path(self, backend: Backend, key: str) -> Path:
        return Path(unquote(urlsplit(backend.url).path), key)


class TestLocalWithFsync(WriteConformance):
    def make_backend(self, folder: Path) -> Backend:
        return LocalBackend(folder / "store", fsync=True)


class TestLocalWithoutHardLinks(WriteConformance, ConditionalCreateConformance, ConcurrencyConformance):
    """As on FAT: links are refused, and the exclusive rename takes their place."""

    @pytest.fixture(autouse=True)
    def _no_links(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*args: object, **options: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)

    def make_backend(self, folder: Path) -> Backend:
        return LocalBackend(folder)


class TestLocalWithOneWriter(BackendConformance):
    """A backend that declares no exclusive creation gets the negative rules."""

    impossible = TestLocal.impossible

    def make_backend(self, folder: Path) -> Backend:
        return LocalBackend(folder, single_writer=True)


class TestMemory(BackendConformance):
    impossible = {  # noqa: RUF012 (read only)
        "make_denied": _OWN_MEMORY,
        "make_missing": _OWN_MEMORY,
        "make_unreachable": _OWN_MEMORY,
        "make_read_only": _OWN_MEMORY,
        "make_undeletable": _OWN_MEMORY,
    }

    def make_backend(self, folder: Path) -> Backend:
        return MemoryBackend(f"memory://kit-{next(_spaces)}")


class TestWrapped(BackendConformance):
    """The wrappers keep every rule of what they wrap."""

    impossible = TestMemory.impossible

    def make_backend(self, folder: Path) -> Backend:
        inner = MemoryBackend(f"memory://kit-{next(_spaces)}")
        return CountingBackend(RetryingBackend(FaultyBackend(LatencyBackend(inner, 0.0))))

    def again(self, backend: Backend) -> Backend:
        return backend
