"""Scripts that are tried again, and scripts that take too long."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

LIMIT = 120

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module

FAILS_TWICE = """
import sys
from pathlib import Path
import runfolio as rf

state = Path("outputs/state.txt")
tries = len(state.read_text()) if state.exists() else 0
state.parent.mkdir(exist_ok=True)
state.write_text("x" * (tries + 1))
rf.get_logger().log("tries", tries)
print("try", tries)
sys.exit(0 if tries == 2 else 3)
"""


def test_a_script_that_fails_is_tried_again_with_what_it_left(project: Project) -> None:
    done = project.launch(FAILS_TWICE, retries=5)
    assert (0, "Completed") == (done.code, done.run.status)
    assert [0, 1, 2] == list(done.run.metric("tries").values())
    assert [0, 1, 2] == done.run.metric("tries").to_arrow()["step"].to_pylist()
    assert "xxx" == done.text("outputs/state.txt")
    assert "try 0\ntry 1\ntry 2\n" == done.text("logs/driver_log.txt")
    assert "tried again" in done.err
    assert [] == project.kept()


def test_a_script_goes_on_from_its_checkpoint(project: Project) -> None:
    """What it had logged beyond the checkpoint is hidden, and what the launcher logs is not."""
    done = project.launch(
        """
        import os, subprocess, sys
        from pathlib import Path
        import runfolio as rf

        checkpoint = Path("outputs/checkpoint")
        first = int(checkpoint.read_text()) if checkpoint.exists() else 0
        run = rf.resume_run(os.environ["RUNFOLIO_RUN_ID"], at_step=first) if first else rf.get_logger()
        for step in range(first, 10):
            run.log("loss", 100 * (not first) + step, step=step)
            if step % 4 == 0:
                checkpoint.write_text(str(step))
            if step == 6 and not first:
                subprocess.run([sys.executable, "-m", "runfolio_plugins.cli", "metric", "shell", "1", "--step", "5"])
                sys.exit("out of luck")
        """,
        retries=1,
    )
    assert (0, "Completed") == (done.code, done.run.status), done.err
    assert [100, 101, 102, 103, 4, 5, 6, 7, 8, 9] == list(done.run.metric("loss").values())
    loss = done.run.record.metrics["loss"]
    assert (10, 9, 103, 4) == (loss.count, loss.value, loss.max, loss.min)
    assert [] == list(done.run.metric("shell").values()), "of the attempt before"
    (listed,) = project.history().runs().records()
    assert done.run.record.metrics == listed.metrics
    assert "Completed" == listed.status


def test_retries_come_to_an_end(project: Project) -> None:
    done = project.launch(FAILS_TWICE, retries=1)
    assert (3, "Failed") == (done.code, done.run.status)
    assert [0, 1] == list(done.run.metric("tries").values())
    ending = done.run.ending
    assert ending is not None
    assert 3 == ending.exit_code


def test_a_script_that_takes_too_long_is_ended(project: Project) -> None:
    done = project.launch(
        """
        import signal, time
        print("begun", flush=True)
        while True:
            time.sleep(0.05)
        """,
        time_limit=0.5,
    )
    assert (124, "Failed") == (done.code, done.run.status)
    ending = done.run.ending
    assert ending is not None
    assert "time limit of 0.5 s" == ending.reason
    assert "time limit" in done.err


def test_a_script_within_its_time_is_left_alone(project: Project) -> None:
    done = project.launch("print('quick')\n", time_limit=LIMIT)
    assert (0, "Completed") == (done.code, done.run.status)


def test_a_canceled_script_is_not_tried_again_and_that_is_said(
    project: Project, processes: Callable[..., subprocess.Popen[str]], marker: Path, heard: Callable[[], str]
) -> None:
    project.write(
        "script.py",
        f"""
        import time
        with open({str(marker)!r}, "w") as told: told.write("here")
        while True: time.sleep(0.05)
        """,
    )
    launcher = processes(project.command("run", "--retries", "3", "script.py"), cwd=project.root)
    heard()
    launcher.send_signal(signal.SIGINT)
    _, err = launcher.communicate(timeout=LIMIT)
    assert 130 == launcher.returncode
    assert "SIGINT: the run is canceled" in err
    run = project.last()
    assert "Canceled" == run.status
    assert run.ending is not None
    assert "SIGINT" == run.ending.reason
