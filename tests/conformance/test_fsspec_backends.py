"""The kit on file systems behind the general adapter."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("runfolio.testing.conformance")

from runfolio.testing.conformance import BackendConformance  # noqa: E402 (after asking for readable assertions)

if TYPE_CHECKING:
    from pathlib import Path

    from runfolio.backend import Backend
    from store_access import TestStore

_spaces = count()


class TestFolder(BackendConformance):
    """fsspec's local files cannot create exclusively, and are found out."""

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        from runfolio_backends.fsspec_other import FsspecOtherBackend

        return FsspecOtherBackend(f"fsspec+file://{tmp_path}/store")


class TestMemory(BackendConformance):
    @pytest.fixture
    def backend(self) -> Backend:
        from runfolio_backends.fsspec_other import FsspecOtherBackend

        return FsspecOtherBackend(f"fsspec+memory://kit-{next(_spaces)}/store")


class TestObjectStore(BackendConformance):
    """An object store with a conditional put of its own."""

    @pytest.fixture
    def backend(self, s3_store: TestStore) -> Backend:
        from runfolio_backends.fsspec_other import FsspecOtherBackend

        return FsspecOtherBackend(f"fsspec+{s3_store.url}")
