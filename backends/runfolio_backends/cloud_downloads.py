"""Objects written into files, in ranges: several at a time, in flat memory, each continued where it broke off."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from runfolio.errors import StorageError
from runfolio_backends.cloud_transfers import Disk, several

if TYPE_CHECKING:
    from runfolio_backends.cloud_requests import Remote
    from runfolio_backends.cloud_transfers import Transfer

_T = TypeVar("_T")
_REMEMBERED: Final = 64
"""Unfinished downloads that are kept in mind, the oldest given up first."""
_WRITTEN_AT_ONCE: Final = 1024 * 1024


class Run(Protocol):
    """Runs requests where the client lives, and waits for them."""

    def __call__(self, request: Coroutine[Any, Any, _T], /) -> _T:
        """Return what they return."""
        ...


@dataclass(slots=True)
class _Unfinished:
    """A download on its way, or one that failed half-way.

    Attributes:
        remote: of which object.
        ranges: what is fetched beyond its first part.
        reached: up to where each of them is in the file.
        touched: changes when somebody else touches the file.
    """

    remote: Remote
    ranges: list[tuple[int, int]]
    reached: list[int]
    touched: tuple[int, int] = (0, 0)


class Downloads:
    """Downloads into files, with a memory of those that failed, so that the next call continues."""

    def __init__(self) -> None:
        self._unfinished: dict[tuple[str, Path], _Unfinished] = {}

    def download(self, transfer: Transfer, target: Path, run: Run) -> None:
        """Write an object into a file, which is created or truncated, or continued.

        Args:
            transfer: the way of the object.
            target: the file.
            run: waits for requests.

        Raises:
            NotFoundError: there is no such object.
            StorageError: the file cannot be written, or the storage failed.
        """
        known = self._unfinished.pop((transfer.path, target), None)
        if known is not None and not (run(_look(transfer)) == known.remote and _mark_of(target) == known.touched):
            known = None
        if known is None:
            remote, data = run(_first_part(transfer))
            _create(target, remote.size, data)
            transfer.tell(len(data))
            ranges = transfer.sizes.cut_rest(remote.size, streams=transfer.requests.streams)
            known = _Unfinished(remote, ranges, [start for start, _ in ranges])
        if known.ranges:
            try:
                run(_fetch_rest(known, transfer, target))
            except BaseException:
                self._unfinished[transfer.path, target] = known
                for oldest in list(self._unfinished)[:-_REMEMBERED]:
                    self._unfinished.pop(oldest, None)  # another thread may have been here too
                raise


async def _look(transfer: Transfer) -> Remote:
    return await transfer.patiently(lambda: transfer.requests.stat(transfer.path))


async def _first_part(transfer: Transfer) -> tuple[Remote, bytes]:
    """Fetch the first part, which also tells how long the object is: a small one takes one request."""
    part: list[bytes] = []

    async def take(piece: bytes) -> None:
        part.append(piece)

    async def receive() -> Remote:
        part.clear()
        return await transfer.requests.receive(transfer.path, 0, transfer.sizes.part, take)

    remote = await transfer.patiently(receive)
    data = b"".join(part)
    transfer.require(len(data), min(transfer.sizes.part, remote.size))
    return remote, data


async def _fetch_rest(known: _Unfinished, transfer: Transfer, target: Path) -> None:
    reached, disk = known.reached, Disk()

    async def fetch(number: int) -> None:
        end = known.ranges[number][1]
        held: list[bytes] = []

        async def write() -> None:
            data = b"".join(held)
            held.clear()
            await disk.do(_write, target, reached[number], data)
            reached[number] += len(data)
            transfer.tell(len(data))

        async def take(piece: bytes) -> None:
            held.append(piece)
            if sum(map(len, held)) >= _WRITTEN_AT_ONCE:
                await write()

        async def receive() -> None:
            held.clear()
            await transfer.requests.receive(transfer.path, reached[number], end, take, known.remote.etag)
            await write()

        await transfer.patiently(receive)
        transfer.require(reached[number], end)

    missing = [number for number, (_, end) in enumerate(known.ranges) if reached[number] < end]
    with disk:
        try:
            await several(missing, fetch, transfer.sizes.concurrency)
        except BaseException:
            known.touched = await disk.do(_mark_of, target)
            raise


def _create(path: Path, size: int, data: bytes) -> None:
    try:
        with path.open("wb") as out:
            out.write(data)
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
