"""Files in and out of object storage in parts: several at a time, in flat memory, each repeated on its own."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from runfolio.errors import StorageError, TransientStorageError

if TYPE_CHECKING:
    from runfolio.backend import Progress
    from runfolio_backends.cloud_errors import Request
    from runfolio_backends.cloud_requests import Remote, Requests
from runfolio_backends.fsspec_adapter import size_of, unreadable
from runfolio_backends.threads_at_exit import LastingPool

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_ATTEMPTS: Final = 4
_FIRST_PAUSE: Final = 0.2
_REMEMBERED: Final = 64
"""Unfinished downloads that are kept in mind, the oldest given up first."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How files are cut.

    Attributes:
        part: bytes of a part.
        most_parts: how many the service takes; the parts of a larger file are longer.
        concurrency: parts on the way at the same time.
    """

    part: int
    most_parts: int
    concurrency: int

    def cut(self, size: int) -> list[tuple[int, int]]:
        """Return the ranges of a file of so many bytes."""
        step = max(self.part, -(-size // self.most_parts))
        return [(start, min(start + step, size)) for start in range(0, size, step)]


@dataclass(frozen=True, slots=True)
class Transfer:
    """The way of one object to or from a file.

    Attributes:
        requests: how the service is asked.
        path: of the object.
        request: what is asked, for messages.
        translate: turns what the client library raises into errors of ours.
        sizes: how the file is cut.
        progress: told of the bytes that were moved.
    """

    requests: Requests
    path: str
    request: Request
    translate: Callable[[Request], AbstractContextManager[None]]
    sizes: Sizes
    progress: Progress | None

    async def patiently(self, send: Callable[[], Awaitable[_T]]) -> _T:
        """Send a request again when it fails for the moment: a file of a thousand parts does not start anew for one."""
        for attempt in range(_ATTEMPTS):
            try:
                with self.translate(self.request):
                    return await send()
            except StorageError as error:
                if not error.retryable or attempt == _ATTEMPTS - 1:
                    raise
            await asyncio.sleep(_FIRST_PAUSE * 2**attempt * random.random())
        raise AssertionError  # the last attempt returns or raises

    def tell(self, moved: int) -> None:
        """Report progress."""
        if self.progress is not None:
            self.progress(moved)

    async def upload(self, source: Path) -> None:
        """Store a local file.

        Raises:
            StorageError: it cannot be read, it changed meanwhile, or the storage failed.
        """
        with _Disk() as disk:
            size = await disk.do(size_of, source)
            ranges = self.sizes.cut(size)
            if len(ranges) <= 1:
                data = await disk.do(_read, source, 0, size)
                await self.patiently(lambda: self.requests.put(self.path, data))
                self.tell(size)
            else:
                await self._upload_parts(source, ranges, disk)

    async def _upload_parts(self, source: Path, ranges: list[tuple[int, int]], disk: _Disk) -> None:
        requests, path = self.requests, self.path
        upload = await self.patiently(lambda: requests.begin(path))

        async def send(number: int) -> Any:
            start, end = ranges[number]
            data = await disk.do(_read, source, start, end)
            sent = await self.patiently(lambda: requests.part(path, upload, number + 1, data))
            self.tell(end - start)
            return sent

        try:
            parts = await several(range(len(ranges)), send, self.sizes.concurrency)
            await self.patiently(lambda: requests.complete(path, upload, parts))
        except BaseException:
            # Also when the caller gives up: what is not aborted is paid for. Its own failure must not hide why.
            await asyncio.shield(self._abort(upload))
            raise

    async def _abort(self, upload: str) -> None:
        try:
            await self.patiently(lambda: self.requests.abort(self.path, upload))
        except StorageError as error:
            _log.warning("The unfinished upload of %s could not be aborted: %s", self.request.key, error)


@dataclass(slots=True)
class _Unfinished:
    """A download that failed half-way: of which object, and what of it is in the file."""

    remote: Remote
    touched: tuple[int, int]
    done: set[int] = field(default_factory=set)


class Downloads:
    """Downloads into files, with a memory of those that failed, so that the next call continues."""

    def __init__(self) -> None:
        self._unfinished: dict[tuple[str, Path], _Unfinished] = {}

    async def download(self, transfer: Transfer, target: Path) -> None:
        """Write an object into a file, which is created or truncated, or continued.

        Raises:
            NotFoundError: there is no such object.
            StorageError: the file cannot be written, or the storage failed.
        """
        requests, path = transfer.requests, transfer.path
        remote = await transfer.patiently(lambda: requests.stat(path))
        ranges = transfer.sizes.cut(remote.size)
        with _Disk() as disk:
            known = self._unfinished.pop((path, target), None)
            if known is None or known.remote != remote or known.touched != await disk.do(_mark_of, target):
                await disk.do(_truncate, target, remote.size)
                known = _Unfinished(remote, (0, 0))
            done = known.done

            async def fetch(number: int) -> None:
                start, end = ranges[number]
                data = await transfer.patiently(lambda: requests.get(path, start, end, remote.etag))
                if len(data) != end - start:
                    raise TransientStorageError(f"{path} came back shorter than it is", key=path, operation="get")
                await disk.do(_write, target, start, data)
                done.add(number)
                transfer.tell(end - start)

            try:
                missing = [number for number in range(len(ranges)) if number not in done]
                await several(missing, fetch, transfer.sizes.concurrency)
            except BaseException:
                known.touched = await disk.do(_mark_of, target)
                self._unfinished[path, target] = known
                if len(self._unfinished) > _REMEMBERED:
                    del self._unfinished[next(iter(self._unfinished))]
                raise


class _Disk:
    """One thread that reads and writes the file of a transfer.

    With several, the allocator keeps the memory of a part for each of them.
    """

    def __enter__(self) -> Self:
        self._thread = LastingPool(1, "runfolio-file")
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(wait=False)

    async def do(self, work: Callable[..., _T], *arguments: object) -> _T:
        """Do something with the file, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *arguments))


async def several(numbers: Iterable[int], work: Callable[[int], Awaitable[_T]], concurrency: int) -> list[_T]:
    """Do something for each number, so many at a time, and return the results in order. The first failure ends all."""
    waiting = iter(numbers)
    results: dict[int, _T] = {}

    async def worker() -> None:
        for number in waiting:
            results[number] = await work(number)

    workers = [asyncio.ensure_future(worker()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*workers)
    finally:
        for one in workers:
            one.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [results[number] for number in sorted(results)]


def _read(path: Path, start: int, end: int) -> bytes:
    try:
        with path.open("rb") as source:
            source.seek(start)
            data = source.read(end - start)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(data) != end - start:
        raise StorageError(f"The local file {path} became shorter while it was sent", key=str(path), operation="put")
    return data


def _truncate(path: Path, size: int) -> None:
    try:
        with path.open("wb") as out:
            out.truncate(size)
    except OSError as error:
        raise _unwritable(path, error) from error


def _write(path: Path, start: int, data: bytes) -> None:
    try:
        with path.open("r+b") as out:
            out.seek(start)
            out.write(data)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"The local file {path} cannot be written: {error.strerror}", key=str(path), operation="get")


def _mark_of(path: Path) -> tuple[int, int]:
    """What changes when somebody else touches a file."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return found.st_ino, found.st_mtime_ns
