"""What a real Slurm does not show: refusals, silence, nonsense. Its programs are small scripts on PATH."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runfolio.errors import ConfigurationError, NotFoundError, TargetError
from runfolio.plugins import Plugins
from runfolio.target import Job, JobStatus, Resources
from runfolio_plugins.clusters import slurm_programs
from runfolio_plugins.clusters.slurm_target import SlurmTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORDER = f"""#!{sys.executable}
import json, os, sys
told = {{"words": sys.argv[1:], "script": sys.stdin.buffer.read().decode("utf-8", "surrogateescape")}}
with open(os.environ["TOLD"], "a") as file: file.write(json.dumps(told) + "\\n")
"""


class Programs:
    """The programs of Slurm, as this test wants them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told = folder / "told"

    def make(self, name: str, *, prints: str = "", code: int = 0, says: str = "") -> None:
        """Have a program print and say something, and end with a code. What it is told is kept."""
        ending = f"print({prints!r}, end='')\nprint({says!r}, end='', file=sys.stderr)\nsys.exit({code})\n"
        self.write(name, RECORDER + ending)

    def write(self, name: str, text: str) -> None:
        path = self._folder / name
        path.write_text(text)
        path.chmod(0o755)

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._told.read_text().splitlines()] if self._told.exists() else []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("TOLD", str(folder / "told"))
    made = Programs(folder)
    made.make("sbatch", prints="42\n")
    return made


def job(*command: str, **options: Any) -> Job:
    return Job(command=command or ("true",), folder="", **options)


@pytest.fixture
def handle(programs: Programs) -> str:
    return SlurmTarget().submit(job())


def test_it_comes_through_the_hook() -> None:
    found = Plugins().registry("runfolio_register_targets")["slurm"]
    assert ("clusters", SlurmTarget) == (found.plugin, found.load())


def test_options_become_arguments_of_sbatch(programs: Programs, tmp_path: Path) -> None:
    target = SlurmTarget(
        partition="gpu",
        account="lab",
        qos="high",
        time="90 min",
        cpus=4,
        gpus=1,
        memory="16 GiB",
        sbatch=["--constraint=a100|h100", "--exclusive"],
        logs=str(tmp_path / "logs of 100%"),
    )
    handle = target.submit(job(name="a name\nwith $(two) lines"))
    ((told,),) = [programs.told()]
    assert handle.startswith("42/")
    log = f"{tmp_path}/logs of 100%%/{handle.split('/')[1]}.log"
    assert [
        *("--parsable", "--export=NONE", "--chdir=/", "--job-name=a name?with $(two) lines", f"--output={log}"),
        *("--open-mode=append", "--partition=gpu", "--account=lab", "--qos=high", "--time=90", "--cpus-per-task=4"),
        *("--gpus=1", "--mem=16777216K", "--constraint=a100|h100", "--exclusive"),
    ] == told["words"]


def test_what_a_job_needs_wins(programs: Programs) -> None:
    resources = Resources(cpus=1.5, gpus=2, memory=1 << 30, seconds=61, options={"partition": "large"})
    SlurmTarget(partition="small", cpus=8, time="1h").submit(job(resources=resources))
    words = programs.told()[0]["words"]
    assert {"--partition=large", "--cpus-per-task=2", "--gpus=2", "--mem=1048576K", "--time=2"} <= set(words)


def test_secrets_are_no_arguments(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody on the machine sees the arguments of a program. The script is handed over on stdin."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    SlurmTarget().submit(job("true", environment={"TOKEN": "hunter3"}))
    told = programs.told()[0]
    assert "hunter" not in json.dumps(told["words"])
    assert "hunter2" not in told["script"]
    assert "export TOKEN=hunter3" in told["script"]


def test_nothing_of_a_user_is_a_directive_or_a_command(programs: Programs) -> None:
    evil = "x'\n#SBATCH --uid=0\r\n$(touch pwned)`touch pwned`\";touch pwned"
    SlurmTarget(setup=["module load python"]).submit(job("echo", evil, environment={"NAME": evil}))
    script = programs.told()[0]["script"]
    first = script.splitlines()[1]
    assert not first.startswith("#"), "after a command, sbatch reads no directives"
    assert "\r" not in script, "sbatch refuses ends of lines of DOS"
    assert "module load python" in script.splitlines()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"partitoin": "x"}, "partitoin"),
        ({"partition": 3}, "partition"),
        ({"partition": "two\nlines"}, "partition"),
        ({"cpus": 0}, "cpus"),
        ({"cpus": "many"}, "cpus"),
        ({"memory": "lots"}, "memory"),
        ({"time": "soon"}, "time"),
        ({"sbatch": "--exclusive"}, "sbatch"),
        *(({"sbatch": [word]}, "sbatch") for word in ("--output=/etc/x", "--wrap=id", "--export=ALL", "--expor=ALL",
          "-p gpu", "--array=1-9", "script.sh", "--comment=two\nlines", "--uid=0", "--chdir=/x", "--parsable")),
        ({"environment": {"A B": "x"}}, "environment"),
        ({"environment": {"A": 3}}, "environment"),
        ({"environment": ["A=3"]}, "environment"),
        ({"setup": "module load python"}, "setup"),
        ({"setup": ["a\rb"]}, "setup"),
        ({"logs": ""}, "logs"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        SlurmTarget(**options)


@pytest.mark.parametrize(
    "wrong",
    [
        {"resources": Resources(options={"cpus": 3})},
        {"environment": {"A=B": "x"}},
        {"environment": {"A": "nul\0"}},
    ],
    ids=["option of a job", "variable", "nul"],
)
def test_a_job_that_can_never_run_is_refused(programs: Programs, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        SlurmTarget().submit(job(**wrong))
    with pytest.raises(ConfigurationError):
        SlurmTarget().submit(Job(command=("true",), folder="/no/such/folder"))
    assert not programs.told()


def test_what_sbatch_says_is_told(programs: Programs, own_surroundings: Path) -> None:
    programs.make("sbatch", code=1, says="sbatch: error: invalid partition specified: gpu\n")
    with pytest.raises(TargetError, match="invalid partition specified: gpu"):
        SlurmTarget().submit(job())
    assert not list((own_surroundings / "state").rglob("*.log")), "nothing is left of a job that was not taken"


@pytest.mark.parametrize("answer", ["", "Submitted batch job 42\n", "42;cluster\nmore", "-1\n"])
def test_an_answer_that_is_none(programs: Programs, answer: str) -> None:
    programs.make("sbatch", prints=answer)
    with pytest.raises(TargetError, match="no job id"):
        SlurmTarget().submit(job())


def test_an_answer_with_the_cluster(programs: Programs) -> None:
    programs.make("sbatch", prints="42;tests\n")
    assert SlurmTarget().submit(job()).startswith("42/")


def test_without_slurm(programs: Programs, handle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    target = SlurmTarget()
    for ask in (lambda: target.submit(job()), lambda: target.status(handle), lambda: target.cancel(handle)):
        with pytest.raises(TargetError, match="on PATH"):
            ask()


def test_a_program_that_hangs(programs: Programs, handle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    programs.write("squeue", f"#!{sys.executable}\nimport time\nwhile True: time.sleep(1)\n")
    monkeypatch.setattr(slurm_programs, "PATIENCE", 0.2)
    with pytest.raises(TargetError, match="no answer"):
        SlurmTarget().status(handle)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("PENDING", JobStatus.QUEUED),
        ("REQUEUED", JobStatus.QUEUED),
        ("CONFIGURING", JobStatus.RUNNING),
        ("RUNNING", JobStatus.RUNNING),
        ("SUSPENDED", JobStatus.RUNNING),
        ("COMPLETING", JobStatus.RUNNING),
        ("A_STATE_OF_TOMORROW", JobStatus.RUNNING),
        ("COMPLETED", JobStatus.COMPLETED),
        ("FAILED", JobStatus.FAILED),
        ("TIMEOUT", JobStatus.FAILED),
        ("OUT_OF_MEMORY", JobStatus.FAILED),
        ("CANCELLED", JobStatus.CANCELED),
        ("NODE_FAIL", JobStatus.LOST),
        ("PREEMPTED", JobStatus.LOST),
        ("BOOT_FAIL", JobStatus.LOST),
    ],
)
def test_states(programs: Programs, handle: str, state: str, status: JobStatus) -> None:
    programs.make("squeue", prints=f"{state}\n")
    assert status == SlurmTarget().status(handle)
    assert ["--noheader", "--states=all", "--jobs=42", "--format=%T"] == programs.told()[-1]["words"]


def test_a_job_that_the_controller_has_forgotten(programs: Programs, handle: str) -> None:
    """Then the accounting knows it, where there is one."""
    programs.make("squeue", code=1)
    programs.make("scontrol")
    programs.make("sacct", prints="CANCELLED by 1000\n")
    assert JobStatus.CANCELED == SlurmTarget().status(handle)
    programs.make("sacct", code=1)
    assert JobStatus.UNKNOWN == SlurmTarget().status(handle)
    programs.make("sacct")
    assert JobStatus.UNKNOWN == SlurmTarget().status(handle)
    SlurmTarget().cancel(handle)


def test_a_controller_that_is_down_is_no_answer(programs: Programs, handle: str) -> None:
    programs.make("squeue", code=1)
    programs.make("scontrol", code=1, says="DOWN")
    with pytest.raises(TargetError):
        SlurmTarget().status(handle)
    with pytest.raises(TargetError):
        SlurmTarget().cancel(handle)


def test_somebody_elses_job_is_not_canceled(programs: Programs, handle: str) -> None:
    programs.make("squeue", prints="RUNNING\n")
    programs.make("scancel", code=1)
    with pytest.raises(TargetError, match="another user"):
        SlurmTarget().cancel(handle)


def test_logs_that_cannot_be_read(handle: str, own_surroundings: Path) -> None:
    (log,) = (own_surroundings / "state").rglob("*.log")
    assert 0o600 == log.stat().st_mode & 0o777
    log.unlink()
    with pytest.raises(NotFoundError):
        SlurmTarget().logs(handle)
    log.mkdir()
    with pytest.raises(TargetError):
        SlurmTarget().logs(handle)


def test_a_folder_for_logs_that_cannot_be_made(programs: Programs) -> None:
    with pytest.raises(TargetError, match="logs"):
        SlurmTarget(logs=f"{os.devnull}/logs").submit(job())


@pytest.mark.parametrize("foreign", ["42/../../etc/passwd", "42", "x/0123456789abcdef", "42/0123456789abcdef"])
def test_handles_of_others(programs: Programs, foreign: Sequence[str]) -> None:
    assert JobStatus.UNKNOWN == SlurmTarget().status(str(foreign))
    assert not programs.told(), "nobody is asked"


def test_a_pickled_target_has_its_options(tmp_path: Path) -> None:
    target = SlurmTarget(partition="gpu", time="1h", logs=str(tmp_path))
    again = pickle.loads(pickle.dumps(target))
    assert target.__reduce__()[1] == again.__reduce__()[1]
