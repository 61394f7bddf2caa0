"""A proxy between a client and a server on loopback that does what networks do: slow down, break off, lose answers.

It understands as much of HTTP/1.1 as it takes to tell one request from the next, so that faults hit chosen requests and
requests are counted on the wire. Faults come in the order in which they were asked for, or by a seeded chance.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from http_messages import Disconnected, Head, Lines, body_of, read_head
from server_process import LOOPBACK

_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Fault:
    """What happens to one request."""


@dataclass(frozen=True, slots=True)
class Answer(Fault):
    """The proxy answers by itself; the server never sees the request.

    Attributes:
        status: the status code.
        code: the error code in the body, and in the header that Azure uses.
        headers: further headers.
    """

    status: int
    code: str
    headers: Sequence[tuple[str, str]] = ()

    def message(self, method: str) -> bytes:
        """Return the whole answer."""
        body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{self.code}</Code><Message>-</Message></Error>"
        lines = [
            f"HTTP/1.1 {self.status} -",
            "Content-Type: application/xml",
            f"Content-Length: {len(body)}",
            f"x-ms-error-code: {self.code}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return ("\r\n".join([*lines, "", ""]) + ("" if method == "HEAD" else body)).encode()


SLOW_DOWN: Final = Answer(503, "SlowDown")
TOO_MANY_REQUESTS: Final = Answer(429, "TooManyRequests")
NOT_IMPLEMENTED: Final = Answer(501, "NotImplemented")


@dataclass(frozen=True, slots=True)
class LoseRequest(Fault):
    """The connection closes before the server sees anything."""


@dataclass(frozen=True, slots=True)
class LoseResponse(Fault):
    """The server does what it was asked; its answer never arrives, and the connection closes."""


@dataclass(frozen=True, slots=True)
class Reset(Fault):
    """As `LoseResponse`, with a reset (RST) instead of a close."""


@dataclass(frozen=True, slots=True)
class Hang(Fault):
    """Nothing comes back, and the connection stays open until the client or the proxy closes it."""


@dataclass(frozen=True, slots=True)
class CutRequest(Fault):
    """The connection closes after so many bytes of the request's body reached the server."""

    after: int


@dataclass(frozen=True, slots=True)
class CutResponse(Fault):
    """The connection closes after so many bytes of the answer's body reached the client."""

    after: int


@dataclass(slots=True)
class _Rule:
    fault: Fault
    times: int
    matches: Callable[[Head], bool]


class FaultProxy:
    """A proxy for one server, which runs in threads of this process for as long as the context lasts.

    Args:
        port: the loopback port of the server.

    Attributes:
        latency: seconds that each request waits before it is passed on.
        counts: how many requests came, by method.
        requests: method and target of each request, in order.
        faults: how many faults of each kind happened.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self.latency = 0.0
        self.counts: Counter[str] = Counter()
        self.requests: list[tuple[str, str]] = []
        self.faults: Counter[type[Fault]] = Counter()
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._chance: tuple[random.Random, float, Sequence[Fault]] | None = None
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self.port = 0
        self.appear()

    @property
    def url(self) -> str:
        """Where clients send their requests."""
        return f"http://{LOOPBACK}:{self.port}"

    def next(self, fault: Fault, times: int = 1, *, where: Callable[[Head], bool] = lambda _: True) -> None:
        """Let a fault happen to the next `times` requests for which `where` is true."""
        with self._lock:
            self._rules.append(_Rule(fault, times, where))

    def always(self, fault: Fault, *, where: Callable[[Head], bool] = lambda _: True) -> None:
        """Let a fault happen to each request for which `where` is true."""
        self.next(fault, times=-1, where=where)

    def at_random(self, share: float, faults: Sequence[Fault], *, seed: int) -> None:
        """Let a share of all other requests (0 to 1) meet one of the faults."""
        with self._lock:
            self._chance = (random.Random(seed), share, tuple(faults))

    def heal(self) -> None:
        """Forget all faults that have not happened yet, and the latency."""
        with self._lock:
            self._rules.clear()
            self._chance = None
            self.latency = 0.0

    def vanish(self) -> None:
        """Be gone: connections break off, and new ones are refused."""
        with self._lock:
            listener, self._listener = self._listener, None
            gone = [listener, *self._open] if listener else [*self._open]
        for one in gone:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it, which closes it
        if listener is not None:
            listener.close()

    def appear(self) -> None:
        """Be there (again), on the same port."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, self.port))
        listener.listen(256)
        self.port = listener.getsockname()[1]
        with self._lock:
            self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="fault-proxy", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.vanish()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                if self._listener is not listener:
                    client.close()
                    return
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), name="fault-proxy-connection", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Pass on the requests of one connection until either side closes, or a fault ends it."""
        server = socket.socket()
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.connect((LOOPBACK, self._server))
            from_client, from_server = Lines(client), Lines(server)
            while self._exchange(client, server, from_client, from_server):
                pass
        except (OSError, Disconnected):
            pass
        finally:
            with self._lock:
                self._open.discard(client)
            server.close()
            client.close()

    def _exchange(self, client: socket.socket, server: socket.socket, from_client: Lines, from_server: Lines) -> bool:
        """Pass on one request and its answer; return whether another may follow on this connection."""
        request = read_head(from_client)
        fault = self._fault_for(request)
        if self.latency:
            time.sleep(self.latency)
        if isinstance(fault, LoseRequest):
            return False
        if request.expects_continue:
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = body_of(request, from_client)
        if isinstance(fault, (Answer, Hang)):
            for _ in body:
                pass
            if isinstance(fault, Hang):
                read_head(from_client)  # until it is closed
                return False
            client.sendall(fault.message(request.method))
            return True
        server.sendall(request.to_bytes())
        if not _copy(body, server, fault.after if isinstance(fault, CutRequest) else None):
            return False
        return self._pass_back(request, client, from_server, fault)

    def _pass_back(self, request: Head, client: socket.socket, from_server: Lines, fault: Fault | None) -> bool:
        response = read_head(from_server)
        while response.informational:
            response = read_head(from_server)
        contents = body_of(response, from_server, to=request)
        if isinstance(fault, (LoseResponse, Reset)):
            for _ in contents:
                pass
            if isinstance(fault, Reset):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            return False
        client.sendall(response.to_bytes())
        return _copy(contents, client, fault.after if isinstance(fault, CutResponse) else None) and response.keeps_open

    def _fault_for(self, request: Head) -> Fault | None:
        with self._lock:
            self.counts[request.method] += 1
            self.requests.append((request.method, request.target))
            fault = self._chosen(request)
            if fault is not None:
                self.faults[type(fault)] += 1
            return fault

    def _chosen(self, request: Head) -> Fault | None:
        for rule in self._rules:
            if rule.times != 0 and rule.matches(request):
                rule.times -= 1
                return rule.fault
        if self._chance is not None:
            chance, share, faults = self._chance
            if chance.random() < share:
                return chance.choice(faults)
        return None


def _copy(parts: Iterable[bytes], to: socket.socket, limit: int | None) -> bool:
    """Send parts on, at most `limit` bytes of them; return whether that was all."""
    left = limit
    for part in parts:
        if left is not None and len(part) > left:
            to.sendall(part[:left])
            return False
        to.sendall(part)
        left = None if left is None else left - len(part)
    return limit is None
