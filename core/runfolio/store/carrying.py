"""Bytes on their way from one store into another: on the server's side where that can be, hashed, in flat memory."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from runfolio.errors import FormatError
from runfolio.filesystem import hash_file
from runfolio.store.created import create_document
from runfolio.store.documents import decode, encode

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from runfolio.backend import Backend
    from runfolio.store.environment import Environment

_PART: Final = 8 * 1024 * 1024
"""Objects up to this size are carried in memory, larger ones through a temporary file."""
_TRIES: Final = 3


@final
class Carrier:
    """Carries objects, and keeps the books. Safe in threads.

    Args:
        source: where from.
        target: where to.
        verify: read back and hash what was copied on the server's side.
        progress: told about bytes written.

    Attributes:
        keys: what was written.
        problems: what needs somebody's attention, a sentence each.
    """

    def __init__(
        self, source: Backend, target: Backend, *, verify: bool = True, progress: Callable[[int], None] | None = None
    ) -> None:
        self.source: Final = source
        self.target: Final = target
        self._verify = verify
        self._progress = progress
        self._lock = threading.Lock()
        self.keys: list[str] = []
        self.bytes = 0
        self.problems: list[str] = []

    @property
    def objects(self) -> int:
        """How many objects were written."""
        return len(self.keys)

    def wrote(self, key: str, size: int) -> None:
        """Note an object that was written."""
        with self._lock:
            self.keys.append(key)
            self.bytes += size
        if self._progress is not None:
            self._progress(size)

    def create(self, key: str, document: Mapping[str, Any], there: Container[str], environment: Environment) -> None:
        """Create a document, or compare the one that is there. Another one stays, and is a problem.

        Args:
            key: in both stores.
            document: what the source has.
            there: keys that the target has.
            environment: clocks and chance of the target.

        Raises:
            FormatError: what is there cannot be read.
            StorageError: a storage failed.
        """
        if key in there:
            stored = decode(self.target.get(key), key)
        else:
            creation = create_document(self.target, key, document, environment)
            stored = creation.document
            if creation.fresh:
                self.wrote(key, len(encode(stored)))
        if encode(stored) != encode(document):
            with self._lock:
                self.problems.append(f"{key} is another one in the target, which keeps its own")

    def carry_documents(self, prefix: str, environment: Environment) -> None:
        """Carry all documents below a prefix, each created where the target has none.

        Raises:
            StorageError: a storage failed.
        """
        there = {info.key for info in self.target.list(prefix)}

        def carry(key: str) -> None:
            try:
                self.create(key, decode(self.source.get(key), key), there, environment)
            except FormatError as error:
                with self._lock:
                    self.problems.append(f"{key} was not copied: {error}")

        environment.gather([partial(carry, info.key) for info in self.source.list(prefix)])

    def carry_absent(self, key: str, there: Container[str]) -> None:
        """Carry an object of a kind that is not known here, unless the target has one of that key."""
        if key not in there:
            self.carry(key, key, self.source.stat(key).size)

    def carry(self, key: str, target_key: str, size: int, sha256: str | None = None) -> None:
        """Carry one object.

        What does not have the hash that is promised is carried all the same, since the source holds nothing better,
        and is a problem.

        Args:
            key: in the source.
            target_key: in the target.
            size: as the source lists it.
            sha256: what its bytes must hash to, where somebody promised that.

        Raises:
            NotFoundError: it is gone.
            StorageError: a storage failed.
        """
        if self._copied_by_server(key, target_key, size, sha256):
            self.wrote(target_key, size)
            return
        seen: list[str] = []
        for _ in range(_TRIES):
            found = self._through_here(key, target_key, size, sha256, seen)
            if found is not None:
                self.wrote(target_key, found)
                return
        self.problems.append(f"{key} gave other bytes each time it was read, and was not copied")

    def _copied_by_server(self, key: str, target_key: str, size: int, sha256: str | None) -> bool:
        if not self.target.copy_from(self.source, key, target_key):
            return False
        if not self._verify:
            return self.target.stat(target_key).size == size
        wanted = sha256 or self.digest(self.source, key, size)
        return self.digest(self.target, target_key, size) == wanted

    def _through_here(self, key: str, target_key: str, size: int, sha256: str | None, seen: list[str]) -> int | None:
        """Read the object and write it; None when it has to be read again, because it is not what was promised."""
        if size <= _PART:
            data = self.source.get(key)
            if not self._is_right(key, hashlib.sha256(data).hexdigest(), sha256, seen):
                return None
            self.target.put(target_key, data)
            return len(data)
        with tempfile.TemporaryDirectory(prefix="runfolio-copy-") as folder:
            path = Path(folder) / "object"
            self.source.get_file(key, path)
            digest, length = hash_file(path)
            if not self._is_right(key, digest, sha256, seen):
                return None
            self.target.put_file(target_key, path)
            return length

    def _is_right(self, key: str, digest: str, sha256: str | None, seen: list[str]) -> bool:
        if sha256 is None or digest == sha256:
            return True
        if digest not in seen:
            seen.append(digest)
            return False  # the way may be to blame: read it again
        with self._lock:
            self.problems.append(f"{key} is damaged in the source: its bytes do not have the hash of its record")
        return True

    @staticmethod
    def digest(backend: Backend, key: str, size: int) -> str:
        """Return the SHA-256 of an object, read part by part."""
        found = hashlib.sha256()
        for start in range(0, size, _PART):
            found.update(backend.get(key, start, min(start + _PART, size)))
        return found.hexdigest()
