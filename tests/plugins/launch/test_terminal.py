"""A tracked run in a real terminal: keys reach it, and the script sees a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module

pytestmark = pytest.mark.local_only(
    "tracked runs: processes, files and signals of this machine (tests/plugins/launch/test_stores.py: each store)"
)

LIMIT = 60


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, command: list[str], folder: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execv(command[0], command)
        self.seen = ""

    def expect(self, text: str) -> None:
        """Read until a text has been shown."""
        while text not in self.seen:
            assert select.select([self.fd], [], [], LIMIT)[0], self.seen
            try:
                self.seen += os.read(self.fd, 4096).decode("utf-8", "replace")
            except OSError:
                raise AssertionError(self.seen) from None

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while select.select([self.fd], [], [], LIMIT)[0]:
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                break
            self.seen += data.decode("utf-8", "replace")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminals() -> Generator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for one in made:
        os.close(one.fd)
        try:
            os.kill(one.pid, signal.SIGKILL)
            os.waitpid(one.pid, 0)
        except OSError:
            continue


def test_a_script_can_ask(project: Project, terminals: list[Terminal]) -> None:
    project.write("script.py", "import sys; print(sys.stdout.isatty()); print('hello', input('name? '))")
    terminals.append(terminal := Terminal(project.command("run", "script.py"), str(project.root)))
    terminal.expect("name? ")
    terminal.type("Ada\n")
    assert 0 == terminal.end(), terminal.seen
    assert "hello Ada\r\n" in terminal.seen
    assert "True\nname? hello Ada\n" == project.last().artifacts["logs/driver_log.txt"].read_bytes().decode()


def test_ctrl_c_reaches_the_script_once(project: Project, terminals: list[Terminal]) -> None:
    project.write(
        "script.py",
        """
        import time
        try:
            print("waiting")
            while True: time.sleep(0.05)
        except KeyboardInterrupt:
            print("interrupted once")
            open("outputs/saved", "w").close()
            raise
        """,
    )
    terminals.append(terminal := Terminal(project.command("run", "script.py"), str(project.root)))
    terminal.expect("waiting")
    terminal.type("\x03")
    assert 130 == terminal.end(), terminal.seen
    assert 1 == terminal.seen.count("interrupted once")
    assert "Execution Details" in terminal.seen
    run = project.last()
    assert "Canceled" == run.status
    assert b"" == run.artifacts["outputs/saved"].read_bytes()
