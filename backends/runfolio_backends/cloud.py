"""Object storage of a cloud: what the S3 and Azure backends share above their client libraries.

The clients are asynchronous and live on fsspec's own event loop, in its thread; each request of a caller runs there and
is waited for. A request that the caller gives up (Ctrl-C) is cancelled, not left running.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
import time
from abc import abstractmethod
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fsspec.asyn import get_loop, iothread

from runfolio.backend import ObjectInfo, Progress
from runfolio.errors import AlreadyExistsError, NotFoundError, StorageError, TransientStorageError
from runfolio_backends.cloud_errors import Request
from runfolio_backends.cloud_transfers import Downloads, Sizes, Transfer
from runfolio_backends.fsspec_adapter import FsspecBackend
from runfolio_backends.threads_at_exit import last_through_exit

if TYPE_CHECKING:
    from runfolio_backends.cloud_requests import Requests

_T = TypeVar("_T")
_by_key = attrgetter("key")
_PAGE: Final = 1000
_LONGEST_CLOSE: Final = 2.0


class CloudBackend(FsspecBackend):
    """Objects in a bucket or container. Subclasses bring the requests.

    Args:
        url: the root of the store.
        options: those of the backend.
        root: what stands before each key: empty, or a prefix that ends with ``/``.
        sizes: how files are cut into parts.
    """

    def __init__(self, url: str, options: Mapping[str, Any], *, root: str, sizes: Sizes) -> None:
        super().__init__(url, options)
        self.root = root
        self._sizes = sizes
        self._clock: tuple[datetime, float] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._downloads = Downloads()

    @abstractmethod
    def _connect(self) -> Requests:
        """Return how the service is asked."""

    @property
    def _requests(self) -> Requests:
        requests: Requests = self._connected()
        return requests

    @staticmethod
    @abstractmethod
    def _translate(request: Request) -> AbstractContextManager[None]:
        """Turn what the client library raises in the block into errors of ours."""

    @staticmethod
    def _disconnect(connection: Requests, process: int) -> None:
        loop = get_loop()
        if process != os.getpid() or not loop.is_running():
            return
        closing = asyncio.run_coroutine_threadsafe(connection.close(), loop)
        if threading.current_thread() is not iothread[0]:
            with suppress(TimeoutError):
                closing.result(_LONGEST_CLOSE)

    def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:  # noqa: D102 (docstring inherited)
        with self._asking("get", key):
            if start is not None and end is not None and end <= start:
                self._run(self._requests.stat(self.root + key))
                return b""
            return self._run(self._requests.get(self.root + key, start, end))

    def put(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        with self._asking("put", key):
            self._run(self._requests.put(self.root + key, bytes(data)))

    def create(self, key: str, data: bytes) -> None:  # noqa: D102 (docstring inherited)
        if self.single_writer and self._is_there(key):
            raise AlreadyExistsError(
                f"{key} exists already in {self._url}", backend=self.name, key=key, operation="create"
            )
        with self._asking("create", key):
            self._run(self._requests.put(self.root + key, bytes(data), absent=not self.single_writer))

    def _is_there(self, key: str) -> bool:
        try:
            self.stat(key)
        except NotFoundError:
            return False
        return True

    def list(  # noqa: D102 (docstring inherited)
        self, prefix: str = "", *, start_after: str = "", limit: int | None = None
    ) -> Iterator[ObjectInfo]:
        left, more = limit, None
        after = self.root + start_after if start_after else ""
        last, ordered = "", True
        while left is None or left > 0:
            try:
                with self._asking("list", prefix):
                    page = self._run(self._requests.page(self.root + prefix, after, min(left or _PAGE, _PAGE), more))
            except TransientStorageError as error:
                if ordered:
                    raise
                # Whoever sends it again would go on after the last key, and miss those that come out of their order.
                raise StorageError(str(error), backend=self.name, key=prefix, operation="list") from error.__cause__
            # Services that keep real folders list one after the other, whatever the bytes of the keys say.
            for found in sorted(page.objects, key=_by_key):
                ordered, last = ordered and found.key > last, found.key
                # A service that knows no start-after begins too early. A key that ends with "/" is no object of ours
                # but the mark of a folder, as consoles and hierarchical accounts make them.
                if found.key <= after or found.key.endswith("/"):
                    continue
                yield self._info(found.key, found.size, found.modified)
                left = None if left is None else left - 1
                if left == 0:
                    return
            more = page.more
            if more is None:
                return

    def stat(self, key: str) -> ObjectInfo:  # noqa: D102 (docstring inherited)
        with self._asking("stat", key):
            found = self._run(self._requests.stat(self.root + key))
        return self._info(self.root + key, found.size, found.modified)

    def _info(self, path: str, size: int, modified: datetime | None) -> ObjectInfo:
        # Whole seconds: a listing may tell finer than a look at one object does.
        moment = None if modified is None else modified.astimezone(UTC).replace(microsecond=0)
        return ObjectInfo(path[len(self.root) :], size, moment)

    def delete(self, keys: Iterable[str]) -> None:  # noqa: D102 (docstring inherited)
        chosen = list(dict.fromkeys(keys))
        for at in range(0, len(chosen), self._requests.delete_at_once):
            part = chosen[at : at + self._requests.delete_at_once]
            with self._asking("delete", part[0] if len(part) == 1 else ""):
                self._run(self._requests.delete([self.root + key for key in part]))

    def put_file(self, key: str, path: Path, progress: Progress | None = None) -> None:
        """Store a file: a large one in parts, several at a time, each sent again on its own when it fails.

        Memory: about `concurrency` times `part_size`. When a part fails for good the upload is aborted: nothing
        is left that costs money. Of a process that was killed, parts stay until a lifecycle rule removes them.
        """
        self._run(self._transfer("put", key, progress).upload(Path(path)))

    def get_file(self, key: str, path: Path, progress: Progress | None = None) -> None:
        """Write an object into a file, in ranges, several at a time, each asked for again on its own when it fails.

        Memory: about `concurrency` times `part_size`. A failed call is continued by the next one of this backend
        for the same key and file, if the object is still the same one and nobody touched the file: only the ranges that
        are missing are fetched, and `progress` counts only these. Another process starts anew.
        """
        self._run(self._downloads.download(self._transfer("get", key, progress), Path(path)))

    def now(self) -> datetime | None:
        """What the service's clock shows: the date of its last response, and the time since then."""
        clock = self._clock
        return None if clock is None else clock[0] + timedelta(seconds=time.monotonic() - clock[1])

    def after_fork(self) -> None:  # noqa: D102 (docstring inherited)
        if self._loop is not None and self._process != os.getpid():  # else it is no child, and the loop is in use
            _abandon(self._loop)
        self._loop = None
        super().after_fork()
        self._downloads = Downloads()

    def observe_date(self, date: str | None) -> None:
        """Learn from the ``Date`` of a response."""
        try:
            moment = parsedate_to_datetime(date or "")
        except ValueError:
            return
        self._clock = (moment if moment.tzinfo else moment.replace(tzinfo=UTC), time.monotonic())

    def _transfer(self, operation: str, key: str, progress: Progress | None) -> Transfer:
        request = Request(self.name, operation, key, self._url)
        return Transfer(self._requests, self.root + key, request, self._translate, self._sizes, progress)

    def _asking(self, operation: str, key: str) -> AbstractContextManager[None]:
        return self._translate(Request(self.name, operation, key, self._url))

    def _run(self, request: Coroutine[Any, Any, _T]) -> _T:
        self._loop, self._process = get_loop(), os.getpid()
        last_through_exit(self._loop)
        future = asyncio.run_coroutine_threadsafe(request, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


def _abandon(loop: asyncio.AbstractEventLoop) -> None:
    """Make the event loop of a parent harmless in its forked child, where no thread runs it.

    When the parent's connections are collected in the child, they take themselves from the loop's list of sockets. On
    Linux the two processes share that list (epoll), and the parent would never hear of an answer again.
    """
    loop.set_exception_handler(lambda loop, context: None)  # noqa: ARG005 (nobody closed them here: that is right)
    if isinstance(getattr(loop, "_selector", None), selectors.BaseSelector):
        loop._selector = selectors.SelectSelector()  # type: ignore[attr-defined]  # noqa: SLF001 (no other way)
