"""What an implementer says about a store, for all suites."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Final

import pytest

from runfolio.testing.conformance.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from runfolio.backend import Backend

KEYS: Final = (
    "a-b",
    "a/x",
    "a/y/z",
    "a/y0",
    "a0",
    "ab/x",
    "b/.hidden",
    "b/UPPER",
    "b/lower",
    "b/p%20q",
    "b/space in it",
    "b/tilde~",
    "b/ä",
    "b/漢字",
    "b/😀",
    "log/~fold.json",
)
"""Keys that tell string prefixes from folders, and byte order from others."""
LONG_KEYS: Final = tuple("/".join(["long", *[letter * 239] * 3, "x" * 150, end]) for letter in "pq" for end in "ab")
"""Keys of 878 bytes: with a prefix of the store's own, about what S3 and Azure take. Shorter ones are not enough."""


class StoreRules(Rules):
    """What the suites need to know of your backend. `make_backend` is all that you have to bring."""

    # No abstract method: pytest leaves abstract classes out without a word.
    def make_backend(self, folder: Path) -> Backend:
        """Return a backend of an empty store: a new one each time.

        Args:
            folder: an empty folder, for stores that need one; it lasts as long as the test.
        """
        raise NotImplementedError(f"{type(self).__name__} has to say how to make an empty store: override make_backend")

    def again(self, backend: Backend) -> Backend:
        """Return a second backend of the same store, as another process would have one. By default a pickled copy."""
        copy: Backend = pickle.loads(pickle.dumps(backend))  # noqa: S301 (just made)
        return copy

    def raw_put(self, backend: Backend, key: str, data: bytes) -> None:
        """Write an object behind the backend's back, as another program would.

        By default through the backend; override it so that reads are not only checked against the store's own writes.
        """
        backend.put(key, data)

    def raw_get(self, backend: Backend, key: str) -> bytes:
        """Read an object behind the backend's back. By default through the backend; see `raw_put`."""
        return backend.get(key)

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Generator[Backend]:
        """An empty store."""
        made = self.make_backend(tmp_path)
        yield made
        made.close()
