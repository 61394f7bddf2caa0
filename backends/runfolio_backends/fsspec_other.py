"""A store in any other file system that fsspec knows: ``fsspec+<protocol>://…``.

What such a file system guarantees nobody here knows, so it is tried on the very place, and what trying cannot tell
is not relied on. Writes go through a temporary name where the file system has a rename that replaces; elsewhere (object
stores) one call puts a whole object.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack, final
from urllib.parse import urlsplit

from fsspec.asyn import AsyncFileSystem
from fsspec.callbacks import Callback
from fsspec.registry import get_filesystem_class, known_implementations, registry

from runfolio.backend import Capabilities, ObjectInfo, Progress
from runfolio.errors import AlreadyExistsError, ConfigurationError, NotFoundError, StorageError
from runfolio.ids import new_token
from runfolio_backends.cloud_options import checked_options
from runfolio_backends.fsspec_adapter import FRESH, FsspecBackend, size_of
from runfolio_backends.fsspec_errors import NAME, translate_errors
from runfolio_backends.fsspec_options import FsspecOptions

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

PREFIX: Final = "fsspec+"
_RENAMES: Final = frozenset({"file", "local", "sftp", "ssh", "smb", "hdfs", "arrow_hdfs", "webhdfs", "dbfs"})
"""Protocols of file systems with folders: a file that is being written shows, and `mv` replaces at one instant."""
_IN_PROCESS: Final = frozenset({"memory"})
_PARTIAL: Final = ".runfolio-partial"
_ABSENT: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_TIMES: Final = ("mtime", "LastModified", "last_modified", "modified", "updated", "created")
_ROUNDS: Final = 5
_RACERS: Final = 8
_process_lock = threading.Lock()


@final
class FsspecOtherBackend(FsspecBackend):
    """Files in a file system of fsspec.

    Args:
        url: ``fsspec+`` and a URL of fsspec, such as ``fsspec+gcs://bucket/prefix`` or ``fsspec+sftp://host/folder``.
        options: see `runfolio_backends.fsspec_options.FsspecOptions`.

    Raises:
        ConfigurationError: fsspec does not know the protocol, or an option is unknown or wrong.
    """

    name = NAME

    def __init__(self, url: str, **options: Unpack[FsspecOptions]) -> None:
        checked = checked_options(options, FsspecOptions, NAME, {})
        protocol = urlsplit(url).scheme.removeprefix(PREFIX)
        if not url.startswith(PREFIX) or (protocol not in known_implementations and protocol not in registry):
            raise ConfigurationError(
                f"{url!r} is not the URL of a file system: expected fsspec+<protocol>://…, with one of the protocols "
                f"{', '.join(sorted(known_implementations))}",
                backend=NAME,
            )
        super().__init__(url, checked)
        self._protocol = protocol
        self._root = ""
        self._trying = threading.RLock()
        self._exclusive: bool | None = None

    def _connect(self) -> AbstractFileSystem:
        with translate_errors("connect", "", self._url):
            kind = get_filesystem_class(self._protocol)
            theirs = self._url.removeprefix(PREFIX)
            found = kind._get_kwargs_from_urls(theirs)  # noqa: SLF001 (what fsspec.core.url_to_fs does)
            filesystem = kind(**{**found, **self._options.get("storage_options", {}), **FRESH})
            self._root = str(kind._strip_protocol(theirs)).rstrip("/")  # noqa: SLF001
            return filesystem

    @staticmethod
    def _disconnect(connection: AbstractFileSystem, process: int) -> None:
        """Leave it to the file system: fsspec has no way of closing one."""

    @property
    def capabilities(self) -> Capabilities:
        """What this place was seen to do. Asking for the first time tries it, below ``check/``.

        Raises:
            StorageError: it could not be tried.
        """
        shared = self._protocol not in _IN_PROCESS
        if self.single_writer:
            return Capabilities(conditional_create=False, shared=shared)
        with self._trying:
            if self._exclusive is None:
                # Where nobody else reaches it, the lock that `create` holds is enough.
                self._exclusive = not shared or (self._has_condition() and self._wins_once())
            return Capabilities(conditional_create=self._exclusive, shared=shared)

    def _has_condition(self) -> bool:
        """Whether the file system has a conditional put of its own. fsspec's general one looks first, and many win."""
        kind = type(self._connected())
        own = issubclass(kind, AsyncFileSystem) and kind._pipe_file is not AsyncFileSystem._pipe_file  # noqa: SLF001
        return own and "mode" in signature(kind._pipe_file).parameters  # noqa: SLF001

    def _wins_once(self) -> bool:
        """Let threads create the same objects, empty ones among them, and then try once more."""
        tried = [f"check/{new_token()}" for _ in range(_ROUNDS)]
        try:
            with ThreadPoolExecutor(_RACERS) as pool:
                for at, key in enumerate(tried):
                    body = b"" if at % 2 else b"x"
                    if sum(pool.map(self._creates, [key] * _RACERS, [body] * _RACERS)) != 1 or self._creates(key, b"y"):
                        return False
            return True
        finally:
            with suppress(StorageError):  # without the right to delete, a few bytes stay below check/
                self.delete(tried)

    def _creates(self, key: str, data: bytes) -> bool:
        try:
            self.create(key, data)
        except AlreadyExistsError:
            return False
        return True

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102 (docstring inherited)
        with translate_errors("get", key, self._url):
            path = self._path(key)
            if start is None and end is None:
                return bytes(self._connected().cat_file(path))
            # Not every file system cuts a range to the file, or counts from its end.
            first, after, _ = slice(start, end).indices(self.stat(key).size)
            return bytes(self._connected().cat_file(path, start=first, end=after)) if first < after else b""

    def put(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        with translate_errors("put", key, self._url), self._publishing(key) as path:
            self._connected().pipe_file(path, bytes(data))

    def create(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        if not self.single_writer and self._has_condition():
            with translate_errors("create", key, self._url):
                try:
                    self._connected().pipe_file(self._path(key), bytes(data), mode="create")
                except FileExistsError as error:
                    raise self._exists(key) from error
            return
        with _process_lock:  # at least the threads of one process never both find nothing
            try:
                self.stat(key)
            except NotFoundError:
                self.put(key, data)
                return
        raise self._exists(key)

    def list(  # noqa: D102 (docstring inherited)
        self, prefix: str = "", *, start_after: str = "", limit: int | None = None
    ) -> Iterator[ObjectInfo]:
        with translate_errors("list", prefix, self._url):
            below = self._path(prefix).rstrip("/")
            try:
                found = self._connected().find(below, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return
            skipped = len(self._root) + 1 if self._root else 0
            infos = {str(path)[skipped:]: info for path, info in found.items() if info.get("type") == "file"}
        keys = sorted(
            key for key in infos if key.startswith(prefix) and key > start_after and not key.endswith((_PARTIAL, "/"))
        )
        for key in keys[:limit]:
            yield _object_info(key, infos[key])

    def stat(self, key: str) -> ObjectInfo:  # noqa: D102 (docstring inherited)
        with translate_errors("stat", key, self._url):
            info = self._connected().info(self._path(key))
            if info.get("type") != "file":
                raise FileNotFoundError(key)
            return _object_info(key, info)

    def delete(self, keys: Iterable[str]) -> None:  # noqa: D102 (docstring inherited)
        for key in keys:
            with translate_errors("delete", key, self._url), suppress(*_ABSENT):
                self._connected().rm_file(self._path(key))

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        size = size_of(path)
        told = _Told(progress)
        with translate_errors("put", key, self._url), self._publishing(key) as target:
            self._connected().put_file(str(path), target, callback=told)
        told.finish(size)

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:  # noqa: D102 (docstring inherited)
        size = self.stat(key).size  # also because some would make a folder of a folder
        told = _Told(progress)
        with translate_errors("get", key, self._url):
            self._connected().get_file(self._path(key), str(path), callback=told)
        told.finish(size)

    @contextmanager
    def _publishing(self, key: str) -> Generator[str]:
        """Name the path to write to: the key's own, or a temporary one that is moved there when the block ends well."""
        path, filesystem = self._path(key), self._connected()
        if self._protocol not in _RENAMES:
            yield path
            return
        folder = path.rpartition("/")[0]
        filesystem.makedirs(folder, exist_ok=True)
        temporary = f"{folder}/.{new_token()}{_PARTIAL}"
        try:
            yield temporary
            filesystem.mv(temporary, path)
        except BaseException:
            with suppress(Exception):
                filesystem.rm_file(temporary)
            raise

    def after_fork(self) -> None:  # noqa: D102 (docstring inherited)
        super().after_fork()
        self._trying = threading.RLock()

    def _path(self, key: str) -> str:
        self._connected()  # which finds the root
        return f"{self._root}/{key}" if self._root else key

    def _exists(self, key: str) -> AlreadyExistsError:
        return AlreadyExistsError(f"{key} exists already in {self._url}", backend=NAME, key=key, operation="create")


class _Told(Callback):  # type: ignore[misc]  # fsspec is not typed
    """Hands fsspec's progress on, and what it left out at the end."""

    def __init__(self, progress: Progress | None) -> None:
        super().__init__()
        self._progress = progress
        self._moved = 0

    def relative_update(self, inc: int = 1) -> None:
        """Learn that so many bytes more were moved."""
        super().relative_update(inc)
        self._tell(inc)

    def absolute_update(self, value: int) -> None:
        """Learn how many bytes were moved so far."""
        super().absolute_update(value)
        self._tell(value - self._moved)

    def finish(self, size: int) -> None:
        """Tell what nobody has told: some file systems report nothing."""
        self._tell(size - self._moved)

    def _tell(self, moved: int) -> None:
        self._moved += moved
        if self._progress is not None and moved:
            self._progress(moved)


def _object_info(key: str, info: dict[str, Any]) -> ObjectInfo:
    moment = next((info[name] for name in _TIMES if info.get(name) is not None), None)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    elif isinstance(moment, (int, float)):
        moment = datetime.fromtimestamp(moment, UTC)
    if isinstance(moment, datetime) and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return ObjectInfo(key, int(info["size"]), moment.astimezone(UTC) if isinstance(moment, datetime) else None)
