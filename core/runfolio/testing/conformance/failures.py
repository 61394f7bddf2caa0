"""Rules for storage that cannot be used: each trouble has its own error, soon, and without a secret in it.

Say how to bring the trouble about by overriding the ``make_…`` methods. A trouble that your storage cannot have stands
in `impossible` with the reason, and is reported as such; one that you neither make nor name is reported as skipped.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Final

import pytest

from runfolio.errors import (
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    ReadOnlyError,
    RunfolioError,
    StorageError,
    TransientStorageError,
)
from runfolio.testing.conformance.stores import StoreRules

if TYPE_CHECKING:
    from pathlib import Path

    from runfolio.backend import Backend

_Operation = Callable[["Backend", "Path"], object]
_READING: Final[dict[str, _Operation]] = {
    "get": lambda backend, _: backend.get("a/b"),
    "get a range": lambda backend, _: backend.get("a/b", 0, 2),
    "stat": lambda backend, _: backend.stat("a/b"),
    "list": lambda backend, _: [*backend.list("a/")],
    "get_file": lambda backend, folder: backend.get_file("a/b", folder / "target"),
}
_WRITING: Final[dict[str, _Operation]] = {
    "put": lambda backend, _: backend.put("a/new", b"x"),
    "create": lambda backend, _: backend.create("a/newer", b"x"),
    "put_file": lambda backend, folder: backend.put_file("a/new", folder / "source"),
}
_DELETING: Final[dict[str, _Operation]] = {"delete": lambda backend, _: backend.delete(["a/b"])}
_ALL: Final = {**_READING, **_WRITING, **_DELETING}


class FailureConformance(StoreRules):
    """Wrong credentials, a missing place, no connection, no permission."""

    impossible: ClassVar[Mapping[str, str]] = {}
    """Which of the ``make_…`` methods have nothing to make here, each with the reason."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """What the failing backends were given and must never be shown: keys, tokens, signatures."""

    def make_denied(self, backend: Backend) -> Backend | None:
        """Return a backend of the same store with credentials that may do nothing there."""

    def make_missing(self, backend: Backend) -> Backend | None:
        """Return a backend of a bucket, container or share that does not exist."""

    def make_unreachable(self, backend: Backend) -> Backend | None:
        """Return a backend whose server does not answer. Configure short timeouts."""

    def make_read_only(self, backend: Backend) -> Backend | None:
        """Return a backend of the same store that may only read."""

    def make_undeletable(self, backend: Backend) -> Backend | None:
        """Return a backend of the same store that may read and write, and not delete."""

    def test_denied(self, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Wrong credentials: PermissionDeniedError, whatever is asked; never an empty answer or a missing object."""
        denied = self._made("make_denied", backend)
        self._fail(backend, denied, _ALL, tmp_path_factory, PermissionDeniedError)

    def test_missing_place(self, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
        """A bucket that does not exist is an error for everything, also for listing: it is not an empty store."""
        missing = self._made("make_missing", backend)
        errors = (NotFoundError, ConfigurationError, StorageError)
        self._fail(backend, missing, {**_READING, **_WRITING}, tmp_path_factory, *errors)

    def test_unreachable(self, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
        """No connection: TransientStorageError, which may be tried again, before anybody loses patience."""
        unreachable = self._made("make_unreachable", backend)
        self._fail(backend, unreachable, _ALL, tmp_path_factory, TransientStorageError)

    def test_read_only(self, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Who may only read can read everything; writing and deleting is ReadOnlyError or PermissionDeniedError."""
        reader = self._made("make_read_only", backend)
        writing = {**_WRITING, **_DELETING}
        self._fail(backend, reader, writing, tmp_path_factory, ReadOnlyError, PermissionDeniedError)
        for operation in _READING.values():
            self.within(lambda operation=operation: operation(reader, tmp_path_factory.mktemp("files")))  # type: ignore[misc]  # bound each time
        assert reader.get("a/b") == b"contents"

    def test_undeletable(self, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Who may write and not delete works, and is told PermissionDeniedError when something is to be deleted."""
        writer = self._made("make_undeletable", backend)
        writer.put("a/c", b"written")
        assert backend.get("a/c") == b"written"
        self._fail(backend, writer, _DELETING, tmp_path_factory, PermissionDeniedError)

    def _made(self, name: str, backend: Backend) -> Backend:
        if name in self.impossible:
            pytest.xfail(f"cannot happen: {self.impossible[name]}")
        made: Backend | None = getattr(self, name)(backend)
        if made is None:
            pytest.skip(f"not tried: override {name}, or say in `impossible` why this storage cannot have that trouble")
        return made

    def _fail(
        self,
        backend: Backend,
        failing: Backend,
        operations: Mapping[str, _Operation],
        folders: pytest.TempPathFactory,
        *expected: type[RunfolioError],
    ) -> None:
        backend.put("a/b", b"contents")
        before = [info.key for info in backend.list()]
        folder = folders.mktemp("files")
        (folder / "source").write_bytes(b"contents")
        for name, operation in operations.items():
            try:
                self.within(lambda operation=operation: operation(failing, folder))  # type: ignore[misc]  # bound each time
            except RunfolioError as error:
                if not isinstance(error, expected):
                    pytest.fail(f"{name} raises {type(error).__name__}: {error}")
                self._tells_well(name, error, failing)
            else:
                pytest.fail(f"{name} raises nothing: expected {' or '.join(one.__name__ for one in expected)}")
        failing.close()
        assert [info.key for info in backend.list()] == before, "what failed has changed something"
        assert backend.get("a/b") == b"contents"

    def _tells_well(self, name: str, error: RunfolioError, failing: Backend) -> None:
        if isinstance(error, StorageError):
            assert error.retryable is isinstance(error, TransientStorageError), name
        assert str(error).strip(), f"{name}: an error says what is wrong"
        told = "\n".join([*traceback.format_exception(error), str(error), repr(error), failing.url, repr(failing)])
        shown = [at for at, secret in enumerate(self.secrets) if secret in told]
        assert shown == [], f"{name}: the error tells secrets, by their place in `secrets`"
