"""The source of tracked runs: stored with each run, restored, run again, exported."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

import runfolio as rf
from runfolio import hookimpl
from runfolio.errors import ConfigurationError, NotFoundError, PluginError
from runfolio.plugins import Plugins

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.launch.conftest import Project

pytestmark = pytest.mark.local_only(
    "tracked runs: processes, files and signals of this machine (tests/plugins/launch/test_stores.py: each store)"
)

PLAIN = "import sys\nprint('arguments', sys.argv[1:])\n"


def objects(project: Project) -> list[Path]:
    return sorted((project.root / ".runfolio" / "store" / "objects").glob("*.pack"))


def test_a_run_has_its_source(project: Project, tmp_path: Path) -> None:
    project.write("pkg/m.py", "x = 1\n")
    project.write(".env", "TOKEN=topsecret\n")
    done = project.launch(PLAIN)
    record = done.run.to_dict()
    commit = record["properties"]["CommitId"]
    assert len(commit) == 40
    assert record["properties"]["SnapshotLeftOut"] == [".env: files of this name hold secrets"]
    report = done.run.restore(tmp_path / "then")
    assert sorted(report.added) == ["pkg/m.py", "runfolio.toml", "script.py"]
    assert (tmp_path / "then" / "script.py").read_text() == PLAIN
    subprocess.run(["git", "init", "-q", str(tmp_path / "then")], check=True)
    tree = subprocess.run(
        "git add -A && git write-tree", shell=True, cwd=tmp_path / "then", capture_output=True, text=True, check=True
    ).stdout.strip()
    shown = subprocess.run(
        ["git", "verify-pack", "-v", str(objects(project)[0])], capture_output=True, text=True, check=True
    ).stdout
    assert f"{tree} tree" in shown
    assert f"{commit} commit" in shown
    for path in (project.root / ".runfolio" / "store").rglob("*"):
        assert path.is_dir() or b"topsecret" not in path.read_bytes()


def test_unchanged_source_is_not_stored_again(project: Project) -> None:
    first = project.launch(PLAIN)
    before = objects(project)
    second = project.launch("script.py")
    assert objects(project) == before
    assert first.run.record.commit_id == second.run.record.commit_id
    project.write("script.py", PLAIN.replace("arguments", "others"))
    third = project.launch("script.py")
    assert third.run.record.commit_id != first.run.record.commit_id
    assert len(objects(project)) == 2


@pytest.mark.parametrize("mode", ["off", "git", "full"])
def test_what_is_stored_can_be_chosen(project: Project, mode: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "."], cwd=project.root, check=True)
    project.write("tracked.py", "x\n")
    subprocess.run(["git", "add", "tracked.py"], cwd=project.root, check=True)
    done = project.launch(PLAIN, snapshot=mode)
    if mode == "off":
        assert done.run.record.commit_id is None
        with pytest.raises(NotFoundError):
            done.run.restore(tmp_path / "then")
    else:
        added = done.run.restore(tmp_path / "then", dry_run=True).added
        assert added == (["tracked.py"] if mode == "git" else ["runfolio.toml", "script.py", "tracked.py"])


def test_a_project_that_is_too_large_is_refused_before_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("script.py", PLAIN)
    project.write("data.csv", "1\n" * 1000)
    monkeypatch.setenv("RUNFOLIO_SNAPSHOT_LIMIT", "1000")
    with pytest.raises(ConfigurationError, match=r"data\.csv"):
        project.launch("script.py")
    assert not (project.root / ".runfolio" / "store").exists()


def test_large_files_are_told(project: Project) -> None:
    with project.write("huge.bin", "").open("wb") as file:
        file.truncate(11_000_000)
    done = project.launch(PLAIN)
    assert "huge.bin" in done.err
    assert done.run.properties["SnapshotLeftOut"] == ["huge.bin: 11,000,000 bytes, and Git does not track it"]


def test_an_offline_run_sends_its_source_later(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNFOLIO_MODE", "offline")
    project.write("script.py", PLAIN)
    assert project.runfolio("run", "script.py").returncode == 0
    project.write("script.py", "edited since\n")
    monkeypatch.delenv("RUNFOLIO_MODE")
    assert project.history().sync().ok
    project.last().restore(tmp_path / "then")
    assert (tmp_path / "then" / "script.py").read_text() == PLAIN


def test_a_launcher_killed_on_the_way_sends_the_source_later(
    project: Project, tmp_path: Path, processes: object, marker: Path
) -> None:
    project.write("script.py", f"open({str(marker)!r}, 'w').write('here')\nimport time\ntime.sleep(100)\n")
    process = subprocess.Popen(
        project.command("run", "script.py"), cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert marker.read_text() == "here"
    finally:
        process.kill()
        process.wait()
    os.chdir(project.root)
    assert project.history().sync().ok
    run = project.last()
    assert run.status == "Failed"
    assert run.restore(tmp_path / "then").done


def test_run_again(project: Project) -> None:
    project.write(".gitignore", "data.txt\n")
    project.write("data.txt", "of today\n")
    first = project.launch("import sys\nprint('then', sys.argv[1:], open('data.txt').read())\n", "--lr", "1")
    project.write("script.py", "print('now')\n")
    again = project.runfolio("rerun", first.run.id)
    assert "then ['--lr', '1'] of today" in again.stdout
    other = project.runfolio("rerun", first.run.id[-5:], "--", "--lr", "2")
    assert "then ['--lr', '2']" in other.stdout
    record = project.last().record
    assert record.commit_id == first.run.record.commit_id
    assert record.properties["RerunOf"] == first.run.id
    assert len(objects(project)) == 1
    assert "now" in project.launch("script.py").out


def test_run_again_from_python(project: Project) -> None:
    first = project.launch(PLAIN, "1")
    new = first.run.rerun(["2"])
    assert new.id != first.run.id
    assert new.arguments == ["2"]
    assert new.status == "Completed"


def test_a_plugin_may_run_it_elsewhere(project: Project) -> None:
    """The hook `runfolio_rerun`: the first answer counts; without an answer there is an error that says so."""
    first = project.launch(PLAIN, "1")
    asked: list[object] = []

    class Elsewhere:
        @hookimpl(tryfirst=True)
        def runfolio_rerun(self, run: rf.Run, arguments: list[str] | None) -> str:
            asked.append((run.id, arguments))
            return run.id

    history = project.history()
    history.plugins.register(Elsewhere(), "elsewhere")
    assert history.run(first.run.id).rerun(["2"]).id == first.run.id
    assert asked == [(first.run.id, ["2"])]
    with pytest.raises(PluginError, match="launch"):
        rf.open_history(history.url, plugins=Plugins(disabled=["launch"])).run(first.run.id).rerun()


def test_a_run_with_a_hidden_argument_is_not_run_again_by_itself(project: Project) -> None:
    first = project.launch(PLAIN, "--api-key", "hush")
    with pytest.raises(ConfigurationError, match="secret"):
        first.run.rerun()
    assert first.run.rerun(["--api-key", "other"]).status == "Completed"


def test_the_history_of_sources_is_a_git_repository(project: Project, tmp_path: Path) -> None:
    first = project.launch(PLAIN)
    project.launch("script.py")
    project.write("script.py", PLAIN + "print(2)\n")
    last = project.launch("script.py")
    done = project.runfolio("export-git", last.run.id, str(tmp_path / "git"))
    assert done.returncode == 0, done.stderr

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=tmp_path / "git", capture_output=True, text=True, check=True
        ).stdout.strip()

    assert git("fsck", "--full", "--strict") == ""
    assert git("log", "--format=%s", "main").splitlines() == ["script.py #3", "script.py #1"]
    assert git("rev-parse", f"refs/runfolio/{first.run.id}") == first.run.record.commit_id
    git("checkout", "-q", "main")
    assert (tmp_path / "git" / "script.py").read_text() == PLAIN + "print(2)\n"
    assert git("status", "--porcelain") == ""
    assert "print(2)" in git("diff", "main~1", "main")


def test_restore_asks_shows_and_undoes(project: Project) -> None:
    project.launch(PLAIN)
    project.write("script.py", "print('now')\n")
    refused = project.runfolio("restore", "@last", stdin=subprocess.DEVNULL)
    assert refused.returncode == 2
    assert "overwritten script.py" in refused.stdout
    done = project.runfolio("restore", "@last", "--yes")
    assert done.returncode == 0
    assert (project.root / "script.py").read_text() == PLAIN
    assert project.runfolio("restore", "--undo", "--yes").returncode == 0
    assert (project.root / "script.py").read_text() == "print('now')\n"
    assert "Nothing to change" in project.runfolio("restore", "@last", "--path", "runfolio.toml").stdout


def test_restore_names_the_author(project: Project) -> None:
    project.launch(PLAIN)
    shown = project.runfolio("restore", "#1", "--dry-run", env={**os.environ, "RUNFOLIO_USER": "somebody-else"})
    assert "is not yours" in shown.stderr


def test_restore_shows_the_environment(project: Project) -> None:
    project.launch(PLAIN)
    shown = project.runfolio("restore", "@last", "--environment")
    assert "runfolio==" in shown.stdout
    assert "same packages" in shown.stderr
    project.runfolio("restore", "@last", "--environment", "--to", "env")
    assert (project.root / "env" / "requirements.txt").read_text().splitlines() == shown.stdout.splitlines()
