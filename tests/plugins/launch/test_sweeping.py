"""Sweeps with real processes: what they record, and what survives which kill."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runfolio_plugins.launch.request import LaunchRequest
from runfolio_plugins.launch.sweep_arguments import grid
from runfolio_plugins.launch.sweep_plan import Sweep, all_sweeps, find_sweep
from runfolio_plugins.launch.sweeping import plan_sweep
from runfolio_plugins.launch.workspace import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import runfolio as rf
    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module

LIMIT = 120
WAITS = """
import os, sys
with open({marker!r}, "w") as told: told.write(sys.argv[2] + " ")
with open({gate!r} + sys.argv[2]) as gate: gate.read()
print("done", sys.argv[2])
"""
"""Says which run it is, and waits for its gate to be opened."""


def sweep_of(project: Project, printed: str) -> Sweep:
    del project
    found = find_sweep(printed.split()[1])
    assert found is not None
    return found


def by_argument(project: Project) -> dict[str, list[rf.Run]]:
    """The runs of the project by the value of their second argument."""
    found: dict[str, list[rf.Run]] = {}
    history = project.history()
    for run in history.runs():
        found.setdefault(str(run.params["x"]), []).append(history.run(run.id))
    return found


def ended(pid: int) -> None:
    """Wait until a process is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], LIMIT)[0], "a process does not end"
    finally:
        os.close(handle)


@pytest.fixture
def gates(own_surroundings: Path, project: Project, marker: Path) -> Callable[[str], None]:
    """Write the script that waits, and return what opens the gate of a run."""
    base = str(own_surroundings / "gate")
    for name in "123":
        os.mkfifo(f"{base}{name}")
    project.write("script.py", WAITS.format(marker=str(marker), gate=base))

    def let_through(name: str) -> None:
        with open(f"{base}{name}", "w") as gate:  # noqa: PTH123 (blocks until the script is there)
            gate.write("go on")

    return let_through


def test_a_sweep_records_every_combination_from_one_source(project: Project) -> None:
    project.write(
        "script.py",
        """
        import argparse, sys
        import runfolio as rf
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float)
        parser.add_argument("kind")
        args = parser.parse_args()
        run = rf.get_logger()
        run.params.update(vars(args))
        run.log("loss", args.lr * 2)
        sys.exit(3 if args.lr == 1 and args.kind == "b" else 0)
        """,
    )
    done = project.runfolio("sweep", "-j", "2", "--name", "try", "--tag", "mine", "script.py", "--lr", "0.1,1", "a,b")
    assert 1 == done.returncode, "one of them failed"
    assert "[4/4]" in done.stdout
    assert 1 == done.stdout.count("exit code 3")
    sweep = sweep_of(project, done.stdout)
    history = project.history()
    runs = [history.run(run.id) for run in history.runs(where=f"tag:{sweep.id} and tag:mine")]
    assert 4 == len(runs)
    assert {(0.1, "a"), (0.1, "b"), (1, "a"), (1, "b")} == {(run.params["lr"], run.params["arg1"]) for run in runs}
    assert {"try-1", "try-2", "try-3", "try-4"} == {run.name for run in runs}
    assert {"Completed", "Failed"} == {run.status for run in runs}
    assert 1 == len({run.record.commit_id for run in runs} - {None})
    assert all(run.record.metrics["loss"].value == run.params["lr"] * 2 for run in runs)
    assert sweep.ended
    assert [] == project.kept()


def test_killed_queue_and_launchers_leave_nothing_undone(
    project: Project,
    processes: Callable[..., subprocess.Popen[str]],
    gates: Callable[[str], None],
    heard: Callable[[], str],
) -> None:
    """The command is killed, then the queue, then the launcher of a run: the next command goes on with each of them."""
    command = processes(project.command("sweep", "--jobs", "2", "script.py", "--x", "1,2,3"), cwd=project.root)
    begun = set(heard().split())
    while len(begun) < 2:  # both run now
        begun.update(heard().split())
    assert {"1", "2"} == begun
    command.kill()
    command.wait(LIMIT)
    (sweep,) = all_sweeps()
    project.write("script.py", "raise SystemExit('edited meanwhile')\n")
    queue = sweep.queue()
    assert queue is not None
    os.kill(queue, signal.SIGKILL)
    ended(queue)
    gates("1")  # its launcher goes on without a queue
    second = sweep.tasks[1].run_id
    assert second is not None
    launcher = RunFolder(project.working / second).launcher()
    assert launcher is not None
    os.kill(launcher, signal.SIGKILL)
    ended(launcher)
    assert not sweep.ended
    waiting = processes(project.command("wait", sweep.id), cwd=project.root)
    gates("2")  # the script of the killed launcher
    heard_again: set[str] = set()
    while heard_again < {"2", "3"}:
        heard_again.update(heard().split())
    gates("2")
    gates("3")
    out, err = waiting.communicate(timeout=LIMIT)
    assert 0 == waiting.returncode, err
    assert "had no queue any more" in err
    assert 3 == out.count("completed")
    found = by_argument(project)
    assert {"1": 1, "2": 1, "3": 1} == {name: len(runs) for name, runs in found.items()}
    assert {"Completed"} == {runs[0].status for runs in found.values()}
    assert second == found["2"][0].id, "the run goes on in another attempt"
    assert 1 == len({runs[0].record.commit_id for runs in found.values()} - {None})
    assert sweep.ended


DEADLY = """
import os, sys
from pathlib import Path
from runfolio_plugins.launch import sweep_plan, sweep_queue

folder, owner, name, when = Path(sys.argv[1]), *sys.argv[2:]
target = {"Task": sweep_plan.Task, "Sweep": sweep_plan.Sweep, "os": os}[owner]
original = getattr(target, name)

def once():
    try:
        os.close(os.open(folder / "died", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), 9)

def deadly(*arguments):
    if when == "before":
        once()
    found = original(*arguments)
    once()
    return found

setattr(target, name, deadly)
sweep_queue.main(folder)
"""
"""A queue in which the first process that comes to a certain point is killed there."""


@pytest.mark.parametrize(
    "point",
    ["Task note_begun after", "os fork after", "Task note_end before", "Sweep finish before"],
)
def test_killed_at_any_step_every_run_is_completed_once(project: Project, own_surroundings: Path, point: str) -> None:
    done = own_surroundings / "done"
    project.write("script.py", f"import sys; open({str(done)!r}, 'a').write(sys.argv[2])\n")
    request = LaunchRequest(script="script.py", folder=str(project.root))
    sweep = plan_sweep(request, grid(["--x", "1,2"]), 1)
    command = [sys.executable, "-c", DEADLY, str(sweep.path), *point.split()]
    subprocess.run(command, cwd=project.root, timeout=LIMIT, check=False)
    assert (sweep.path / "died").exists()
    if not sweep.ended:
        again = [sys.executable, "-m", "runfolio_plugins.launch.sweep_queue", str(sweep.path)]
        subprocess.run(again, cwd=project.root, timeout=LIMIT, check=True)
    assert sweep.ended
    assert [0, 0] == [(task.end or {})["code"] for task in sweep.tasks]
    assert "12" == done.read_text(), "each script ran once"
    assert {"1": 1, "2": 1} == {name: len(runs) for name, runs in by_argument(project).items()}


def test_ctrl_c_cancels_a_sweep_and_says_so(
    project: Project,
    processes: Callable[..., subprocess.Popen[str]],
    gates: Callable[[str], None],
    heard: Callable[[], str],
) -> None:
    del gates  # none is opened
    command = processes(project.command("sweep", "script.py", "--x", "1,2,3"), cwd=project.root)
    assert "1" == heard().strip()
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=LIMIT)
    assert 130 == command.returncode
    assert "is canceled" in err
    (sweep,) = all_sweeps()
    assert sweep.ended
    assert [("1", "Canceled")] == [(name, runs[0].status) for name, runs in by_argument(project).items()]


def test_a_sweep_that_was_not_planned_to_the_end_leaves_nothing(project: Project) -> None:
    done = project.runfolio("sweep", "absent.py", "1,2")
    assert 1 == done.returncode
    assert "absent.py" in done.stderr
    assert [] == list(all_sweeps())
    project.write("script.py", "")
    shown = project.runfolio("sweep", "--dry-run", "script.py", "--x", "1,2")
    assert "--x 1\n--x 2\n" == shown.stdout
    assert [] == list(all_sweeps())
