"""The proxy of the tests does to requests what it was told, to those requests only, and counts them."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fault_proxy import (
    NOT_IMPLEMENTED,
    SLOW_DOWN,
    CutRequest,
    CutResponse,
    Fault,
    FaultProxy,
    Hang,
    LoseRequest,
    LoseResponse,
    Reset,
)


class Store(ThreadingHTTPServer):
    """Keeps what is put, and serves it; `attempts` are the bodies that came, also broken ones."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kept: dict[str, bytes] = {}
        self.attempts: list[bytes] = []
        self.arrived = threading.Condition()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store  # pyright: ignore[reportIncompatibleVariableOverride] (it is given no other)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.arrived:
            self.server.attempts.append(body)
            if len(body) == int(self.headers["Content-Length"]):
                self.server.kept[self.path] = body
            self.server.arrived.notify_all()
        self.answer(200, b"")

    def do_GET(self) -> None:
        if self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        elif self.path == "/until-closed":
            self.close_connection = True
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"all of it")
        else:
            self.answer(200 if self.path in self.server.kept else 404, self.server.kept.get(self.path, b""))

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[Store]:
    with Store() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: Store) -> Iterator[FaultProxy]:
    with FaultProxy(server.server_port) as between:
        yield between


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    yield connection
    connection.close()


def send(client: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    client.request(method, path, body)
    answer = client.getresponse()
    return answer.status, answer.read()


def test_all_kinds_of_messages_pass(client: http.client.HTTPConnection, proxy: FaultProxy) -> None:
    large = bytes(range(256)) * 4000
    assert send(client, "PUT", "/a", large) == (200, b"")
    first = client.sock
    assert send(client, "GET", "/a") == (200, large)
    assert send(client, "HEAD", "/a") == (200, b"")
    assert send(client, "GET", "/chunked") == (200, b"abcde")
    assert send(client, "GET", "/none") == (404, b"")
    assert client.sock is first
    assert send(client, "GET", "/until-closed") == (200, b"all of it")
    assert send(client, "PUT", "/b", b"") == (200, b"")
    assert proxy.counts == {"PUT": 2, "GET": 4, "HEAD": 1}
    assert proxy.requests[:2] == [("PUT", "/a"), ("GET", "/a")]


def test_a_client_that_waits_before_the_body(proxy: FaultProxy, server: Store) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as raw:
        raw.sendall(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 100 ")
        raw.sendall(b"abc")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert server.kept["/a"] == b"abc"


def test_it_answers_in_place_of_the_server(
    client: http.client.HTTPConnection, proxy: FaultProxy, server: Store
) -> None:
    proxy.next(SLOW_DOWN, 2)
    for _ in range(2):
        status, body = send(client, "PUT", "/a", b"data")
        assert (status, b"<Code>SlowDown</Code>" in body) == (503, True)
    assert server.attempts == []
    assert send(client, "PUT", "/a", b"data") == (200, b"")
    proxy.always(NOT_IMPLEMENTED, where=lambda request: request.header("If-None-Match") == "*")
    for _ in range(3):
        client.request("PUT", "/b", b"data", headers={"If-None-Match": "*"})
        answer = client.getresponse()
        assert (answer.status, answer.getheader("x-ms-error-code")) == (501, "NotImplemented")
        answer.read()
    assert send(client, "PUT", "/b", b"data") == (200, b"")
    proxy.heal()
    client.request("PUT", "/b", b"data", headers={"If-None-Match": "*"})
    assert client.getresponse().status == 200


@pytest.mark.parametrize(
    ("fault", "arrives"),
    [(LoseRequest(), []), (LoseResponse(), [b"data"]), (Reset(), [b"data"]), (CutRequest(2), [b"da"])],
)
def test_a_connection_that_breaks(
    client: http.client.HTTPConnection, proxy: FaultProxy, server: Store, fault: Fault, arrives: list[bytes]
) -> None:
    proxy.next(fault, where=lambda request: request.method == "PUT")
    assert send(client, "GET", "/none") == (404, b"")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)) as caught:
        send(client, "PUT", "/a", b"data")
    if isinstance(fault, Reset):
        assert type(caught.value) is ConnectionResetError
    with server.arrived:
        assert server.arrived.wait_for(lambda: len(server.attempts) == len(arrives), timeout=60)
    assert server.attempts == arrives
    client.close()
    assert send(client, "PUT", "/a", b"data") == (200, b"")
    assert proxy.faults == {type(fault): 1}


def test_an_answer_that_breaks_off(client: http.client.HTTPConnection, proxy: FaultProxy) -> None:
    send(client, "PUT", "/a", b"0123456789")
    proxy.next(CutResponse(4), where=lambda request: request.target == "/a")
    client.request("GET", "/a")
    with pytest.raises(http.client.IncompleteRead) as caught:
        client.getresponse().read()
    assert caught.value.partial == b"0123"


def test_an_answer_that_never_comes(client: http.client.HTTPConnection, proxy: FaultProxy, server: Store) -> None:
    proxy.next(Hang())
    client.timeout = 0.2
    with pytest.raises(TimeoutError):
        send(client, "PUT", "/a", b"data")
    assert server.attempts == []


def test_a_server_that_is_away(client: http.client.HTTPConnection, proxy: FaultProxy) -> None:
    send(client, "PUT", "/a", b"data")
    proxy.vanish()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        send(client, "GET", "/a")
    client.close()
    with pytest.raises(ConnectionRefusedError):
        send(client, "GET", "/a")
    client.close()
    proxy.appear()
    assert send(client, "GET", "/a") == (200, b"data")


def test_a_seed_decides_which_requests_are_hit(server: Store) -> None:
    def hit(seed: int) -> list[int]:
        with FaultProxy(server.server_port) as proxy:
            proxy.at_random(0.3, [SLOW_DOWN], seed=seed)
            client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
            answers = [send(client, "GET", "/none")[0] for _ in range(50)]
            client.close()
            return [number for number, status in enumerate(answers) if status == 503]

    assert hit(1) == hit(1) != hit(2)
    assert 5 < len(hit(1)) < 30


def test_many_connections_at_once(proxy: FaultProxy) -> None:
    def work(name: int) -> bool:
        client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
        put = [send(client, "PUT", f"/{name}-{number}", b"x" * number * 100) for number in range(20)]
        got = [send(client, "GET", f"/{name}-{number}") for number in range(20)]
        client.close()
        return put == [(200, b"")] * 20 and got == [(200, b"x" * number * 100) for number in range(20)]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(16)))
    assert proxy.counts == {"PUT": 320, "GET": 320}


def test_latency_is_waited_for(
    client: http.client.HTTPConnection, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("fault_proxy.time.sleep", waited.append)
    proxy.latency = 0.03
    assert send(client, "GET", "/none") == (404, b"")
    assert waited == [0.03]
