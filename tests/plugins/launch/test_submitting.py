"""Runs that are begun here and executed by a job of a target. The target is this machine, under another name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runfolio.errors import ConfigurationError, RunfolioError, RunStateError, TargetError, UntrustedStoreError
from runfolio.target import JobStatus
from runfolio_plugins.launch.known_targets import open_target
from runfolio_plugins.launch.local_target import LocalTarget
from runfolio_plugins.launch.request import LaunchRequest
from runfolio_plugins.launch.story import Story
from runfolio_plugins.launch.submitted import go_on
from runfolio_plugins.launch.submitting import job_of, settle, submit, submit_and_show

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module

CONFIGURATION = """
project = "proj"
capture = ["more"]
[system_metrics]
enabled = false
[targets.there]
kind = "local"
"""


@pytest.fixture
def there(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with another target, on whose machine `runfolio` is installed."""
    project.write("runfolio.toml", CONFIGURATION)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return project


def asked(project: Project, **options: Any) -> LaunchRequest:
    options.setdefault("script", "script.py")
    return LaunchRequest(folder=str(project.root), target="there", **options)


def begun(project: Project, **options: Any) -> tuple[str, str]:
    """Submit a run, and return its id and its job."""
    run_id, target, handle, history = submit(asked(project, **options), Story())
    history.close()
    target.close()
    return run_id, handle


def test_a_run_executes_elsewhere_as_it_would_here(there: Project) -> None:
    there.write(
        "src/script.py",
        """
        import os, sys, runfolio as rf
        sys.path.insert(0, ".")
        import beside
        os.makedirs("more", exist_ok=True)
        open("more/file.txt", "w").write("captured, as the project's own configuration says")
        open("outputs/file.txt", "w").write(beside.TEXT)
        open("elsewhere.txt", "w").write("left behind")
        rf.get_logger().log("loss", 0.5)
        print("arguments", sys.argv[1:])
        raise SystemExit(3)
        """,
    )
    there.write("beside.py", "TEXT = 'from the source'")
    words = ["--name", "far", "--tag", "one", "--target", "there", "src/script.py", "two words", "$HOME"]
    done = there.runfolio("run", *words)
    assert 3 == done.returncode, done.stderr
    assert "arguments ['two words', '$HOME']" in done.stdout
    assert "elsewhere.txt" in done.stdout, "the job prints what a launch prints"
    run = there.last()
    record = run.record
    assert ("Failed", "there", "far", ("one",)) == (record.status, record.target, record.name, record.tags)
    assert ("src/script.py", ("two words", "$HOME")) == (record.script_name, record.arguments)
    assert ["elsewhere.txt"] == list(run.ending.left_behind if run.ending else ())
    assert 0.5 == record.metrics["loss"].value
    assert b"from the source" == run.artifacts["outputs/file.txt"].read_bytes()
    assert b"captured" in run.artifacts["outputs/more/file.txt"].read_bytes()
    assert b"arguments" in run.artifacts["logs/driver_log.txt"].read_bytes()
    assert record.commit_id
    found = job_of(run)
    assert found is not None
    assert JobStatus.FAILED == LocalTarget().status(found[1])


def test_a_detached_run_is_queued_until_its_job_begins(there: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    there.write("script.py", "print('hello')")
    monkeypatch.setattr(LocalTarget, "submit", lambda self, job: "a handle")
    assert 0 == submit_and_show(asked(there), detach=True)
    run = there.last()
    assert ("Queued", None, None) == (run.status, run.record.end_time_utc, run.record.duration_seconds)
    assert ["Queued"] == [one.status for one in there.history().runs()]
    assert ("there", "a handle") == job_of(run)
    (there.root / "script.py").write_text("changed: the job has the source of then")
    place = {"url": (there.root / ".runfolio" / "store").as_uri(), "options": {}, "single_writer": False}
    assert 0 == go_on(run.id, place, {})
    assert "Completed" == there.last().status
    assert b"hello\n" == there.last().artifacts["logs/driver_log.txt"].read_bytes()
    assert there.last().packages
    assert there.last().record.duration_seconds is not None


def test_a_module_and_what_is_ignored(there: Project) -> None:
    """What the project ignores is not in the source, so it is not there."""
    there.write("package/__main__.py", "import os; print('module', os.path.exists('data'))")
    there.write(".gitignore", "data/\n")
    there.write("data/large.bin", "")
    done = there.runfolio("run", "--target", "there", "-m", "package")
    assert 0 == done.returncode, done.stderr
    assert "module False" in done.stdout


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"in_place": True}, "in-place"),
        ({"snapshot": "off"}, "snapshot.mode"),
        ({"store": "memory://x"}, "memory"),
        ({"arguments": ("--api-key", "hunter2")}, "secret"),
        ({"script": "data/ignored.py"}, "ignore"),
        ({"script": "absent.py"}, "absent.py"),
    ],
    ids=["in place", "no snapshot", "memory", "secret argument", "ignored", "absent"],
)
def test_what_could_only_fail_there_is_refused_here(there: Project, options: dict[str, Any], named: str) -> None:
    there.write("script.py", "")
    there.write(".gitignore", "data/\n")
    there.write("data/ignored.py", "")
    with pytest.raises(ConfigurationError, match=named) as caught:
        begun(there, **options)
    assert "hunter2" not in str(caught.value)
    assert not (there.root / ".runfolio" / "store" / "runs").exists(), "no run was begun"


def test_offline_there_is_no_way_for_the_source(there: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    there.write("script.py", "")
    monkeypatch.setenv("RUNFOLIO_MODE", "offline")
    with pytest.raises(ConfigurationError, match="mode"):
        begun(there)


def test_a_job_that_is_not_taken_is_a_failed_run(there: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: LocalTarget, job: object) -> str:
        raise TargetError("no room")

    there.write("script.py", "")
    monkeypatch.setattr(LocalTarget, "submit", refuse)
    with pytest.raises(TargetError, match="no room"):
        begun(there)
    run = there.last()
    assert ("Failed", None) == (run.status, job_of(run))
    assert run.ending is not None
    assert "no room" in str(run.ending.reason)


def test_a_job_that_cannot_begin_is_a_failed_run(there: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """`runfolio` is not installed where the job runs."""
    there.write("script.py", "")
    command = there.command("run", "--target", "there", "script.py")
    done = there.runfolio(*command[3:], env={**os.environ, "PATH": "/nowhere"})
    assert 1 == done.returncode
    assert "runfolio" in done.stdout, "what the job says is shown"
    run = there.last()
    assert "Failed" == run.status
    assert run.ending is not None
    assert "ended as Failed" in str(run.ending.reason)


def test_ctrl_c_cancels_the_run(there: Project, marker: Path, processes: Callable[..., subprocess.Popen[str]]) -> None:
    there.write(
        "script.py",
        f"""
        import time
        open({str(marker)!r}, "w").write("begun")
        while True: time.sleep(0.05)
        """,
    )
    following = processes(there.command("run", "--target", "there", "script.py"))
    with marker.open() as told:
        assert "begun" == told.read()
    following.send_signal(signal.SIGINT)
    out, err = following.communicate(timeout=120)
    assert 0 != following.returncode
    assert "canceled" in err
    assert "Execution Details" in out
    assert "Canceled" == there.last().status


def test_a_detached_run_can_be_canceled(there: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    there.write("script.py", "")
    told: list[str] = []
    monkeypatch.setattr(LocalTarget, "submit", lambda self, job: "a handle")
    monkeypatch.setattr(LocalTarget, "cancel", lambda self, handle: told.append(handle))
    monkeypatch.setattr(LocalTarget, "status", lambda self, handle: JobStatus.CANCELED if told else JobStatus.QUEUED)
    run_id, handle = begun(there)
    with there.history() as history:
        history.run(run_id).cancel()
        assert [handle] == told
        assert "Canceled" == history.run(run_id).status
        with pytest.raises(RunStateError, match="ended already"):
            history.run(run_id).cancel()
        with history.start_run() as here, pytest.raises(RunStateError, match="cannot be reached"):
            history.run(here.id).cancel()


def test_a_run_that_was_canceled_meanwhile_does_not_begin(there: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    there.write("script.py", "print('must not run')")
    monkeypatch.setattr(LocalTarget, "submit", lambda self, job: "a handle")
    run_id, handle = begun(there)
    with there.history() as history:
        assert 1 == settle(history, run_id, JobStatus.CANCELED, handle)
        assert 1 == settle(history, run_id, JobStatus.CANCELED, handle), "asked twice"
    assert "Canceled" == there.last().status
    place = {"url": str(there.root / ".runfolio" / "store"), "options": {}, "single_writer": False}
    with pytest.raises(RunfolioError, match="Canceled"):
        go_on(run_id, place, {})
    # Slurm starts a job again whose node was lost, whatever it had come to.
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert 0 == go_on(run_id, place, {})
    assert "Completed" == there.last().status


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_on_the_way(there: Project, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """Killed before the job was handed over, or right after it: the run is Failed, until a job goes on with it."""
    there.write("script.py", "print('hello')")
    killer = there.write(
        "../killed.py",
        f"""
        import os, signal, sys
        from runfolio_plugins.launch.local_target import LocalTarget
        from runfolio_plugins.cli.program import run_program

        submit = LocalTarget.submit
        def submit_and_die(self, job):
            if {when!r} == "after":
                job = __import__("dataclasses").replace(job, command=("true",))
                submit(self, job)
            os.kill(os.getpid(), signal.SIGKILL)
        LocalTarget.submit = submit_and_die
        run_program()
        """,
    )
    done = subprocess.run(
        [sys.executable, str(killer), "run", "--detach", "--target", "there", "script.py"], check=False
    )
    assert -signal.SIGKILL == done.returncode
    assert 0 == there.runfolio("sync").returncode
    run = there.last()
    assert ("Failed", "killed") == (run.status, run.ending.reason if run.ending else None)
    place = {"url": (there.root / ".runfolio" / "store").as_uri(), "options": {}, "single_writer": False}
    assert 0 == go_on(run.id, place, {})
    assert "Completed" == there.last().status


def test_a_store_that_is_not_there_is_not_made(there: Project) -> None:
    elsewhere = there.root / "mistyped"
    with pytest.raises(RunfolioError):
        go_on("proj_1795495883315-05djq", {"url": str(elsewhere), "options": {}, "single_writer": False}, {})
    assert not elsewhere.exists()


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ("[targets.there]\nkind = 'local'\nspeed = 3", "speed"),
        ("[targets.there]\nkind = 'nowhere'", "nowhere"),
        ("[targets.there]\nkind = 3", "kind"),
        ("[targets]\nthere = 3", "targets.there"),
        ("targets = 3", "targets"),
        ("[targets.there]\nkind = 'local'\ntoken = 'abcdefgh'", "token"),
    ],
)
def test_a_wrong_target_is_named(project: Project, table: str, named: str) -> None:
    from runfolio.config import resolve

    project.write("runfolio.toml", table)
    with pytest.raises(ConfigurationError, match=named):
        open_target("there", resolve())


def test_a_target_of_the_project_must_be_trusted(project: Project) -> None:
    """Whoever wrote the project's file would get this user's token, and source."""
    from runfolio.config import approve, resolve

    project.write("runfolio.toml", "[targets.far]\nkind = 'slurm'\naddress = 'http://elsewhere:8265'")
    with pytest.raises(UntrustedStoreError, match="runfolio trust http://elsewhere:8265"):
        open_target("far", resolve())
    approve("http://elsewhere:8265")
    with pytest.raises(ConfigurationError, match="address"):
        open_target("far", resolve())  # trusted, and no option of that target
    done = project.runfolio("config")
    assert "targets.far.address" in done.stdout
