"""The kit on the backends that come with Runfolio."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("runfolio.testing.conformance")

from runfolio.store.retrying import RetryingBackend  # noqa: E402 (after asking for readable assertions)
from runfolio.testing import CountingBackend  # noqa: E402
from runfolio.testing.conformance import BackendConformance, ConcurrencyConformance, WriteConformance, deviates  # noqa: E402
from runfolio_backends.local import LocalBackend  # noqa: E402
from runfolio_backends.memory import MemoryBackend  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runfolio.backend import Backend, ObjectInfo

_spaces = count()


class TestLocal(BackendConformance):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        return LocalBackend(tmp_path / "a store#1")


class TestLocalWithFsync(WriteConformance):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        return LocalBackend(tmp_path / "store", fsync=True)


class TestLocalWithoutHardLinks(WriteConformance, ConcurrencyConformance):
    """As on FAT: links are refused, and the exclusive rename takes their place."""

    @pytest.fixture
    def backend(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backend:
        import errno
        import os

        def refuse(*args: object, **options: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        return LocalBackend(tmp_path)


class TestMemory(BackendConformance):
    @pytest.fixture
    def backend(self) -> Backend:
        return MemoryBackend(f"memory://kit-{next(_spaces)}")


class TestWrapped(BackendConformance):
    """The wrappers keep every rule of what they wrap."""

    @pytest.fixture
    def backend(self) -> Backend:
        return CountingBackend(RetryingBackend(MemoryBackend(f"memory://kit-{next(_spaces)}")))

    def again(self, backend: Backend) -> Backend:
        return backend


def test_rules_are_not_shadowed_in_silence() -> None:
    with pytest.raises(TypeError, match="test_delete"):

        class Lazy(BackendConformance):  # pyright: ignore[reportUnusedClass]  # making it is the error
            def test_delete(self, backend: Backend) -> None:
                pass

    class Honest(BackendConformance):
        @deviates("this storage cannot delete")
        def test_delete(self, backend: Backend) -> None:
            pass

    assert Honest is not None


def test_the_kit_finds_what_is_wrong(tmp_path: Path) -> None:
    """A backend that creates by looking first, and one that takes a prefix for text, do not pass."""

    class Hasty(MemoryBackend):  # type: ignore[misc]  # final: only a test may
        def create(self, key: str, data: bytes) -> None:
            self.put(key, data)

        def list(self, prefix: str = "", *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
            return super().list(prefix.rstrip("/"), start_after=start_after, limit=limit)

    class Kit(BackendConformance):
        pass

    rules: tuple[Callable[[Kit, Backend], None], ...] = (
        lambda kit, one: kit.test_create(one),
        lambda kit, one: kit.test_prefix(one, "a/"),
    )
    for rule in rules:
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            rule(Kit(), Hasty(f"memory://hasty-{next(_spaces)}"))
