"""Tracked runs as jobs of real clusters of one node, with the store in S3."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runfolio as rf
from runfolio.config import resolve
from runfolio.target import JobStatus
from runfolio_plugins.launch.known_targets import open_target
from runfolio_plugins.launch.submitting import job_of

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module
    from ray_cluster import RayCluster
    from slurm_cluster import SlurmCluster
    from store_access import TestStore

LIMIT = 120.0
SCRIPT = """
import os, sys, runfolio as rf
run = rf.get_logger()
for step in range(5):
    run.log("loss", 1 / (step + 1), step=step)
open("outputs/model.txt", "w").write(open("weights.txt").read())
print("learned with", sys.argv[1:], "where there is", os.environ.get("PLANTED"))
"""


def table(name: str, options: Mapping[str, Any]) -> str:
    """A table of TOML."""
    return f"[targets.{name}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in options.items())


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


@pytest.fixture
def node(project: Project, own_surroundings: Path) -> dict[str, str]:
    """Variables of jobs: `runfolio` is installed on the node, whose state is its own."""
    project.write("script.py", SCRIPT)
    project.write("weights.txt", "the weights")
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RUNFOLIO_STATE_DIR": str(own_surroundings / "node"),
    }


def configure(project: Project, text: str) -> None:
    project.write("runfolio.toml", f'project = "proj"\n[system_metrics]\nenabled = false\n{text}')


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline, f"nothing came of it within {LIMIT} s"
        time.sleep(0.05)


def in_s3(store: TestStore, node: dict[str, str], home: Path) -> dict[str, str]:
    """Give the node its own credentials, where the cloud's tools keep them. They get there in no other way."""
    secret = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    credentials = home / ".aws" / "credentials"
    credentials.parent.mkdir(parents=True)
    lines = [f"{name.lower()} = {store.environment[name]}" for name in secret if name in store.environment]
    credentials.write_text("\n".join(["[default]", *lines]) + "\n")
    plain = {name: store.environment[name] for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION")
             if name in store.environment}  # fmt: skip
    return {**node, **plain, "HOME": str(home)}


def check_the_run(project: Project, store: TestStore, target: str, shown: str) -> None:
    """It was executed from its source in the store, and wrote there."""
    with rf.open_history(store.url, project="proj") as history:
        run = history.last(any_user=True)
        record = run.record
        assert ("Completed", target, 1) == (record.status, record.target, record.run_number)
        assert b"the weights" == run.artifacts["outputs/model.txt"].read_bytes()
        assert [0, 1, 2, 3, 4] == run.metric("loss").to_arrow()["step"].to_pylist()
        log = run.artifacts["logs/driver_log.txt"].read_bytes().decode()
    said = "learned with ['--rate', '0.1', \"it's $HOME\"] where there is None"
    assert said in log
    assert said in shown


@pytest.mark.usefixtures("slurm")
def test_slurm_with_the_store_in_s3(
    project: Project, node: dict[str, str], s3_store: TestStore, own_surroundings: Path
) -> None:
    """The job takes its credentials from its node: neither those of who submits nor other variables reach it."""
    variables = in_s3(s3_store, node, own_surroundings / "home")
    options = {"partition": "tests", "cpus": 2, "memory": "500 MB", "time": "10 min", "environment": variables}
    configure(project, table("slurm", {**options, "setup": ["umask 077"], "sbatch": ["--comment=it's"]}))
    done = project.runfolio(
        *("run", "--store", s3_store.url, "--target", "slurm", "script.py", "--rate", "0.1", "it's $HOME"),
        env={**os.environ, "PLANTED": "of the one who submits"},
    )
    assert 0 == done.returncode, done.stderr + done.stdout
    check_the_run(project, s3_store, "slurm", done.stdout)
    assert not list((own_surroundings / "node" / "working").iterdir()), "the node keeps nothing"


def test_ray_with_the_store_in_s3(
    project: Project, node: dict[str, str], s3_store: TestStore, own_surroundings: Path, ray: RayCluster
) -> None:
    """Likewise. The token opens the cluster, and is nowhere in the store, nor in what the cluster shows of the job."""
    variables = in_s3(s3_store, node, own_surroundings / "home")
    configure(project, table("ray", {"address": ray.address, "cpus": 1, "environment": variables}))
    words = ("run", "--store", s3_store.url, "--target", "ray", "script.py", "--rate", "0.1", "it's $HOME")
    refused = project.runfolio(*words)
    assert "runfolio trust" in refused.stderr, "the project's own file says who gets the token"
    assert 0 == project.runfolio("trust", ray.address).returncode
    done = project.runfolio(*words, env={**os.environ, "PLANTED": "of the one who submits"})
    assert 0 == done.returncode, done.stderr + done.stdout
    check_the_run(project, s3_store, "ray", done.stdout)
    with rf.open_history(s3_store.url, project="proj") as history:
        told = json.dumps(history.last(any_user=True).to_dict(), default=str)
    shown = ray.describe("/api/jobs/")
    for secret in (ray.token, s3_store.environment["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in told + shown + done.stdout + done.stderr


def test_ray_cancels_a_run(
    project: Project, node: dict[str, str], processes: Callable[..., subprocess.Popen[str]], ray: RayCluster
) -> None:
    """The script has time to end, and the launcher to store what there is: more than Ray's own three seconds."""
    gate = project.root.parent / "gate"
    os.mkfifo(gate)
    project.write(
        "script.py",
        f"""
        import time
        open("outputs/file.txt", "w").write("stored all the same")
        open({str(gate)!r}, "w").write("begun")
        while True: time.sleep(0.05)
        """,
    )
    configure(project, "")
    options = table("ray", {"address": ray.address, "environment": node})
    user = Path(os.environ["XDG_CONFIG_HOME"], "runfolio", "config.toml")
    user.parent.mkdir(parents=True, exist_ok=True)
    user.write_text(options)
    following = processes(project.command("run", "--target", "ray", "script.py"))
    with gate.open() as told:
        assert "begun" == told.read()
    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=LIMIT)
    assert 0 != following.returncode
    assert "canceled" in err
    run = project.last()
    assert "Canceled" == run.status
    assert b"stored all the same" == run.artifacts["outputs/file.txt"].read_bytes()


def test_ray_refuses_a_wrong_token(project: Project, ray: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("script.py", "")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    done = project.runfolio("run", "--target", "ray", "script.py")
    assert 0 != done.returncode
    assert "RAY_AUTH_TOKEN" in done.stderr
    assert ("Failed", "ray") == (project.last().status, project.last().record.target)


def test_slurm_starts_a_job_again(project: Project, node: dict[str, str], slurm: SlurmCluster) -> None:
    """A job that Slurm puts back into the queue goes on with the same run, as another attempt."""
    gate = project.root.parent / "gate"
    os.mkfifo(gate)
    project.write(
        "script.py",
        f"""
        import os, time
        if os.environ.get("SLURM_RESTART_COUNT") is None:
            open({str(gate)!r}, "w").write("begun")
            while True: time.sleep(0.05)
        print("the second time")
        """,
    )
    configure(project, table("slurm", {"environment": node, "sbatch": ["--requeue"]}))
    done = project.runfolio("run", "--detach", "--target", "slurm", "script.py")
    assert 0 == done.returncode, done.stderr
    with gate.open() as told:
        assert "begun" == told.read()
    run = project.last()
    assert "Running" == run.status
    job = job_of(run)
    assert job is not None
    slurm.call("scontrol", "requeue", job[1].split("/")[0])
    with open_target("slurm", resolve()) as target:
        until(lambda: target.status(job[1]).final)
        assert JobStatus.COMPLETED == target.status(job[1])
        assert b"the second time" in target.logs(job[1])
    record = project.last().record
    assert ("Completed", run.id) == (record.status, record.run_id)
    attempts = {path.name for path in (project.root / ".runfolio" / "store").rglob("attempt-*.json")}
    assert {"attempt-2.json", "attempt-3.json"} == attempts
    found = json.loads(next((project.root / ".runfolio" / "store").rglob("attempt-3.json")).read_text())
    assert "started again by Slurm" in found["reason"]


@pytest.mark.usefixtures("slurm")
def test_slurm_cancels_what_waits(
    project: Project, node: dict[str, str], processes: Callable[..., subprocess.Popen[str]]
) -> None:
    """Ctrl-C before the job has begun: the job goes, and the run is Canceled, which no job could write down."""
    configure(project, table("slurm", {"environment": node, "sbatch": ["--hold"]}))
    following = processes(project.command("run", "--target", "slurm", "script.py"))
    said = following.stderr
    assert said is not None
    until(lambda: "Job: " in said.readline())
    run = project.last()
    assert "Queued" == run.status
    following.send_signal(signal.SIGINT)
    _, err = following.communicate(timeout=LIMIT)
    assert 1 == following.returncode
    assert "canceled" in err
    assert "Canceled" == project.last().status
    job = job_of(run)
    assert job is not None
    with open_target("slurm", resolve()) as target:
        assert JobStatus.CANCELED == target.status(job[1])
