"""A restore gives the source back as it was, and an undo what was there before; nothing else is touched."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from runfolio import layout
from runfolio.errors import ConfigurationError, FormatError, NotFoundError, RunStateError
from runfolio.restoring import plan_restore
from runfolio.restoring.transaction import Transactions
from runfolio.testing.trees import TREES, Tree, read_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.core.restoring.conftest import Project

    from runfolio.backend import Backend


@pytest.mark.clouds_on_request("many examples in one test")
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(then=TREES, now=TREES)
def test_a_restore_gives_exactly_the_snapshot_and_an_undo_what_was_there(
    tmp_path_factory: pytest.TempPathFactory, make_project: Callable[[Path], Project], then: Tree, now: Tree
) -> None:
    project = make_project(tmp_path_factory.mktemp("trees"))
    project.become(then)
    run = project.run()
    project.become(now)
    report = run.restore()
    assert project.tree() == then
    assert sorted({*report.added, *report.overwritten}) == sorted(
        path for path, node in then.items() if now.get(path) != node
    )
    assert sorted(report.removed) == sorted(path for path in now if path not in then)
    project.history().undo_restore()
    assert project.tree() == now
    project.history().undo_restore()
    assert project.tree() == then
    into = project.root.parent / "elsewhere"
    run.restore(into)
    assert read_tree(into, {"runfolio.toml"}) == then


def test_an_undo_brings_permissions_and_times_back(project: Project) -> None:
    path = project.root / "train.py"
    path.write_text("one\n")
    run = project.run()
    path.write_text("two\n")
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18 + 7))
    run.restore()
    assert path.read_text() == "one\n"
    project.history().undo_restore()
    state = path.stat()
    assert (path.read_text(), state.st_mode & 0o7777, state.st_mtime_ns) == ("two\n", 0o640, 10**18 + 7)


def test_a_dry_run_changes_nothing(project: Project) -> None:
    (project.root / "train.py").write_text("one\n")
    run = project.run()
    (project.root / "train.py").write_text("two\n")
    (project.root / "new.py").write_text("x\n")
    before = project.tree()
    report = run.restore(dry_run=True)
    assert (report.overwritten, report.removed, report.done) == (["train.py"], ["new.py"], False)
    assert project.tree() == before
    assert not (project.root / ".runfolio" / "restore").exists()


def test_paths_limit_a_restore_and_its_undo(project: Project) -> None:
    for name in ("a/one.py", "a/two.py", "b/one.py"):
        (project.root / name).parent.mkdir(exist_ok=True)
        (project.root / name).write_text("then\n")
    run = project.run()
    for name in ("a/one.py", "b/one.py", "a/new.py"):
        (project.root / name).write_text("now\n")
    run.restore(paths=["./a/"])
    assert (project.root / "a" / "one.py").read_text() == "then\n"
    assert (project.root / "b" / "one.py").read_text() == "now\n"
    assert not (project.root / "a" / "new.py").exists()
    (project.root / "b" / "one.py").write_text("later\n")
    project.history().undo_restore()
    assert (project.root / "a" / "new.py").read_text() == "now\n"
    assert (project.root / "b" / "one.py").read_text() == "later\n"
    with pytest.raises(NotFoundError, match="nowhere"):
        run.restore(paths=["nowhere"])


def test_ignored_and_left_out_files_stay(project: Project) -> None:
    (project.root / "train.py").write_text("then\n")
    (project.root / "data.csv").write_text("then\n")
    run = project.run()
    (project.root / ".gitignore").write_text("data.csv\nscratch/\n")
    (project.root / "scratch").mkdir()
    (project.root / "scratch" / "x").write_text("mine\n")
    (project.root / "data.csv").write_text("mine\n")
    (project.root / ".env").write_text("SECRET=1\n")
    (project.root / "leak.ipynb").write_text('{"source": "ghp_abcdefghijklmnopqrstuvwxyz0123456789"}')
    with (project.root / "huge.bin").open("wb") as file:
        file.truncate(11_000_000)
    report = run.restore()
    assert list(report.kept) == ["data.csv"]
    assert report.removed == [".gitignore"]
    for name, text in (("data.csv", "mine\n"), (".env", "SECRET=1\n"), ("scratch/x", "mine\n")):
        assert (project.root / name).read_text() == text
    assert (project.root / "huge.bin").stat().st_size == 11_000_000
    assert (project.root / "leak.ipynb").exists()


def test_a_file_where_an_ignored_folder_is_and_the_other_way_round(project: Project) -> None:
    (project.root / "a").write_text("file\n")
    (project.root / "b").mkdir()
    (project.root / "b" / "x.py").write_text("x\n")
    run = project.run()
    (project.root / "a").unlink()
    (project.root / "a").mkdir()
    (project.root / "a" / "cache").write_text("mine\n")
    (project.root / "b" / "x.py").unlink()
    (project.root / "b").rmdir()
    (project.root / "b").write_text("mine\n")
    (project.root / ".gitignore").write_text("cache\n/b\n")
    report = run.restore()
    assert sorted(report.kept) == ["a", "b/x.py"]
    assert (project.root / "a" / "cache").read_text() == "mine\n"
    assert (project.root / "b").read_text() == "mine\n"


def test_nothing_is_written_through_a_link(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.root / "pkg").mkdir()
    (project.root / "pkg" / "m.py").write_text("then\n")
    run = project.run()
    (project.root / "pkg" / "m.py").unlink()
    (project.root / "pkg").rmdir()
    (project.root / "pkg").symlink_to(outside)
    run.restore()
    assert list(outside.iterdir()) == []
    assert (project.root / "pkg" / "m.py").read_text() == "then\n"
    project.history().undo_restore()
    assert (project.root / "pkg").is_symlink()
    (project.root / ".gitignore").write_text("pkg\n")
    assert list(run.restore().kept) == ["pkg/m.py"]
    assert list(outside.iterdir()) == []


def test_git_is_left_alone(project: Project) -> None:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=project.root, capture_output=True, text=True, check=True).stdout

    git("init", "-q")
    (project.root / "train.py").write_text("then\n")
    git("add", ".")
    git("commit", "-qm", "one")
    run = project.run()
    git("checkout", "-qb", "other")
    (project.root / "train.py").write_text("now\n")
    git("add", ".")
    before = git("rev-parse", "--abbrev-ref", "HEAD"), git("ls-files", "-s"), git("stash", "list")
    run.restore()
    assert (git("rev-parse", "--abbrev-ref", "HEAD"), git("ls-files", "-s"), git("stash", "list")) == before
    assert (project.root / "train.py").read_text() == "then\n"
    assert ".runfolio" not in git("status", "--porcelain")


def test_a_run_of_another_project_is_refused(project: Project) -> None:
    run = project.run()
    with project.history() as history, history.start_run("other", snapshot=history.take_snapshot()) as other:
        pass
    with pytest.raises(ConfigurationError, match="other"):
        project.history().run(other.id).restore()
    assert run.restore().done


def test_a_folder_that_holds_something_is_no_place_for_a_source(project: Project, tmp_path: Path) -> None:
    run = project.run()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(ConfigurationError, match="not empty"):
        run.restore(tmp_path / "full")
    assert run.restore(tmp_path / "new", dry_run=True).added == ["runfolio.toml"]
    assert not (tmp_path / "new").exists()


def test_a_run_without_a_source_says_so(project: Project) -> None:
    with project.history() as history, history.start_run(system_metrics=False) as run:
        pass
    with pytest.raises(NotFoundError, match="no snapshot"):
        run.restore()
    with pytest.raises(NotFoundError, match="nothing to undo"):
        project.history().undo_restore()


def test_a_source_over_the_limit_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.root / "train.py").write_text("x" * 1000)
    run = project.run()
    monkeypatch.setenv("RUNFOLIO_SNAPSHOT_LIMIT", "500")
    with pytest.raises(ConfigurationError, match=r"snapshot\.limit"):
        project.history().run(run.id).restore()


def test_an_edit_while_one_is_asked_is_noticed(project: Project) -> None:
    (project.root / "train.py").write_text("then\n")
    run = project.run()
    (project.root / "train.py").write_text("now\n")
    with plan_restore(run) as plan:
        (project.root / "train.py").write_text("later\n")
        with pytest.raises(RunStateError, match="once more"):
            plan.apply()
    assert (project.root / "train.py").read_text() == "later\n"


def test_only_one_restores_at_a_time(project: Project) -> None:
    run = project.run()
    with Transactions(project.root), pytest.raises(RunStateError, match="Another process"):
        run.restore()


def test_only_the_newest_undos_are_kept(project: Project) -> None:
    (project.root / "train.py").write_text("then\n")
    run = project.run()
    for number in range(8):
        (project.root / "train.py").write_text(f"{number}\n")
        run.restore()
    place = project.root / ".runfolio" / "restore"
    assert len([path for path in place.iterdir() if path.is_dir()]) == 5
    project.history().undo_restore()
    assert (project.root / "train.py").read_text() == "7\n"


def test_a_damaged_pack_changes_nothing(project: Project, open_backend: Callable[[str], Backend]) -> None:
    (project.root / "train.py").write_text("then\n")
    run = project.run()
    (project.root / "train.py").write_text("now\n")
    objects = open_backend(project.store)
    pack = next(info.key for info in objects.list(layout.OBJECTS) if info.key.endswith(".pack"))
    data = bytearray(objects.get(pack))
    data[len(data) // 2] ^= 1
    objects.put(pack, bytes(data))
    with pytest.raises(FormatError):
        run.restore()
    assert (project.root / "train.py").read_text() == "now\n"
