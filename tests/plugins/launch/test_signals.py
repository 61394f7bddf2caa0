"""Signals and deaths, with real processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module

pytestmark = pytest.mark.local_only(
    "tracked runs: processes, files and signals of this machine (tests/plugins/launch/test_stores.py: each store)"
)

LIMIT = 60
LOGGING = """
import os, signal, sys, time
import runfolio as rf
run = rf.get_logger()
for i in range(100):
    run.log("x", i)
open("outputs/part.txt", "w").write("so far")
print("working", flush=True)
"""
"""A script that has logged and written; what follows tells the test so, and waits."""
WAIT = """
# What a signal handler raises while a file is closed by the garbage collector is lost, hence `with`.
with open({marker!r}, "w") as told:
    told.write(str(os.getpid()))
while True:
    time.sleep(0.05)  # pause() would miss a signal that comes just before it
"""


def wait_for(marker: Path) -> str:
    """Wait until the script says that it is ready, and return what it said."""
    # Open for writing too: an earlier writer that closes late would be the end of the file otherwise.
    fd = os.open(marker, os.O_RDWR)
    try:
        assert select.select([fd], [], [], LIMIT)[0], "the script did not get there"
        return os.read(fd, 1000).decode()
    finally:
        os.close(fd)


def values(project: Project) -> list[object]:
    return list(project.last().metric("x").values())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_cancels_and_everything_is_stored(
    project: Project, processes: Callable[..., subprocess.Popen[str]], marker: Path, number: int, code: int
) -> None:
    project.write("script.py", LOGGING + WAIT.format(marker=str(marker)))
    launcher = processes(project.command("run", "script.py"), cwd=project.root)
    wait_for(marker)
    launcher.send_signal(number)
    out, err = launcher.communicate(timeout=LIMIT)
    assert code == launcher.returncode, err
    run = project.last()
    assert "Canceled" == run.status
    assert list(range(100)) == values(project)
    assert b"so far" == run.artifacts["outputs/part.txt"].read_bytes()
    assert "working" in run.artifacts["logs/driver_log.txt"].read_bytes().decode()
    story = run.artifacts["logs/control_log.txt"].read_bytes().decode()
    assert f"{signal.Signals(number).name} received" in story
    assert out.endswith(f"RunId: {run.id}\n")


def test_a_script_may_end_in_its_own_way(
    project: Project, processes: Callable[..., subprocess.Popen[str]], marker: Path
) -> None:
    project.write(
        "script.py",
        LOGGING
        + "def stop(*_):\n    open('outputs/last.txt', 'w').write('saved'); sys.exit(0)\n"
        + "signal.signal(signal.SIGTERM, stop)\n"
        + WAIT.format(marker=str(marker)),
    )
    launcher = processes(project.command("run", "script.py"), cwd=project.root)
    wait_for(marker)
    launcher.terminate()
    launcher.communicate(timeout=LIMIT)
    assert 0 == launcher.returncode
    assert "Canceled" == project.last().status
    assert b"saved" == project.last().artifacts["outputs/last.txt"].read_bytes()


def test_a_script_that_does_not_listen_is_killed_after_the_grace(
    project: Project, processes: Callable[..., subprocess.Popen[str]], marker: Path
) -> None:
    project.write(
        "script.py", LOGGING + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAIT.format(marker=str(marker))
    )
    launcher = processes(project.command("run", "--grace", "0.3", "script.py"), cwd=project.root)
    wait_for(marker)
    launcher.terminate()
    launcher.communicate(timeout=LIMIT)
    assert 137 == launcher.returncode
    assert "Canceled" == project.last().status
    assert list(range(100)) == values(project)


def test_a_second_ctrl_c_hurries(
    project: Project, processes: Callable[..., subprocess.Popen[str]], marker: Path
) -> None:
    """The script says that it heard the first one and stays; without the second it would have an hour."""
    project.write(
        "script.py",
        LOGGING
        + f"signal.signal(signal.SIGINT, lambda *_: open({str(marker)!r}, 'w').write('heard'))\n"
        + WAIT.format(marker=str(marker)),
    )
    launcher = processes(project.command("run", "--grace", "3600", "script.py"), cwd=project.root)
    wait_for(marker)
    launcher.send_signal(signal.SIGINT)
    assert "heard" == wait_for(marker)
    launcher.send_signal(signal.SIGINT)
    launcher.communicate(timeout=LIMIT)
    assert 137 == launcher.returncode
    assert "Canceled" == project.last().status


def test_what_the_script_started_is_told_too(
    project: Project, processes: Callable[..., subprocess.Popen[str]], marker: Path
) -> None:
    project.write(
        "script.sh",
        f"""
        {sys.executable} -c 'import os, signal; open("{marker}", "w").write(str(os.getpid())); signal.pause()' &
        wait
        """,
    )
    launcher = processes(project.command("run", "script.sh"), cwd=project.root)
    inner = int(wait_for(marker))
    launcher.terminate()
    launcher.communicate(timeout=LIMIT)
    assert _has_ended(inner)
    assert "Canceled" == project.last().status


def test_other_signals_go_to_the_script(
    project: Project, processes: Callable[..., subprocess.Popen[str]], marker: Path
) -> None:
    project.write(
        "script.py",
        LOGGING
        + "def preempted(*_):\n    open('outputs/checkpoint', 'w').write('saved'); sys.exit(5)\n"
        + "signal.signal(signal.SIGUSR1, preempted)\n"
        + WAIT.format(marker=str(marker)),
    )
    launcher = processes(project.command("run", "script.py"), cwd=project.root)
    wait_for(marker)
    launcher.send_signal(signal.SIGUSR1)
    launcher.communicate(timeout=LIMIT)
    assert (5, "Failed") == (launcher.returncode, project.last().status)
    assert b"saved" == project.last().artifacts["outputs/checkpoint"].read_bytes()


def test_a_killed_script_loses_nothing_that_it_logged(project: Project) -> None:
    done = project.launch(LOGGING + "os.kill(os.getpid(), signal.SIGKILL)\n")
    assert (137, "Failed") == (done.code, done.run.status)
    assert list(range(100)) == values(project)
    assert b"so far" == done.run.artifacts["outputs/part.txt"].read_bytes()


def test_a_killed_launcher_is_completed_by_sync(
    project: Project, processes: Callable[..., subprocess.Popen[str]], marker: Path
) -> None:
    project.write("script.py", LOGGING + WAIT.format(marker=str(marker)))
    launcher = processes(project.command("run", "script.py"), cwd=project.root)
    script = int(wait_for(marker))
    launcher.kill()
    launcher.communicate(timeout=LIMIT)
    os.kill(script, signal.SIGKILL)
    _until_gone(script)
    synced = project.runfolio("sync")
    assert 0 == synced.returncode, synced.stderr
    run = project.last()
    assert ("Failed", list(range(100))) == (run.status, values(project))
    (kept,) = project.kept()
    assert "so far" == (kept / "proj" / "outputs" / "part.txt").read_text()


def test_pausing_pauses_the_script(
    project: Project, processes: Callable[..., subprocess.Popen[str]], marker: Path
) -> None:
    project.write("script.py", LOGGING + WAIT.format(marker=str(marker)))
    launcher = processes(project.command("run", "script.py"), cwd=project.root)
    script = int(wait_for(marker))
    launcher.send_signal(signal.SIGTSTP)
    os.waitid(os.P_PID, launcher.pid, os.WSTOPPED | os.WNOWAIT)
    limit = time.monotonic() + LIMIT
    while _state(script) != "T":  # the launcher stops itself last, but the other may be on another processor
        assert time.monotonic() < limit
    launcher.send_signal(signal.SIGCONT)
    launcher.terminate()
    launcher.communicate(timeout=LIMIT)
    assert (143, "Canceled") == (launcher.returncode, project.last().status)


def _state(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat[stat.rindex(")") + 2]


def _has_ended(pid: int) -> bool:
    """Whether a process has ended, also where nobody reaps it."""
    try:
        return _state(pid) in "ZX"
    except FileNotFoundError:
        return True


def _until_gone(pid: int) -> None:
    """Wait for the end of a process that is no child of ours."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([fd], [], [], LIMIT)[0]
    os.close(fd)
