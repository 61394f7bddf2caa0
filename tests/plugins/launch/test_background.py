"""Runs that go on without the terminal."""

from __future__ import annotations

import os
import select
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from runfolio_plugins.launch import commands
from runfolio_plugins.launch.request import LaunchRequest

if TYPE_CHECKING:
    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module

pytestmark = pytest.mark.local_only(
    "tracked runs: processes, files and signals of this machine (tests/plugins/launch/test_stores.py: each store)"
)

LIMIT = 60


def open_for_reading(marker: Path) -> int:
    return os.open(marker, os.O_RDONLY | os.O_NONBLOCK)


def heard(fd: int) -> str:
    assert select.select([fd], [], [], LIMIT)[0], "nothing was said"
    os.set_blocking(fd, True)
    return os.read(fd, 1000).decode()


def test_a_detached_run_goes_on_by_itself(project: Project, marker: Path, own_surroundings: Path) -> None:
    """The command returns while the script waits for the test; the run ends after it."""
    gate = own_surroundings / "gate"
    os.mkfifo(gate)
    project.write(
        "script.py",
        f"""
        import os, sys
        print("begun", os.getsid(0) != {os.getsid(0)}, sys.stdin.read() == "")
        open({str(marker)!r}, "w").write(str(os.getppid()))
        open({str(gate)!r}).read()
        open("outputs/late.txt", "w").write("late")
        print("done")
        """,
    )
    ready = open_for_reading(marker)
    done = project.runfolio("run", "--detach", "--name", "later", "script.py", "-x")
    assert 0 == done.returncode, done.stderr
    run_id = done.stdout.split()[1]
    assert f"RunId: {run_id}\n" == done.stdout
    launcher = os.pidfd_open(int(heard(ready)))
    run = project.history().run(run_id)
    assert ("Running", "later", ["-x"]) == (run.status, run.record.name, list(run.record.arguments))
    (project.root / "script.py").write_text("changed: the run has its own copy")
    gate.write_text("go on")
    assert select.select([launcher], [], [], LIMIT)[0]
    ended = project.history().run(run_id)
    assert "Completed" == ended.status
    assert b"late" == ended.artifacts["outputs/late.txt"].read_bytes()
    assert "begun True True\ndone\n" == ended.artifacts["logs/driver_log.txt"].read_bytes().decode()
    assert "the run ends as Completed" in ended.artifacts["logs/control_log.txt"].read_bytes().decode()


def test_what_cannot_begin_is_told_before_the_command_returns(project: Project) -> None:
    done = project.runfolio("run", "--detach", "absent.py")
    assert 0 != done.returncode
    assert "absent.py" in done.stderr
    assert "" == done.stdout


@pytest.mark.parametrize("detached", [True, False], ids=["detached", "shown here"])
def test_a_target_that_nobody_registered_is_refused(project: Project, detached: bool) -> None:
    project.write("script.py", "")
    words = ["--detach"] if detached else []
    done = project.runfolio("run", *words, "--target", "nowhere", "script.py")
    assert 0 != done.returncode
    assert "'nowhere'" in done.stderr
    assert not (project.root / ".runfolio").exists()


def test_a_request_is_the_same_on_a_command_line() -> None:
    """What is handed to a target is what was asked for here."""
    request = LaunchRequest(
        script="-odd.py",
        arguments=("--lr", "0.1", "", "two words"),
        store="s3://b/p",
        project="p",
        experiment="e",
        name="-n",
        note="a note",
        tags=("one", "two"),
        in_place=True,
        capture=("checkpoints/",),
        system_metrics=False,
        python="python3",
        grace=3.0,
    )
    seen: list[LaunchRequest] = []

    def keep(asked: LaunchRequest) -> int:
        seen.append(asked)
        return 0

    context = commands.run.make_context("run", request.words())
    with pytest.MonkeyPatch.context() as patch, context:
        patch.setattr("runfolio_plugins.launch.foreground.launch_here", keep)
        with pytest.raises(click.exceptions.Exit):
            commands.run.invoke(context)
    assert [replace(request, folder=str(Path.cwd()))] == seen


def test_a_detached_run_is_canceled_by_a_signal(project: Project, marker: Path) -> None:
    project.write(
        "script.py",
        f"""
        import os, time
        with open({str(marker)!r}, "w") as told: told.write(str(os.getppid()))
        while True: time.sleep(0.05)
        """,
    )
    ready = open_for_reading(marker)
    project.runfolio("run", "-d", "script.py")
    pid = int(heard(ready))
    launcher = os.pidfd_open(pid)
    os.kill(pid, 15)
    assert select.select([launcher], [], [], LIMIT)[0]
    assert "Canceled" == project.last().status
