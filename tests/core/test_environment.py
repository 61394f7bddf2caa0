"""What a run says about its surroundings."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from runfolio import environment
from runfolio.environment import (
    collect_properties,
    git_properties,
    installed_packages,
    machine_properties,
    sanitize_remote,
)


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "a.py").write_text("a = 1\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.py").write_text("b = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_no_repository_says_nothing(tmp_path: Path) -> None:
    assert {} == git_properties(tmp_path)


def test_a_clean_repository(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://ann:token@example.com/a/b.git?key=1")
    expected = {
        "GitCommit": git(repository, "rev-parse", "HEAD"),
        "GitBranch": "trunk",
        "GitDirty": False,
        "GitRemote": "https://example.com/a/b.git",
    }
    assert expected == git_properties(repository)
    assert expected == git_properties(repository / "sub")


def test_the_program_says_the_same(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(repository, "remote", "add", "origin", "git@example.com:a/b.git")
    (repository / "a.py").write_text("a = 2\n")
    by_library = git_properties(repository)

    def refuse(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(environment, "_read_repository", refuse)
    assert by_library == git_properties(repository)


@pytest.mark.parametrize("change", ["edit", "delete", "stage", "mode", "remove from index", "link"])
def test_what_makes_a_repository_dirty(repository: Path, change: str) -> None:
    if change == "edit":
        (repository / "sub" / "b.py").write_text("b = 2\n")
    elif change == "delete":
        (repository / "a.py").unlink()
    elif change == "stage":
        (repository / "new.py").write_text("n")
        git(repository, "add", "new.py")
    elif change == "mode":
        (repository / "a.py").chmod(0o755)
    elif change == "remove from index":
        git(repository, "rm", "-q", "--cached", "a.py")
    else:
        (repository / "a.py").unlink()
        (repository / "a.py").symlink_to("sub/b.py")
    assert git_properties(repository)["GitDirty"] is True


def test_what_does_not(repository: Path) -> None:
    (repository / "untracked.py").write_text("u")
    os.utime(repository / "a.py", (1, 1))
    (repository / "sub" / "b.py").write_text("b = 1\n")
    assert git_properties(repository)["GitDirty"] is False


def test_no_commit_and_no_branch(tmp_path: Path, repository: Path) -> None:
    git(repository, "checkout", "-q", "--detach")
    assert "GitBranch" not in git_properties(repository)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    git(fresh, "init", "-q", "-b", "main")
    assert {"GitBranch": "main"} == git_properties(fresh)


def test_worktrees_are_repositories(repository: Path) -> None:
    git(repository, "worktree", "add", "-q", "-b", "side", "../side")
    side = repository.parent / "side"
    found = git_properties(side)
    assert ("side", git(repository, "rev-parse", "HEAD"), False) == (
        found["GitBranch"], found["GitCommit"], found["GitDirty"],
    )  # fmt: skip


def test_a_damaged_repository_raises_nothing(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_bytes(b"\xff\0")
    (repository / ".git" / "index").write_bytes(b"no index")
    assert "GitCommit" not in git_properties(repository)


def test_without_time_dirty_stays_unknown(repository: Path) -> None:
    found = git_properties(repository, budget=0.0)
    assert "GitCommit" in found
    assert "GitDirty" not in found


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://u:p@host/a.git", "https://host/a.git"),
        ("https://token@host:8443/a.git?x=1#y", "https://host:8443/a.git"),
        ("ssh://git:pw@host:22/a", "ssh://git@host:22/a"),
        ("git@host:a/b.git", "git@host:a/b.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("../sibling", "../sibling"),
        ("file:///srv/a.git", "file:///srv/a.git"),
    ],
)
def test_remotes_lose_their_secrets(url: str, safe: str) -> None:
    assert safe == sanitize_remote(url)


def test_the_machine() -> None:
    found = machine_properties()
    assert Path(sys.executable).name == found["PythonExecutable"]
    assert f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}" in found["PythonVersion"]
    assert 1 <= found["CpuCountUsable"] <= found["CpuCount"]
    assert str(Path.home()) not in str(found)
    assert found.items() <= collect_properties().items()


def test_installed_packages_are_those_of_the_metadata() -> None:
    found = installed_packages()
    for name in ("click", "dulwich", "pluggy", "pyarrow", "runfolio"):
        assert version(name) == found[name]
    assert list(found) == sorted(found)


def test_each_form_of_metadata(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "Some_Thing.More-1.0.dist-info").mkdir(parents=True)
    (first / "old.egg-info").mkdir()
    (first / "old.egg-info" / "PKG-INFO").write_text("Metadata-Version: 1\nName: Old\nVersion: 2.0\n\nName: text\n")
    (first / "flat-3.egg-info").write_text("Name: flat\nVersion: 3\n")
    (first / "broken.egg-info").mkdir()
    (second / "some_thing_more-9.dist-info").mkdir(parents=True)
    (second / "other-1.dist-info").mkdir()
    assert {"flat": "3", "old": "2.0", "other": "1", "some-thing-more": "1.0"} == installed_packages(
        [str(first), str(tmp_path / "absent"), str(second)]
    )
