"""A store in an LMDB database. Each request is one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, final
from urllib.parse import unquote, urlsplit

from runfolio.backend import Backend, ObjectInfo, Progress
from runfolio.errors import AlreadyExistsError, ConfigurationError, NotFoundError, ReadOnlyError
from runfolio_lmdb import layout
from runfolio_lmdb.environments import NAME, Opening, forget, release, transaction, translate_errors

if TYPE_CHECKING:
    from collections.abc import Generator

_SCHEME: Final = "lmdb"
_PAGE: Final = 1000


@final
class LmdbBackend(Backend):
    """Objects in one LMDB database, for all processes of one machine.

    Args:
        url: ``lmdb:///folder``. The folder is made by the first write.
        map_size: the most the database can hold, in bytes.
        durable: wait until each write is on the disk.
        read_only: open the database for reading only.

    Raises:
        ConfigurationError: the URL names no folder.
    """

    name = NAME

    def __init__(
        self, url: str, *, map_size: int = 64 * 1024**3, durable: bool = True, read_only: bool = False
    ) -> None:
        parts = urlsplit(url)
        folder = unquote(parts.path)
        if parts.scheme != _SCHEME or parts.netloc or folder.strip("/") == "":
            raise ConfigurationError(f"{url!r} is not the URL of an LMDB store: expected lmdb:///folder", key=url)
        self._opening = Opening(folder, map_size=map_size, durable=durable, read_only=read_only)

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (self._opening,)

    @property
    def url(self) -> str:
        """The folder as an ``lmdb://`` URL."""
        return _SCHEME + Path(self._opening.folder).as_uri().removeprefix("file")

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        with self._reading("get", key) as begun:
            reading, entry = self._found(begun, key, "get")
            first, after, _ = slice(start, end).indices(entry.size)
            return b"".join(layout.pieces(reading, entry, first, after))

    def put(self, key: str, data: bytes) -> None:
        with self._writing("put", key) as writing:
            layout.replace(writing, key, [data], time.time())

    def create(self, key: str, data: bytes) -> None:
        with self._writing("create", key) as writing:
            if layout.find(writing, key) is not None:
                raise AlreadyExistsError(
                    f"{key} exists already in {self.url}", backend=NAME, key=key, operation="create"
                )
            layout.replace(writing, key, [data], time.time())

    def list(self, prefix: str = "", *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        after, left = start_after, limit
        while left is None or left > 0:
            # A transaction for each page: one that stays open would keep LMDB from using freed space again.
            with self._reading("list", prefix) as reading:
                page = layout.page(reading, prefix, after, _PAGE if left is None else min(left, _PAGE))
            for key, entry in page:
                yield ObjectInfo(key, entry.size, datetime.fromtimestamp(entry.modified, UTC))
            if len(page) < _PAGE:
                return
            after = page[-1][0]
            left = None if left is None else left - len(page)

    def stat(self, key: str) -> ObjectInfo:
        with self._reading("stat", key) as begun:
            _, entry = self._found(begun, key, "stat")
        return ObjectInfo(key, entry.size, datetime.fromtimestamp(entry.modified, UTC))

    def delete(self, keys: Iterable[str]) -> None:
        chosen = [*keys]
        if not chosen:
            return
        with self._writing("delete", chosen[0]) as writing:
            for key in chosen:
                layout.remove(writing, key)

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:
        with path.open("rb") as file, self._writing("put", key) as writing:
            parts = iter(lambda: file.read(layout.PIECE), b"")
            layout.replace(writing, key, _told(parts, progress), time.time())

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:
        # One transaction: the file is one version of the object, whoever replaces it meanwhile.
        with self._reading("get", key) as begun:
            reading, entry = self._found(begun, key, "get")
            with path.open("wb") as out:
                for piece in _told(layout.pieces(reading, entry, 0, entry.size), progress):
                    out.write(piece)

    def now(self) -> datetime:
        """Return the clock of this machine: the times of objects come from it."""
        return datetime.now(UTC)

    def close(self) -> None:
        release(self._opening, id(self))

    def after_fork(self) -> None:
        forget()

    def _found(
        self, reading: layout.Transaction | None, key: str, operation: str
    ) -> tuple[layout.Transaction, layout.Entry]:
        entry = layout.find(reading, key) if reading is not None else None
        if reading is None or entry is None:
            raise NotFoundError(f"{key} is not in {self.url}", backend=NAME, key=key, operation=operation)
        return reading, entry

    @contextmanager
    def _reading(self, operation: str, key: str) -> Generator[layout.Transaction | None]:
        """A transaction to read in; None while there is no database."""
        with translate_errors(operation, key, self.url), transaction(self._opening, id(self), write=False) as begun:
            yield layout.Transaction(*begun) if begun is not None else None

    @contextmanager
    def _writing(self, operation: str, key: str) -> Generator[layout.Transaction]:
        """A transaction to write in. Nothing of it is stored when the block raises."""
        if self._opening.read_only:
            raise ReadOnlyError(f"{self.url} was opened for reading only", backend=NAME, key=key, operation=operation)
        with translate_errors(operation, key, self.url), transaction(self._opening, id(self), write=True) as begun:
            assert begun is not None  # for writing, there always is one
            yield layout.Transaction(*begun)


def _told(parts: Iterable[bytes], progress: Progress | None) -> Iterator[bytes]:
    for part in parts:
        yield part
        if progress is not None:
            progress(len(part))


def _restore(opening: Opening) -> LmdbBackend:
    url = _SCHEME + Path(opening.folder).as_uri().removeprefix("file")
    return LmdbBackend(url, map_size=opening.map_size, durable=opening.durable, read_only=opening.read_only)
