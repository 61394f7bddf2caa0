"""Starting a real server for tests: on free loopback ports, waited for, and ended together with all it started."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
PATIENCE = 180.0
"""Seconds a server may take to come up: a machine with few cores starts several at once."""

# Below the range from which systems take the ports of outgoing connections: no client is given one of them meanwhile.
_PORTS = range(15_000, 32_000)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server process that answers.

    Attributes:
        process: the process; it leads its own process group.
        ports: the ports it was told to use.
        log: what it printed.
    """

    process: subprocess.Popen[bytes]
    ports: tuple[int, ...]
    log: Path

    @property
    def url(self) -> str:
        """Where its first port answers."""
        return f"http://{LOOPBACK}:{self.ports[0]}"

    def processes(self) -> set[int]:
        """The process ids of its group."""
        found = set()
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.getpgid(int(entry.name)) == self.process.pid:
                    found.add(int(entry.name))
            except ProcessLookupError:
                continue
        return found


class MissingServerError(Exception):
    """A program that tests need is not installed; says what to install."""


def program(name: str, remedy: str) -> str:
    """Return the path of a program beside this Python, or else on the PATH.

    Raises:
        MissingServerError: it is in neither place.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if found is None:
        raise MissingServerError(f"{name} is not installed: {remedy}")
    return found


def free_ports(number: int) -> tuple[int, ...]:
    """Return loopback ports that nobody listens on at the moment."""
    chosen: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(chosen) == number:
            return tuple(chosen)
        with socket.socket() as one:
            try:
                one.bind(("", port))  # on every address: a server elsewhere on this machine counts as well
            except OSError:
                continue
        chosen.append(port)
    raise MissingServerError(f"this machine has no {number} free ports")


def answers(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=5).close()
    except OSError:
        return False
    return True


@contextmanager
def running(
    command: Callable[[tuple[int, ...]], Sequence[str]],
    folder: Path,
    *,
    ports: int = 1,
    environment: Mapping[str, str] | None = None,
    ready: Callable[[tuple[int, ...]], bool] = lambda ports: all(answers(port) for port in ports),
) -> Generator[RunningServer, None, None]:
    """Run a server for as long as the context lasts.

    Args:
        command: gives the command line for the ports.
        folder: working folder of the server; its log is kept there.
        ports: how many ports it listens on.
        environment: variables beside those of this process.
        ready: whether the server on these ports can be used.

    Raises:
        RuntimeError: it did not come up; its log is in the message.
    """
    log = folder / "server.log"
    for _ in range(5):  # another program may have taken one of the ports at the same moment
        chosen = free_ports(ports)
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*_ends_with_this_process(), *command(chosen)],
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            until = time.monotonic() + PATIENCE
            while process.poll() is None and time.monotonic() < until:
                if ready(chosen):
                    yield RunningServer(process, chosen, log)
                    return
                time.sleep(0.05)
        finally:
            _end(process)
    raise RuntimeError(f"the server did not come up:\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}")


def _ends_with_this_process() -> list[str]:
    """What to put before a command so that it is killed when this process is, and so cannot end it."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "KILL", "--"]


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def listening_addresses(processes: set[int]) -> set[str]:
    """Return the addresses (as ``/proc/net/tcp`` and ``tcp6`` spell them) on which processes listen."""
    sockets = set()
    for one in processes:
        for descriptor in Path(f"/proc/{one}/fd").iterdir():
            try:
                sockets.add(str(descriptor.readlink()))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1])
    return found
