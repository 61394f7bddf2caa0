"""The way of a script's output to terminal and log."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runfolio_plugins.launch import processes
from runfolio_plugins.launch.streaming import OutputLog, open_channels
from runfolio_plugins.launch.supervision import Ending, Interrupts, supervise

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture
def log(tmp_path: Path) -> Generator[OutputLog]:
    made = OutputLog(tmp_path / "log")
    yield made
    made.close()


def run(source: str, log: OutputLog, stdout: int | None, stderr: int | None) -> Ending:
    channels = open_channels(stdout, stderr)
    with Interrupts(lambda _: None) as interrupts:
        process = processes.start(
            [sys.executable, "-u", "-c", source],
            folder=Path.cwd(),
            environment=os.environ,
            stdin=subprocess.DEVNULL,
            stdout=channels.stdout,
            stderr=channels.stderr,
        )
        channels.close_ends()
        interrupts.watch(process)
        try:
            return supervise(process, channels.sources, log, interrupts)
        finally:
            for source_ in channels.sources:
                source_.close()


BOTH = "import sys\nfor i in range(300): print('out', i); print('err', i, file=sys.stderr)"


def test_one_place_has_one_exact_order(log: OutputLog, tmp_path: Path) -> None:
    with (tmp_path / "shown").open("wb") as shown:
        run(BOTH, log, shown.fileno(), shown.fileno())
    expected = "".join(f"out {i}\nerr {i}\n" for i in range(300)).encode()
    assert expected == log.path.read_bytes() == (tmp_path / "shown").read_bytes()


def test_two_places_get_each_its_own_and_the_log_gets_all(log: OutputLog, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        run(BOTH, log, out.fileno(), err.fileno())
    assert "".join(f"out {i}\n" for i in range(300)).encode() == (tmp_path / "out").read_bytes()
    assert "".join(f"err {i}\n" for i in range(300)).encode() == (tmp_path / "err").read_bytes()
    assert sorted(log.path.read_bytes().split()) == sorted(
        (tmp_path / "out").read_bytes().split() + (tmp_path / "err").read_bytes().split()
    )


def test_a_terminal_is_a_terminal_for_the_script(log: OutputLog) -> None:
    """It has the size of ours, and lines end in the log as they were written."""
    master, slave = pty.openpty()
    try:
        subprocess.run(["stty", "rows", "33", "cols", "77"], stdin=slave, check=True)
        run(
            "import os, sys; print(sys.stdout.isatty(), sys.stderr.isatty(), os.get_terminal_size(1))",
            log,
            slave,
            slave,
        )
        assert b"True True os.terminal_size(columns=77, lines=33)\n" == log.path.read_bytes()
        assert os.read(master, 1000).startswith(b"True True")
    finally:
        os.close(master)
        os.close(slave)


def test_a_reader_that_leaves_does_not_end_the_script(log: OutputLog) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ending = run("for i in range(50000): print(i)", log, writing, writing)
    finally:
        os.close(writing)
    assert Ending(0, left_running=False) == ending
    assert log.path.read_bytes().endswith(b"49999\n")


def test_bytes_that_are_no_text_pass_through(log: OutputLog) -> None:
    run("import os; os.write(1, bytes(range(256)))", log, None, None)
    assert bytes(range(256)) == log.path.read_bytes()


def test_much_output_needs_no_memory(log: OutputLog) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run("import os\nfor i in range(1600): os.write(1, b'x' * 65536)", log, None, None)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert 1600 * 65536 == log.path.stat().st_size
    assert grown < 16 * 1024, "kilobytes"


def test_a_full_disk_stops_the_log_and_not_the_script(tmp_path: Path) -> None:
    path = tmp_path / "full"
    path.symlink_to("/dev/full")
    log = OutputLog(path)
    ending = run("print('x' * 100)", log, None, None)
    log.close()
    assert 0 == ending.returncode
    assert log.failed is not None


def test_processes_left_behind_are_not_waited_for(log: OutputLog) -> None:
    """One that keeps the channel open delays the end by seconds, not for ever."""
    began = time.monotonic()
    sleep = "[sys.executable, '-c', 'import time; time.sleep(60)']"
    source = f"import subprocess, sys; print(subprocess.Popen({sleep}).pid)"
    ending = run(source, log, None, None)
    os.kill(int(log.path.read_bytes()), 9)
    assert Ending(0, left_running=True) == ending
    assert time.monotonic() - began < 30
