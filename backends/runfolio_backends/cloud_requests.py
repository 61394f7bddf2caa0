"""The requests that object storage is made of, as S3 and Azure take them: the seam below `CloudBackend`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from runfolio.backend import ObjectInfo


Take = Callable[[bytes], Awaitable[None]]
"""Called with the next bytes of an answer. No more are read until it returns."""


class Remote(NamedTuple):
    """What a service says of an object.

    Attributes:
        size: in bytes.
        modified: when it was written.
        etag: changes with the contents.
    """

    size: int
    modified: datetime | None
    etag: str


NOTHING: Final = Remote(0, None, "")
"""What is known of an object that ends before the range that was asked for."""


class Page(NamedTuple):
    """One response to a listing.

    Attributes:
        objects: in key order. Their keys are paths: with the root of the store before them.
        more: where the next page begins, in the service's own words; None when this was the last.
    """

    objects: list[ObjectInfo]
    more: str | None


class Requests(ABC):
    """One HTTP request a method, unless it says otherwise. A path is a key with the root of the store before it.

    They raise what the client library raises.
    """

    delete_at_once: int
    """How many objects one request deletes."""
    streams: bool
    """Whether `receive` hands bytes on as they come. If not, a range is in memory as a whole."""

    @abstractmethod
    async def receive(self, path: str, start: int | None, end: int | None, take: Take, etag: str = "") -> Remote:
        """Hand on the bytes of a range, then return what the service says of the object.

        The range is not empty, but may reach beyond the object. Where it begins after the end nothing is handed on,
        and what is returned has no size. With `etag`, that version only.
        """

    async def get(self, path: str, start: int | None, end: int | None) -> bytes:
        """Return a range that is not empty, but may reach beyond the object."""
        pieces: list[bytes] = []

        async def take(piece: bytes) -> None:
            pieces.append(piece)

        await self.receive(path, start, end, take)
        return b"".join(pieces)

    @abstractmethod
    async def put(self, path: str, data: bytes, *, absent: bool = False) -> None:
        """Store an object, never in parts; with `absent`, only if there is none."""

    @abstractmethod
    async def page(self, prefix: str, start_after: str, limit: int, more: str | None) -> Page:
        """Return a page of a listing, after `start_after` or, where the service cannot begin there, from the start."""

    @abstractmethod
    async def stat(self, path: str) -> Remote:
        """Return what the service says of an object."""

    @abstractmethod
    async def delete(self, paths: list[str]) -> None:
        """Delete at most `delete_at_once` objects. An absent one is no error."""

    @abstractmethod
    async def begin(self, path: str) -> str:
        """Begin an upload in parts and return what names it."""

    @abstractmethod
    async def part(self, path: str, upload: str, number: int, data: bytes) -> Any:
        """Send a part, numbered from 1, and return what `complete` wants of it."""

    @abstractmethod
    async def complete(self, path: str, upload: str, parts: list[Any]) -> None:
        """Make the object of its parts."""

    @abstractmethod
    async def abort(self, path: str, upload: str) -> None:
        """Give an upload up and free what it took."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connections."""
