"""Runs that go on by themselves: shown, followed, waited for, canceled."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

import runfolio as rf
from runfolio.plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module

LIMIT = 120


@pytest.fixture
def detached(project: Project, marker: Path, heard: Callable[[], str]) -> rf.Run:
    """A run in the background that waits to be told to end."""
    project.write(
        "script.py",
        f"""
        import time
        import runfolio as rf
        print("it works", flush=True)
        with open({str(marker)!r}, "w") as told: told.write("here")
        while True: time.sleep(0.05)
        """,
    )
    done = project.runfolio("run", "--detach", "script.py", "--lr", "1")
    assert 0 == done.returncode, done.stderr
    assert "here" == heard()
    run: rf.Run = project.history().run(done.stdout.split()[1])
    return run


def test_a_detached_run_is_shown_followed_canceled_and_waited_for(
    project: Project, processes: Callable[..., subprocess.Popen[str]], detached: rf.Run
) -> None:
    (row,) = json.loads(project.invoke("jobs", "-o", "json").stdout)
    assert (detached.id, "script.py --lr 1", "Running") == (row["run_id"], row["what"], row["status"])
    assert detached.id in project.invoke("jobs").stdout

    assert "it works\n" == project.invoke("logs", detached.id).stdout
    follower = processes(project.command("logs", "-f", detached.id), cwd=project.root)
    assert follower.stdout is not None
    assert "it works\n" == follower.stdout.readline()
    follower.send_signal(signal.SIGINT)
    _, err = follower.communicate(timeout=LIMIT)
    assert "goes on" in err
    assert "Running" == detached.refresh().status, "only the streaming has ended"

    assert 124 == project.invoke("wait", "--timeout", "0", detached.id).exit_code
    follower = processes(project.command("logs", "-f", detached.id), cwd=project.root)
    assert follower.stdout is not None
    assert "it works\n" == follower.stdout.readline()
    assert 0 == project.invoke("cancel", detached.id).exit_code
    waited = project.invoke("wait", detached.id)
    assert 143 == waited.exit_code
    assert f"{detached.id}  Canceled (SIGTERM)\n" == waited.stdout
    follower.communicate(timeout=LIMIT)
    assert 0 == follower.returncode
    assert "nothing runs" in project.invoke("jobs").stderr
    again = project.invoke("cancel", detached.id)
    assert 1 == again.exit_code
    assert "ended already" in again.stderr
    assert "it works\n" == project.invoke("logs", "-f", detached.id).stdout


def test_the_exit_code_is_that_of_the_first_that_failed(project: Project) -> None:
    project.write("script.py", "import sys; sys.exit(int(sys.argv[1]))\n")
    good, bad, worse = (project.launch("script.py", code).run.id for code in "034")
    assert 0 == project.invoke("wait", good).exit_code
    waited = project.invoke("wait", good, bad, worse)
    assert 3 == waited.exit_code
    assert 3 == len(waited.stdout.splitlines())


def test_a_run_of_another_machine_cannot_be_canceled_from_here(project: Project) -> None:
    with project.history().start_run() as run:
        with pytest.raises(rf.RunStateError, match="canceled there"):
            project.history().run(run.id).cancel()
        assert "Running" == project.history().run(run.id).status


def test_plugins_cancel_and_show_runs_of_their_own(project: Project) -> None:
    """The hooks `runfolio_cancel` and `runfolio_live_log`: the first answer counts."""
    told: list[str] = []

    class Elsewhere:
        @rf.hookimpl
        def runfolio_cancel(self, run: rf.Run) -> bool:
            told.append(run.id)
            return True

        @rf.hookimpl
        def runfolio_live_log(self, run: rf.Run) -> Path:
            log: Path = project.root / f"{run.id}.log"
            return log

    plugins = Plugins(extra=[Elsewhere()], disabled=["system_metrics"])
    with rf.open_history(project.history().url, plugins=plugins) as history, history.start_run() as run:
        history.run(run.id).cancel()
        assert [run.id] == told
        assert project.root / f"{run.id}.log" == history.plugins.hook.runfolio_live_log(run=run)
