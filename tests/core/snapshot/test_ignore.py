"""The ignore rules mean what Git says they mean."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runfolio.snapshot import ignore, look_through


def decision(lines: str, path: str) -> bool | None:
    rules = ignore.IgnoreFile([line.encode() for line in lines.split("\n") if line], by_git=True)
    folder = path.endswith("/")
    bare = path.rstrip("/").encode()
    found = rules.decide(bare, bare.rsplit(b"/", 1)[-1], folder=folder)
    return None if found is None else found.ignored


@pytest.mark.parametrize(
    ("lines", "path", "expected"),
    [
        ("*.csv", "a/b.csv", True),
        ("*.csv\n!b.csv", "a/b.csv", False),
        ("!b.csv\n*.csv", "a/b.csv", True),
        ("/data", "data", True),
        ("/data", "a/data", None),
        ("data/", "data", None),
        ("data/", "data/", True),
        ("a/b", "a/b", True),
        ("a/b", "x/a/b", None),
        ("**/b", "x/a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**", "a/x", True),
        ("[ab].txt", "b.txt", True),
        ("\\!x", "!x", True),
        ("\\#x", "#x", True),
        ("?.py", "ab.py", None),
    ],
)
def test_patterns(lines: str, path: str, expected: bool | None) -> None:
    assert expected is decision(lines, path)


def test_an_unreadable_or_linked_ignore_file_has_no_rules(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("*.x\n")
    (tmp_path / ".gitignore").symlink_to("real")
    assert ignore.read_ignore_file(str(tmp_path / ".gitignore"), by_git=True) is None
    assert ignore.read_ignore_file(str(tmp_path / "absent"), by_git=True) is None


NAMES = st.sampled_from(["a", "b", "c.txt", "d.csv", "data", "x y", "é"])
PATTERNS = st.lists(
    st.sampled_from(
        ["a", "b/", "/a", "*.csv", "!*.csv", "data/", "!data/", "a/b", "**/b", "a/**", "data/*", "!c.txt", "x*",
         "[a-c]", "é", "/*", "!/a", "*", "a/**/b", "b/c.txt", "# comment", "\\a"]
    ),
    max_size=5,
)  # fmt: skip
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map("/".join), min_size=1, max_size=8)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paths=PATHS, top=PATTERNS, inner=PATTERNS)
def test_files_are_those_that_git_would_add(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str], top: list[str], inner: list[str]
) -> None:
    root = tmp_path_factory.mktemp("repository")
    for path in paths:
        target = root / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("x")
        except OSError:
            continue  # a file already stands where a folder would be
    (root / ".gitignore").write_text("\n".join(top) + "\n", encoding="utf-8")
    if (root / "data").is_dir():
        (root / "data" / ".gitignore").write_text("\n".join(inner) + "\n", encoding="utf-8")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    listing = subprocess.run(
        ["git", "-c", "core.quotepath=off", "ls-files", "-z", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    wanted = sorted(os.fsdecode(name) for name in listing.stdout.split(b"\0") if name)
    assert wanted == look_through(root).files


def test_rules_from_above_the_project_hold_too(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("*.log\n/sub/only.txt\n")
    (tmp_path / ".git" / "info" / "exclude").write_text("private\n")
    project = tmp_path / "sub"
    project.mkdir()
    for name in ("a.log", "only.txt", "private", "kept.py"):
        (project / name).write_text("x")
    plan = look_through(project)
    assert ["kept.py"] == plan.files
    assert ["a.log", "only.txt", "private"] == sorted(plan.reachable)


def test_what_git_tracks_is_copied_although_it_is_ignored(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "small.csv").write_text("1")
    (tmp_path / "data" / "large.bin").write_text("2")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "x").write_text("3")
    (tmp_path / ".gitignore").write_text("data/\n")
    (tmp_path / ".runfolioignore").write_text("own/\n")
    subprocess.run(["git", "add", "-f", "data/small.csv", "own/x"], cwd=tmp_path, check=True)
    plan = look_through(tmp_path)
    assert [".gitignore", ".runfolioignore", "data/small.csv"] == plan.files
    assert ["data/large.bin", "own/"] == sorted(plan.reachable)
