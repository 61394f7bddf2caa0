"""What is different on a terminal: colours, width, questions, binary files; and what signals do. Real processes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from typing import Protocol

import pytest

import runfolio

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="platform: needs a POSIX terminal"),
    pytest.mark.not_in_memory("other processes use the store"),
    pytest.mark.clouds_on_request("starts processes"),
]

PROGRAM = [sys.executable, "-m", "runfolio_plugins.cli"]
Terminal = Callable[..., tuple[int, str]]


class Filled(Protocol):
    """A store with runs; see conftest.py."""

    url: str
    ids: list[str]
    at: list[str]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a function that runs the program on a terminal, and returns its exit code and what the terminal got."""
    monkeypatch.setenv("RUNFOLIO_USER", "ada")
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, columns: int = 300, answer: str = "") -> tuple[int, str]:
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        # The runner of the tests may have a width of its own.
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        process = subprocess.Popen(
            [*PROGRAM, *arguments], stdin=follower, stdout=follower, stderr=follower, env=environment
        )
        os.close(follower)
        try:
            got = conversation(leader, process, answer)
            return process.wait(60), got.decode().replace("\r\n", "\n")
        finally:
            process.kill()
            process.wait()
            os.close(leader)

    return run


def conversation(leader: int, process: subprocess.Popen[bytes], answer: str) -> bytes:
    """Read what a program prints on its terminal until it ends, and answer its question once it is asked.

    The answer ^C is sent as the signal that a terminal makes of it.
    """
    got = bytearray()
    while True:
        ready, _, _ = select.select([leader], [], [], 60)
        assert ready, f"no more output for a minute, after {bytes(got)!r}"
        try:
            part = os.read(leader, 65536)
        except OSError:  # how Linux says that the last process closed it
            return bytes(got)
        if not part:
            return bytes(got)
        got += part
        if answer and b"[y/N]" in got:
            if answer == "^C":
                process.send_signal(signal.SIGINT)
            else:
                os.write(leader, answer.encode())
            answer = ""


def without_colours(text: str) -> str:
    """Return a text without the sequences that colour it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_table_is_coloured_and_otherwise_the_same(terminal: Terminal, filled: Filled) -> None:
    code, shown = terminal("list", *filled.at)
    piped = subprocess.run([*PROGRAM, "list", *filled.at], capture_output=True, text=True, check=True).stdout
    assert code == 0
    assert "\x1b[1m" in shown
    assert "\x1b[32mCompleted" in shown
    assert "\x1b" not in piped
    assert [line.rstrip() for line in without_colours(shown).splitlines()] == piped.splitlines()


def test_colours_can_be_turned_off(terminal: Terminal, filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in terminal("list", *filled.at)[1]
    assert "\x1b" not in terminal("last", "-o", "jsonc", *filled.at)[1]


def test_a_narrow_terminal_shows_numbers_and_says_what_it_leaves_out(terminal: Terminal, filled: Filled) -> None:
    _, shown = terminal("list", *filled.at, columns=80)
    lines = without_colours(shown).splitlines()
    assert re.match(r"\d columns not shown \(.*mixed, nan, Duration, Script_name, …\)", lines[0])
    assert "--columns" in lines[0]
    assert lines[1].split() == ["Accuracy", "Regularization", "Rate", "loss", "Run_id", "Status"]
    assert all(len(line) <= 80 for line in lines[1:])
    assert filled.ids[0] in lines[-1]


def test_a_binary_file_is_not_sent_to_a_terminal(terminal: Terminal, filled: Filled) -> None:
    code, shown = terminal("info", "#1", "-a", "model.pkl", *filled.at)
    assert code == 1
    assert shown.startswith("Error: outputs/model.pkl is not text")
    assert "\0" not in shown


def test_a_log_is_shown_without_what_could_act(terminal: Terminal, store_url: str) -> None:
    store = store_url
    with runfolio.open_history(store) as history, history.start_run(system_metrics=False) as run:
        run.log_bytes("logs/driver_log.txt", ("\x1b[31mred\x1b[0m \x1b]0;owned\x07 é\n" * 20_000).encode())
    code, shown = terminal("info", run.id, "-a", "driver_log", "--store", store)
    assert code == 0
    assert shown == "\x1b[31mred\x1b[0m \\x1b]0;owned\\x07 é\n" * 20_000


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 3), ("n\n", 1, 4), ("^C", 130, 4)])
def test_delete_asks_at_a_terminal(terminal: Terminal, own: Filled, answer: str, code: int, left: int) -> None:
    found, shown = terminal("delete", "#1", *own.at, answer=answer)
    assert "Delete this run for good? [y/N]" in shown
    assert found == code
    with runfolio.open_history(own.url, project="demo") as history:
        assert len(history.runs()) == left


def test_a_download_shows_its_progress(terminal: Terminal, store_url: str) -> None:
    store = store_url
    with runfolio.open_history(store) as history, history.start_run(system_metrics=False) as run:
        run.log_bytes("outputs/[red]big.bin", os.urandom(20_000_000))
    code, shown = terminal("download", run.id, "-d", "here", "--store", store, columns=120)
    assert code == 0
    assert "20.0 MB" in shown or "20.0/20.0 MB" in shown
    assert "[red]big.bin" in shown
    assert "1 downloaded in" in shown


def test_ctrl_c_ends_with_130_and_no_traceback(filled: Filled, store_url: str) -> None:
    store = store_url
    with runfolio.open_history(store) as history, history.start_run(system_metrics=False) as run:
        run.log_bytes("outputs/big.txt", b"line\n" * 2_000_000)
    command = [*PROGRAM, "info", run.id, "-a", "big.txt", "--store", store]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    # It has begun to print, and now waits because nobody reads on.
    assert process.stdout.read(5) == b"line\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert (process.returncode, stderr) == (130, b"Interrupted.\n")


def test_head_ends_a_listing_quietly(filled: Filled, store_url: str) -> None:
    store = store_url
    with runfolio.open_history(store) as history, history.start_run(system_metrics=False) as run:
        run.log_bytes("outputs/big.txt", b"line\n" * 2_000_000)
    command = [*PROGRAM, "info", run.id, "-a", "big.txt", "--store", store]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(5) == b"line\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()
