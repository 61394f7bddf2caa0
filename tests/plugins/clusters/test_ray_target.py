"""What a real Ray does not show: refusals, silence, nonsense. A small server on loopback answers as it is told."""

from __future__ import annotations

import json
import pickle
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runfolio.errors import ConfigurationError, NotFoundError, TargetError
from runfolio.target import Job, JobStatus, Resources
from runfolio_plugins.clusters import ray_api
from runfolio_plugins.clusters.ray_target import RayTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

HANDLE = "runfolio-0123456789abcdef"
TAKEN = "taken"
"""An answer that takes the job under its id."""


class Server:
    """Answers requests in order, the last answer again and again, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, object]] = [(200, TAKEN)]
        self.address = ""

    def will(self, *answers: tuple[int, object]) -> None:
        self.answers = list(answers)

    def answer(self, document: Any) -> tuple[int, bytes]:
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if body == TAKEN:
            body = {"submission_id": document["submission_id"]}
        return status, body if isinstance(body, bytes) else json.dumps(body).encode()


@contextmanager
def serving() -> Generator[Server]:
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        def handle_request(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            document = json.loads(sent) if sent else None
            made.asked.append((self.command, self.path, document))
            made.headers.append(dict(self.headers.items()))
            status, body = made.answer(document)
            if not status:
                return  # hang up without a word
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{made.address}/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = handle_request  # noqa: N815 (names of the base class)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.address = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, own_surroundings: Path) -> Generator[Server]:
    """A server in the place of Ray; this user has no token."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(own_surroundings))
    with serving() as made:
        yield made


@pytest.fixture
def target(server: Server) -> RayTarget:
    return RayTarget(address=server.address)


def job(*command: str, **options: Any) -> Job:
    return Job(command=command or ("true",), folder="", **options)


def test_what_is_submitted(server: Server) -> None:
    target = RayTarget(
        address=f"{server.address}/behind/a/proxy/",
        cpus=2,
        gpus=0.5,
        memory="1 GiB",
        resources={"a100": 1},
        setup=["module load python"],
        environment={"PLAIN": "it's"},
    )
    handle = target.submit(job("echo", "$HOME", name="a name"))
    method, path, document = server.asked[0]
    assert ("POST", "/behind/a/proxy/api/jobs/", handle) == (method, path, document["submission_id"])
    assert {"name": "a name"} == document["metadata"]
    assert (2, 0.5, 1 << 30, {"a100": 1}) == (
        document["entrypoint_num_cpus"],
        document["entrypoint_num_gpus"],
        document["entrypoint_memory"],
        document["entrypoint_resources"],
    )
    lines = document["entrypoint"].splitlines()
    assert {"module load python", "export PLAIN='it'\"'\"'s'", "exec echo '$HOME'"} <= set(lines)


def test_what_a_job_needs_wins(server: Server) -> None:
    resources = Resources(cpus=1.5, memory=7, options={"resources": {"tpu": 2}})
    RayTarget(address=server.address, cpus=8).submit(job(resources=resources))
    document = server.asked[0][2]
    assert (1.5, 7, {"tpu": 2}) == tuple(document[f"entrypoint_{name}"] for name in ("num_cpus", "memory", "resources"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"resources": Resources(options={"address": "http://elsewhere"})},
        {"resources": Resources(seconds=60)},
        {"environment": {"API_TOKEN": "hunter2"}},
        {"environment": {"A B": "x"}},
        {"command": ("echo", "\udcff")},
    ],
    ids=["address", "time limit", "secret variable", "variable", "no text"],
)
def test_a_job_that_can_never_run_is_refused(server: Server, target: RayTarget, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        target.submit(job(*wrong.pop("command", ()), **wrong))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigurationError):
        target.submit(Job(command=("true",), folder="/no/such/folder"))
    assert not server.asked


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"adress": "http://x"}, "adress"),
        ({"cpus": "2"}, "cpus"),
        ({"cpus": -1}, "cpus"),
        ({"gpus": True}, "gpus"),
        ({"memory": "lots"}, "memory"),
        ({"resources": {"a": "1"}}, "resources"),
        ({"resources": 3}, "resources"),
        ({"environment": {"A": 1}}, "environment"),
        *(({"address": text}, "address") for text in ("ray://host:10001", "auto", "host:8265", "http://", "http://h:x",
          "http://user:hunter2@host:8265", "http://host:8265/?token=x", "http://host\n:8265", 3)),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        RayTarget(**options)
    assert "hunter2" not in str(caught.value)


def test_the_address_of_rays_own_tools(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="RAY_API_SERVER_ADDRESS"):
        RayTarget().submit(job())
    monkeypatch.setenv("RAY_ADDRESS", "ray://elsewhere:10001")
    with pytest.raises(ConfigurationError, match="8265"):
        RayTarget().submit(job())
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", server.address)
    RayTarget().submit(job())
    assert server.asked


def test_where_the_token_comes_from(
    server: Server, target: RayTarget, monkeypatch: pytest.MonkeyPatch, own_surroundings: Path
) -> None:
    """The variable, the file that another one names, the file in the home folder; no header without one."""
    home, named = own_surroundings / ".ray" / "auth_token", own_surroundings / "named"
    home.parent.mkdir()
    seen = []

    def look() -> None:
        target.submit(job())
        seen.append(server.headers[-1].get("Authorization"))

    look()
    home.write_text("of the home\n")
    look()
    named.write_text("of the file")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(named))
    look()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of the variable")
    look()
    assert [None, "Bearer of the home", "Bearer of the file", "Bearer of the variable"] == seen
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    named.unlink()
    with pytest.raises(ConfigurationError, match="no token"):
        target.submit(job())
    named.mkdir()
    with pytest.raises(ConfigurationError):
        target.submit(job())


@pytest.mark.parametrize("token", ["two\nlines", "two\r\nX-Evil: 1", "tökén"])
def test_a_token_is_no_header_of_its_own(
    server: Server, target: RayTarget, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    with pytest.raises(ConfigurationError) as caught:
        target.submit(job())
    assert token not in str(caught.value)
    assert not server.asked


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token(server: Server, target: RayTarget, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "hunter2")
    server.will((status, b"no"))
    asking: tuple[Callable[[], object], ...] = (
        lambda: target.submit(job()),
        lambda: target.status(HANDLE),
        lambda: target.cancel(HANDLE),
        lambda: target.logs(HANDLE),
    )
    for ask in asking:
        with pytest.raises(TargetError, match="RAY_AUTH_TOKEN") as caught:
            ask()
        assert "hunter2" not in str(caught.value)


def test_a_redirect_is_not_followed(server: Server, target: RayTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token would go with it."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "hunter2")
    server.will((302, b""))
    with pytest.raises(TargetError, match="302"):
        target.submit(job())
    assert ["/api/jobs/"] == [path for _, path, _ in server.asked]


def test_proxies_are_not_asked(server: Server, target: RayTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert target.submit(job())


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", b"[]", b"{}", {"submission_id": "another"}], ids=["none", "html", "list", "empty", "id"]
)
def test_an_answer_that_is_none(server: Server, target: RayTarget, answer: object) -> None:
    server.will((200, answer))
    with pytest.raises(TargetError):
        target.submit(job())


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_what_ray_says_is_told(server: Server, target: RayTarget, status: int) -> None:
    server.will((status, b"Traceback ...\nValueError: no room"))
    with pytest.raises(TargetError, match="no room"):
        target.submit(job())


def test_a_lost_answer_is_asked_for(server: Server, target: RayTarget) -> None:
    """The job may have been taken: a second one would be one too many."""
    server.will((0, b""), (200, {"status": "PENDING"}))
    handle = target.submit(job())
    assert ("GET", f"/api/jobs/{handle}") == server.asked[1][:2]
    server.will((0, b""), (404, b""))
    with pytest.raises(TargetError):
        target.submit(job())


def test_nobody_listens(server: Server) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        target = RayTarget(address=f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(TargetError, match="no answer"):
            target.submit(job())
        with pytest.raises(TargetError):
            target.status(HANDLE)


def test_an_answer_that_does_not_come(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_api, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are made, and nobody takes them
        target = RayTarget(address=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(TargetError, match="no answer"):
            target.submit(job())


def test_an_answer_without_end(server: Server, target: RayTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_api, "LARGEST", 100)
    server.will((200, {"logs": "x" * 200}))
    with pytest.raises(TargetError, match="artifacts"):
        target.logs(HANDLE)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"status": "PENDING"}, JobStatus.QUEUED),
        ({"status": "RUNNING"}, JobStatus.RUNNING),
        ({"status": "OF_TOMORROW"}, JobStatus.RUNNING),
        ({"status": "SUCCEEDED"}, JobStatus.COMPLETED),
        ({"status": "STOPPED"}, JobStatus.CANCELED),
        ({"status": "FAILED", "error_type": "JOB_ENTRYPOINT_COMMAND_ERROR"}, JobStatus.FAILED),
        ({"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_DIED"}, JobStatus.LOST),
    ],
)
def test_states(server: Server, target: RayTarget, answer: dict[str, str], status: JobStatus) -> None:
    server.will((200, answer))
    assert status == target.status(HANDLE)
    target.cancel(HANDLE)
    stopped = [path for method, path, _ in server.asked if method == "POST"]
    assert stopped == ([] if status.final else [f"/api/jobs/{HANDLE}/stop"])


def test_a_job_that_ray_has_forgotten(server: Server, target: RayTarget) -> None:
    server.will((404, b"does not exist"))
    assert JobStatus.UNKNOWN == target.status(HANDLE)
    target.cancel(HANDLE)
    with pytest.raises(NotFoundError):
        target.logs(HANDLE)
    server.will((200, {"status": "RUNNING"}), (404, b""))
    target.cancel(HANDLE)  # gone meanwhile
    server.will((200, {"status": "RUNNING"}), (500, b"no"))
    with pytest.raises(TargetError):
        target.cancel(HANDLE)


BEGIN = f"begin {HANDLE}\n"
SCRIPT = f"Running entrypoint for job {HANDLE}: #!/bin/sh\nprintf '%s%s\\n' 'begin ' {HANDLE}\n# end {HANDLE}\n"


@pytest.mark.parametrize(
    "printed",
    [
        f"setting up\n{SCRIPT}{BEGIN}one\ntwö\n",
        f"{BEGIN}{SCRIPT}one\ntwö\n",
        f"{BEGIN}one\n{SCRIPT}twö\n",
        f"{BEGIN}one\ntwö\n",
    ],
    ids=["before", "after the beginning", "in between", "not yet"],
)
def test_the_script_is_no_part_of_the_log(server: Server, target: RayTarget, printed: str) -> None:
    """Ray writes it when it likes."""
    server.will((200, {"logs": printed}))
    assert "one\ntwö\n".encode() == target.logs(HANDLE)
    assert "twö\n".encode() == target.logs(HANDLE, 4)
    assert b"" == target.logs(HANDLE, 100)


def test_a_script_that_is_there_in_part(server: Server, target: RayTarget) -> None:
    server.will((200, {"logs": f"{BEGIN}one\n{SCRIPT[:60]}"}))
    assert b"one\n" == target.logs(HANDLE)


def test_a_job_that_was_not_started_says_why(server: Server, target: RayTarget) -> None:
    server.will((200, {"logs": "no such image"}), (200, {"status": "PENDING"}))
    assert b"" == target.logs(HANDLE)
    server.will((200, {"logs": "no such image"}), (200, {"status": "FAILED"}))
    assert b"no such image" == target.logs(HANDLE)


def test_certificates(server: Server, own_surroundings: Path) -> None:
    """`https` is verified, always; the server here speaks none."""
    address = server.address.replace("http:", "https:")
    with pytest.raises(TargetError):
        RayTarget(address=address).status(HANDLE)
    with pytest.raises(ConfigurationError, match="certificates"):
        RayTarget(address=address, ca=str(own_surroundings / "absent.pem")).status(HANDLE)
    assert not server.asked


def test_a_pickled_target_has_its_options(server: Server) -> None:
    again = pickle.loads(pickle.dumps(RayTarget(address=server.address, cpus=1)))
    again.submit(job())
    assert 1 == server.asked[0][2]["entrypoint_num_cpus"]
