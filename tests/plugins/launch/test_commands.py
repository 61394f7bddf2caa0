"""The commands beside `run`: init, metric, capture, clean."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runfolio.config import resolve
from runfolio.errors import AlreadyExistsError, ConfigurationError, RunNotFoundError
from runfolio_plugins.launch import capture_now
from runfolio_plugins.launch.cleaning import clean_up
from runfolio_plugins.launch.project_template import make_project
from runfolio_plugins.launch.shell_metric import log_from_shell, parse_value
from runfolio_plugins.launch.workspace import KEPT_FOLDERS, Kept, RunFolder, due

if TYPE_CHECKING:
    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module

pytestmark = pytest.mark.local_only(
    "tracked runs: processes, files and signals of this machine (tests/plugins/launch/test_stores.py: each store)"
)

TOOL = f"{sys.executable} -m runfolio_plugins.cli"


def test_init_makes_a_project_that_runs(own_surroundings: Path, project: Project) -> None:
    done = project.runfolio("init", "my project", cwd=own_surroundings)
    assert 0 == done.returncode, done.stderr
    root = own_surroundings / "my project"
    assert "cd my project" in done.stdout
    assert {"runfolio.toml", "train.py", ".gitignore", ".runfolioignore", "README.md"} == {
        path.name for path in root.iterdir()
    }
    assert {"project": "my project"} == tomllib.loads((root / "runfolio.toml").read_text())
    ran = project.runfolio("run", "--no-system-metrics", "train.py", "--learning-rate", "0.5", cwd=root)
    assert 0 == ran.returncode, ran.stderr
    record = json.loads(project.runfolio("last", cwd=root).stdout)
    assert record["accuracy"] > 0.8
    assert {"learning_rate": 0.5, "seed": 0, "steps": 50} == record["params"]
    assert "outputs/loss.svg, outputs/model.json" in record["attachments"]


def test_each_setting_in_the_new_configuration_is_one(tmp_path: Path) -> None:
    list(make_project(tmp_path, "p"))
    path = tmp_path / "p" / "runfolio.toml"
    lines = [
        line.removeprefix("# ") if " = " in line or line.startswith("# [") else line
        for line in path.read_text().split("\n")
    ]
    path.write_text("\n".join(lines))
    settings = resolve(start=tmp_path / "p")
    assert ("p", ("checkpoints",), "s3://bucket/prefix") == (settings.project, settings.capture, settings.store)


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("mine")
    lines = list(make_project(tmp_path, None))
    assert "kept     train.py (it was there)" in lines
    assert "mine" == (tmp_path / "train.py").read_text()
    before = (tmp_path / "runfolio.toml").read_text()
    with pytest.raises(AlreadyExistsError):
        list(make_project(tmp_path, None))
    assert before == (tmp_path / "runfolio.toml").read_text()


def test_init_with_a_store_tries_and_makes_it(tmp_path: Path) -> None:
    lines = list(make_project(tmp_path, "p", store=str(tmp_path / "team")))
    assert "the store can be used" in lines
    assert (tmp_path / "team" / "runfolio.json").exists()
    assert [path.name for path in (tmp_path / "team").iterdir()] == ["runfolio.json"]


def test_init_with_a_store_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lines = "\n".join(make_project(tmp_path, "p", store=str(tmp_path / "file" / "team")))
    assert "the store cannot be used yet: write, then read" in lines
    assert "runfolio store check" in lines
    assert (tmp_path / "p" / "train.py").exists()


def test_init_with_a_store_needs_no_second_approval(tmp_path: Path) -> None:
    list(make_project(tmp_path, "p", store="unheard-of://bucket/history"))
    settings = resolve(start=tmp_path / "p")
    from runfolio.config import require_trust, store_address

    assert "unheard-of://bucket/history" == settings.store
    require_trust(store_address(settings))
    with pytest.raises(ConfigurationError):
        list(make_project(tmp_path, "q", store="nonsense://"))
    assert not (tmp_path / "q").exists()


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("7", 7), ("-3", -3), ("+5", 5), ("12345678901234567890123", 12345678901234567890123), ("0.5", 0.5),
        ("-1e-3", -1e-3), ("inf", math.inf), ("-Infinity", -math.inf), ("true", True), ("False", False), (".5", 0.5),
        ("1_000", "1_000"), ("0x10", "0x10"), ("", ""), ("hello", "hello"), ("1.2.3", "1.2.3"),
    ],
)  # fmt: skip
def test_words_of_a_shell(word: str, value: object) -> None:
    found = parse_value(word)
    assert (type(value), value) == (type(found), found)
    assert math.isnan(parse_value("nan"))  # type: ignore[arg-type]  # a float


def test_metrics_of_a_shell_script_go_on_in_steps(project: Project) -> None:
    project.write(
        "script.sh",
        f"""
        set -e
        {TOOL} metric loss 0.5
        {TOOL} metric loss -0.25
        {TOOL} metric loss 1e-3 --step 10
        {TOOL} metric 'note ' --text 007
        {TOOL} metric '' 1 && exit 9 || true
        """,
    )
    done = project.launch("script.sh")
    assert 0 == done.code, done.err
    loss = done.run.metric("loss")
    assert ([0, 1, 10], [0.5, -0.25, 1e-3]) == (list(loss.steps()), list(loss.values()))
    assert ["007"] == list(done.run.metric("note ").values())


def test_metrics_without_a_launcher_are_written_directly(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with project.history() as history, history.start_run(system_metrics=False) as run:
        for name, value in run.child_environment().items():
            monkeypatch.setenv(name, value)
        log_from_shell("x", 3, None)
    assert [3] == list(project.last().metric("x").values())
    monkeypatch.delenv("RUNFOLIO_RUN_ID")
    with pytest.raises(ConfigurationError):
        log_from_shell("x", 3, None)


def test_outputs_can_be_captured_during_a_run(project: Project) -> None:
    done = project.launch(
        f"""
        import os, subprocess, sys
        import runfolio as rf
        from runfolio_plugins.launch import capture_now
        def stored():
            run = rf.open_history().run(os.environ["RUNFOLIO_RUN_ID"])
            return {{one.path: run.artifacts[one.path].read_bytes() for one in run.artifacts.list() if
            one.path.startswith("outputs")}}
        open("outputs/a.txt", "w").write("1")
        print(capture_now(), stored())
        open("outputs/a.txt", "w").write("22")
        open("outputs/b.txt", "w").write("3")
        print(subprocess.run({TOOL.split()!r} + ["capture"], capture_output=True, text=True).stdout.strip(), stored())
        open("outputs/b.txt", "w").write("444")
        """
    )
    assert [
        "True {'outputs/a.txt': b'1'}",
        "2 files stored {'outputs/a.txt': b'22', 'outputs/b.txt': b'3'}",
    ] == done.text("logs/driver_log.txt").splitlines()
    assert ("22", "444") == (done.text("outputs/a.txt"), done.text("outputs/b.txt"))


def test_outside_of_a_run_there_is_nothing_to_capture(project: Project) -> None:
    assert capture_now() is False
    done = project.runfolio("capture")
    assert 1 == done.returncode
    assert "runfolio run" in done.stderr


def kept_folder(project: Project, name: str, days: float) -> RunFolder:
    """Make the folder of a run that ended so many days ago."""
    project.working.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(project.working / name)
    folder.make()
    (folder.path / "copy").mkdir()
    (folder.path / "copy" / "left.txt").write_text("x")
    folder.keep(Kept(f"proj_{name}", "root", time.time() - days * 86400, 1, unsent=False))
    return folder


def test_kept_folders_go_after_a_week_or_when_there_are_too_many(project: Project) -> None:
    settings = resolve()
    kept_folder(project, "old", 7.1)
    for count in range(KEPT_FOLDERS + 2):
        kept_folder(project, f"new{count:02}", count / 10)
    in_use = RunFolder(project.working / "in-use")
    in_use.make()
    # The lock is this process's own; another one sees it held.
    found = {folder.path.name for folder in due(settings) if folder.path.name != "in-use"}
    assert {"old", f"new{KEPT_FOLDERS}", f"new{KEPT_FOLDERS + 1}"} == found
    done = project.launch("print(1)\n")
    assert 0 == done.code
    assert {f"new{count:02}" for count in range(KEPT_FOLDERS)} | {"in-use"} == {path.name for path in project.kept()}
    in_use.release()


def test_clean(project: Project) -> None:
    for name in ("aaaaa", "bbbbb", "ccccc"):
        kept_folder(project, name, 1)
    locked = project.working / "ccccc" / "copy"
    locked.chmod(0o500)
    spool = project.state / "runfolio" / "spool" / "bbbbb.main.0123456789abcdef"
    spool.mkdir(parents=True)
    assert ["0 folders, 0 bytes"] == list(clean_up((), everything=False, dry_run=False, force=False))
    assert "would remove" in next(clean_up(("aaaaa",), everything=False, dry_run=True, force=False))
    assert 3 == len(project.kept())
    with pytest.raises(RunNotFoundError):
        list(clean_up(("zzzzz",), everything=False, dry_run=False, force=False))
    lines = list(clean_up((), everything=True, dry_run=False, force=False))
    assert ["bbbbb"] == [path.name for path in project.kept()], lines
    assert any("not in the store yet" in line for line in lines)
    list(clean_up(("proj_bbbbb",), everything=False, dry_run=False, force=True))
    assert [] == project.kept()


def test_a_folder_in_use_is_left(project: Project) -> None:
    project.working.mkdir(parents=True)
    source = (
        "import sys; from pathlib import Path; from runfolio_plugins.launch.workspace import RunFolder\n"
        "folder = RunFolder(Path(sys.argv[1])); folder.make(); print('made', flush=True); sys.stdin.read()"
    )
    path = project.working / "abcde"
    with subprocess.Popen(
        [sys.executable, "-c", source, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        list(clean_up((), everything=True, dry_run=False, force=True))
        assert path.exists()
        process.communicate("")
    list(clean_up((), everything=True, dry_run=False, force=True))
    assert not path.exists()


def test_help_of_the_script_is_not_ours(project: Project) -> None:
    project.write("script.py", "import sys; print(sys.argv[1:])")
    done = project.runfolio("run", "--no-system-metrics", "script.py", "--help", "--", "-n", "--name")
    assert "['--help', '--', '-n', '--name']" in done.stdout
    assert "Examples" in project.runfolio("run", "--help").stdout


@pytest.mark.parametrize("name", ["init", "run", "metric", "capture", "clean"])
def test_each_command_has_help_with_examples(project: Project, name: str) -> None:
    shown = project.runfolio(name, "-h")
    assert 0 == shown.returncode
    assert f"runfolio {name}" in shown.stdout.split("Examples:")[1]
