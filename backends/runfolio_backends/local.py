"""A store in a folder of this machine, or of a network share that behaves like one.

Nothing is ever written under its own name: bytes go to a temporary file in the same folder, which is then renamed
(`put`) or hard linked (`create`) to the key. So a reader sees a whole object or none, whenever a writer is killed.
"""

# This room is system calls: os is what they are called, and pathlib would cost more than some of them.
from __future__ import annotations

import os
import stat as modes
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, final
from urllib.parse import unquote, urlsplit

from runfolio.backend import Backend, Capabilities, ObjectInfo, Progress
from runfolio.errors import AlreadyExistsError, ConfigurationError, InvalidKeyError, NotFoundError
from runfolio_backends import local_files
from runfolio_backends.local_errors import NAME, translate_errors
from runfolio_backends.local_listing import walk

_BINARY: Final = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)


@final
class LocalBackend(Backend):
    """Objects as files below one folder.

    Any number of processes on any number of machines that mount it may use it at once.

    Args:
        url: the folder, as a path or a ``file://`` (or ``local://``) URL. It is created by the first write.
        fsync: wait until each object is on the disk itself, so that it survives a loss of power.
        single_writer: accept a file system that can create nothing exclusively (neither hard links nor an exclusive
            rename). The caller promises that one process at a time writes to the store.

    Raises:
        ConfigurationError: the URL names another host, or no folder.
    """

    name = NAME

    def __init__(self, url: str | os.PathLike[str], *, fsync: bool = False, single_writer: bool = False) -> None:
        self._root = _folder_of(url)
        self._fsync = fsync
        self._single_writer = single_writer

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (self._root, self._fsync, self._single_writer)

    @property
    def url(self) -> str:
        """The folder as a ``file://`` URL."""
        return Path(self._root).as_uri()

    @property
    def root(self) -> Path:
        """The folder."""
        return Path(self._root)

    @property
    def capabilities(self) -> Capabilities:
        """Everything, unless `single_writer` gave up exclusive creation."""
        return Capabilities(conditional_create=not self._single_writer)

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102 (docstring inherited)
        with translate_errors("get", key, self._root):
            descriptor = os.open(self._path(key), os.O_RDONLY | _NO_FOLLOW | _BINARY)
            with os.fdopen(descriptor, "rb") as file:
                size = os.fstat(descriptor).st_size
                first, after, _ = slice(start, end).indices(size)
                file.seek(first)
                # Without a range the file is read to its end, whatever its size was a moment ago: some file systems lie
                # about it.
                return file.read() if start is None and end is None else file.read(max(0, after - first))

    def put(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        path = self._path(key)
        with translate_errors("put", key, self._root):
            temporary = local_files.write_temporary(path, data, fsync=self._fsync)
            self._publish(temporary, path)

    def create(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        path = self._path(key)
        with translate_errors("create", key, self._root):
            temporary = local_files.write_temporary(path, data, fsync=self._fsync)
            try:
                local_files.publish_new(temporary, path, single_writer=self._single_writer)
            except FileExistsError as error:
                raise AlreadyExistsError(
                    f"{key} exists already in {self.url}", backend=self.name, key=key, operation="create"
                ) from error
            finally:
                local_files.discard(temporary)
            self._sync_folder(path)

    def list(self, prefix: str = "", *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:  # noqa: D102 (docstring inherited)
        with translate_errors("list", prefix, self._root):
            yield from walk(self._root, prefix, start_after, limit)

    def stat(self, key: str) -> ObjectInfo:  # noqa: D102 (docstring inherited)
        with translate_errors("stat", key, self._root):
            found = os.lstat(self._path(key))
        if not modes.S_ISREG(found.st_mode):
            raise NotFoundError(f"{key} is not in {self.url}", backend=self.name, key=key, operation="stat")
        return ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def delete(self, keys: Iterable[str]) -> None:  # noqa: D102 (docstring inherited)
        folders: set[str] = set()
        for key in keys:
            path = self._path(key)
            with translate_errors("delete", key, self._root):
                if local_files.remove(path):
                    folders.add(os.path.dirname(path))
        local_files.prune(folders, self._root)

    def close(self) -> None:
        """Do nothing: no file stays open between two calls."""

    def now(self) -> datetime:
        """Return the time of this machine, which stamps the files.

        On a network file system it is the server's within seconds.
        """
        return datetime.now(UTC)

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:
        """Copy a file in, in flat memory, as a reflink where the file system has them."""
        final_path = self._path(key)
        with translate_errors("put", key, self._root, source=path), Path(path).open("rb") as source:
            temporary = local_files.copy_to_temporary(source, final_path, progress, fsync=self._fsync)
            self._publish(temporary, final_path)

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:
        """Copy an object out, in flat memory, as a reflink where the file system has them."""
        with (
            self._opened(key) as source,
            translate_errors("get", key, self._root, target=path),
            Path(path).open("wb") as out,
        ):
            local_files.copy_bytes(source, out, progress)

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:
        """Copy an object of another folder, inside the kernel, as a reflink where the file system has them."""
        if not isinstance(source, LocalBackend):
            return False
        path = self._path(key)
        with source._opened(source_key) as opened, translate_errors("put", key, self._root):  # noqa: SLF001 (one of us)
            self._publish(local_files.copy_to_temporary(opened, path, None, fsync=self._fsync), path)
        return True

    def sweep(self, older_than: float = 86400.0) -> int:
        """Remove temporary files that killed processes left behind, and return how many there were.

        Args:
            older_than: only those last written more than this many seconds ago: a younger one may be in use.
        """
        with translate_errors("sweep", "", self._root):
            return local_files.sweep(self._root, older_than)

    def _opened(self, key: str) -> BinaryIO:
        """Open an object.

        Raises:
            NotFoundError: there is none, or what is there is no regular file.
        """
        with translate_errors("get", key, self._root):
            file = os.fdopen(os.open(self._path(key), os.O_RDONLY | _NO_FOLLOW | _BINARY), "rb")
        if not modes.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise NotFoundError(f"{key} is not in {self.url}", backend=self.name, key=key, operation="get")
        return file

    def _path(self, key: str) -> str:
        """Where an object lies: inside the folder, through no symbolic link, and never where a temporary file could.

        Raises:
            InvalidKeyError: it lies elsewhere.
        """
        parts = key.split("/")
        if any(part in ("", ".", "..") or local_files.is_temporary(part) or os.sep in part for part in parts):
            raise InvalidKeyError(f"{key!r} cannot be the key of a file below {self._root}", backend=self.name, key=key)
        folder = os.path.join(os.path.realpath(self._root), *parts[:-1])
        if os.path.normcase(os.path.realpath(folder)) != os.path.normcase(folder):
            raise InvalidKeyError(
                f"{key!r} leads through a symbolic link: a store is followed through none. Replace the link below "
                f"{self._root} by a folder, or mount the other place there",
                backend=self.name,
                key=key,
            )
        return os.path.join(folder, parts[-1])

    def _publish(self, temporary: str, path: str) -> None:
        try:
            os.replace(temporary, path)
        except BaseException:  # also when a signal handler raises: the temporary file is of no use to anybody
            local_files.discard(temporary)
            raise
        self._sync_folder(path)

    def _sync_folder(self, path: str) -> None:
        if self._fsync:
            local_files.sync_folder(os.path.dirname(path))


def _restore(root: str, fsync: bool, single_writer: bool) -> LocalBackend:
    return LocalBackend(root, fsync=fsync, single_writer=single_writer)


def _folder_of(url: str | os.PathLike[str]) -> str:
    text = os.fspath(url)
    if not text:
        raise ConfigurationError("The folder of a local store must not be empty", backend=NAME)
    if text.startswith(("file:", "local:")):
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not parts.path:
            raise ConfigurationError(
                f"{text!r} does not name a folder of this machine: expected file:///path "
                "(with % escapes for '#' and '?')",
                backend=NAME,
            )
        text = unquote(parts.path, errors="surrogateescape")  # names need not be UTF-8
        if os.name == "nt" and text[:1] == "/" and text[2:3] == ":":  # file:///C:/x
            text = text[1:]
    if "\0" in text:
        raise ConfigurationError("The folder of a local store must not contain a NUL character", backend=NAME)
    return os.path.abspath(os.path.expanduser(text))
