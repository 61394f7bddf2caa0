"""As much of HTTP/1.1 (RFC 9112) as it takes to tell where a message ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_PART: Final = 65536


class Disconnected(Exception):  # noqa: N818 (not a fault: how a connection ends)
    """The other side closed the connection."""


class Lines:
    """Reads a connection by lines and by parts of a known length."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._held = b""

    def line(self) -> bytes:
        """Return the next line with its end."""
        while b"\n" not in self._held:
            self._held += self._receive()
        line, _, self._held = self._held.partition(b"\n")
        return line + b"\n"

    def exactly(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes in parts."""
        while size > 0:
            if not self._held:
                self._held = self._receive()
            part, self._held = self._held[:size], self._held[size:]
            size -= len(part)
            yield part

    def rest(self) -> Iterator[bytes]:
        """Yield all that comes until the other side closes."""
        try:
            while True:
                held, self._held = self._held, b""
                yield held or self._receive()
        except Disconnected:
            return

    def _receive(self) -> bytes:
        part = self._connection.recv(_PART)
        if not part:
            raise Disconnected
        return part


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the headers of a request or an answer.

    Attributes:
        first: the first line without its end.
        headers: names and values as they came.
    """

    first: str
    headers: tuple[tuple[str, str], ...]

    @property
    def method(self) -> str:
        """Of a request."""
        return self.first.split(" ")[0]

    @property
    def target(self) -> str:
        """Of a request: path and query."""
        return self.first.split(" ")[1]

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.first.split(" ")[1])

    @property
    def informational(self) -> bool:
        """Whether the answer itself is still to come."""
        return 100 <= self.status < 200

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits before it sends the body."""
        return self.header("Expect").lower() == "100-continue"

    @property
    def keeps_open(self) -> bool:
        """Whether another message may follow an answer on its connection."""
        ends = "content-length", "transfer-encoding"
        bounded = self.status in {204, 304} or any(name.lower() in ends for name, _ in self.headers)
        return bounded and self.header("Connection").lower() != "close" and self.first.startswith("HTTP/1.1")

    def header(self, wanted: str) -> str:
        """Return the value of a header, or an empty text."""
        return next((value for name, value in self.headers if name.lower() == wanted.lower()), "")

    def to_bytes(self) -> bytes:
        """Return it as it is sent on; the proxy has answered ``Expect`` itself."""
        lines = [self.first, *(f"{name}: {value}" for name, value in self.headers if name.lower() != "expect")]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def read_head(lines: Lines) -> Head:
    """Read a head.

    Raises:
        Disconnected: the connection was closed.
    """
    first = lines.line().decode("latin-1").strip()
    headers = []
    while line := lines.line().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    return Head(first, tuple(headers))


def body_of(head: Head, lines: Lines, to: Head | None = None) -> Iterator[bytes]:
    """Yield the body that belongs to a head, as it is on the wire.

    Args:
        head: that of a request or an answer.
        lines: where it was read from.
        to: the request, if `head` is an answer.
    """
    if to is not None and (to.method == "HEAD" or head.status in {204, 304}):
        return iter(())
    if head.header("Transfer-Encoding").lower() == "chunked":
        return _chunks(lines)
    length = head.header("Content-Length")
    if length:
        return lines.exactly(int(length))
    return iter(()) if to is None else lines.rest()


def _chunks(lines: Lines) -> Iterator[bytes]:
    while True:
        size = lines.line()
        yield size
        length = int(size.split(b";")[0], 16)
        if length == 0:
            break
        yield from lines.exactly(length)
        yield lines.line()
    while True:
        trailer = lines.line()
        yield trailer
        if not trailer.strip():
            return
