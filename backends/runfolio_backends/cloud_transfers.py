"""Files on their way to object storage in parts: several at a time, in flat memory, each repeated on its own."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from runfolio.errors import StorageError, TransientStorageError

if TYPE_CHECKING:
    from runfolio.backend import Progress
    from runfolio_backends.cloud_errors import Request
    from runfolio_backends.cloud_requests import Requests
from runfolio_backends.cloud_threads import WillingThreads
from runfolio_backends.fsspec_adapter import unreadable

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
_ATTEMPTS: Final = 4
_FIRST_PAUSE: Final = 0.2
_LONGEST_RANGE: Final = 64 * 1024 * 1024
_TURNS: Final = 4
"""How many ranges each of the concurrent requests takes, so that all end at about the same time."""


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
        return _ranges(0, size, max(self.part, -(-size // self.most_parts)))

    def cut_rest(self, size: int, *, streams: bool) -> list[tuple[int, int]]:
        """Return the ranges of an object beyond its first part: few where each needs little memory."""
        longest = min(_LONGEST_RANGE, size // (_TURNS * self.concurrency)) if streams else 0
        return _ranges(self.part, size, max(1, longest // self.part) * self.part)


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

    def require(self, received: int, size: int) -> None:
        """See to it that all has come.

        Raises:
            TransientStorageError: it is less, or more.
        """
        if received != size:
            raise TransientStorageError(
                f"{self.request.key} did not come as long as it is", key=self.request.key, operation="get"
            )

    async def upload(self, data: bytes) -> None:
        """Store an object of one part."""
        await self.patiently(lambda: self.requests.put(self.path, data))
        self.tell(len(data))

    async def upload_parts(self, source: Path, size: int) -> None:
        """Store a local file of so many bytes in parts.

        Raises:
            StorageError: it cannot be read, it changed meanwhile, or the storage failed.
        """
        requests, path, ranges, disk = self.requests, self.path, self.sizes.cut(size), Disk()
        upload = await self.patiently(lambda: requests.begin(path))

        async def send(number: int) -> Any:
            start, end = ranges[number]
            data = await disk.do(read_part, source, start, end)
            sent = await self.patiently(lambda: requests.part(path, upload, number + 1, data))
            self.tell(end - start)
            return sent

        try:
            with disk:
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


class Disk:
    """One thread that reads and writes the file of a transfer.

    With several, the allocator keeps the memory of a part for each of them.
    """

    def __enter__(self) -> Self:
        self._thread = WillingThreads(1, "runfolio-file")
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


def _ranges(start: int, size: int, step: int) -> list[tuple[int, int]]:
    return [(at, min(at + step, size)) for at in range(start, size, step)]


def read_part(path: Path, start: int, end: int) -> bytes:
    """Return the bytes ``[start, end)`` of a local file.

    Raises:
        StorageError: it cannot be read, or is shorter.
    """
    try:
        with path.open("rb") as source:
            source.seek(start)
            data = source.read(end - start)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(data) != end - start:
        raise StorageError(f"The local file {path} became shorter while it was sent", key=str(path), operation="put")
    return data
