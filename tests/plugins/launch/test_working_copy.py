"""What a working copy holds, and what is noticed in it afterwards."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runfolio.snapshot import look_through
from runfolio_plugins.launch.working_copy import WorkingCopy, changed_files, make_copy


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "proj"
    folder.mkdir()
    (folder / "train.py").write_text("print(1)\n")
    return folder


def copy_of(root: Path, **options: object) -> WorkingCopy:
    return make_copy(look_through(root, **options), root.parent / "copy")  # type: ignore[arg-type]  # handed through


def test_files_keep_contents_modes_and_times(root: Path) -> None:
    script = root / "go.sh"
    script.write_bytes(b"#!/bin/sh\n")
    script.chmod(0o755)
    (root / "read_only").write_bytes(b"x" * 1_000_000)
    (root / "read_only").chmod(0o444)
    (root / "empty").touch()
    (root / "a" / "b").mkdir(parents=True)
    os.utime(script, ns=(10**18, 10**18 + 7))
    copy = copy_of(root)
    for name in ("go.sh", "read_only", "empty", "train.py"):
        before, after = (root / name).stat(), (copy.root / name).stat()
        assert (root / name).read_bytes() == (copy.root / name).read_bytes()
        assert (before.st_mtime_ns, stat.S_IMODE(before.st_mode)) == (after.st_mtime_ns, stat.S_IMODE(after.st_mode))
        assert before.st_ino != after.st_ino, "a hard link"
        assert after.st_nlink == 1
    assert (copy.root / "a" / "b").is_dir()
    assert [] == list((copy.root / "outputs").iterdir())


def test_some_things_are_never_copied(root: Path) -> None:
    for name in (".git/config", ".runfolio/store/x", "outputs/old.txt", "pkg/__pycache__/m.pyc", "pkg/m.py", ".hg/x"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    (root / "inner" / "outputs").mkdir(parents=True)
    (root / "inner" / "outputs" / "kept").write_text("x")
    (root / "store").mkdir()
    (root / "store" / "runfolio.json").write_text("{}")
    copy = copy_of(root, exclude=[root / "store"])
    found = sorted(path.relative_to(copy.root).as_posix() for path in copy.root.rglob("*") if path.is_file())
    assert ["inner/outputs/kept", "pkg/m.py", "train.py"] == found
    assert not (copy.root / "store").exists()
    assert not (copy.root / "outputs" / "old.txt").exists()


def test_environments_are_linked(root: Path) -> None:
    for mark in (".venv/pyvenv.cfg", "conda/conda-meta/history", "node_modules/x/index.js"):
        (root / mark).parent.mkdir(parents=True)
        (root / mark).write_text("x")
    copy = copy_of(root)
    for name in (".venv", "conda", "node_modules"):
        assert (copy.root / name).is_symlink()
        assert root / name == (copy.root / name).resolve()


def test_ignored_data_is_reachable_at_the_same_path(root: Path) -> None:
    (root / "data" / "deep").mkdir(parents=True)
    (root / "data" / "deep" / "x.csv").write_text("1")
    (root / "pkg").mkdir()
    (root / "pkg" / "table.bin").write_text("2")
    (root / "pkg" / "m.py").write_text("3")
    (root / ".env").write_text("SECRET=1")
    (root / "old").mkdir()
    (root / "old" / "y").write_text("4")
    (root / ".gitignore").write_text("data/\n.env\n")
    (root / ".runfolioignore").write_text("*.bin\n")
    (root / ".amlignore").write_text("/old\n")
    copy = copy_of(root)
    assert "1" == (copy.root / "data" / "deep" / "x.csv").read_text()
    assert "2" == (copy.root / "pkg" / "table.bin").read_text()
    for linked in ("data", "pkg/table.bin", ".env", "old"):
        assert (copy.root / linked).is_symlink()
    assert not (copy.root / "pkg" / "m.py").is_symlink()
    assert [] == changed_files(copy)


def test_links_stay_inside_or_lead_where_they_led(root: Path) -> None:
    outside = root.parent / "big"
    outside.mkdir()
    (outside / "d").write_text("big")
    (root / "a").mkdir()
    (root / "a" / "up.py").symlink_to("../train.py")
    (root / "absolute.py").symlink_to(root / "train.py")
    (root / "data").symlink_to(outside)
    (root / "relative").symlink_to("../big/d")
    (root / "dangling").symlink_to("nowhere")
    copy = copy_of(root)
    for name in ("a/up.py", "absolute.py"):
        assert copy.root / "train.py" == (copy.root / name).resolve()
    assert outside == (copy.root / "data").resolve()
    assert "big" == (copy.root / "relative").read_text()
    assert "nowhere" == str((copy.root / "dangling").readlink())


def test_special_files_and_unreadable_ones_are_named(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(root)  # a socket's path must be short
        listening.bind("sock")
        copy = copy_of(root)
    assert [("pipe", "a named pipe"), ("sock", "a socket")] == sorted(copy.left_out)
    assert (copy.root / "train.py").exists()


def test_a_file_that_vanishes_meanwhile_is_named(root: Path) -> None:
    (root / "gone").write_text("x")
    plan = look_through(root)
    (root / "gone").unlink()
    copy = make_copy(plan, root.parent / "copy")
    assert ["gone"] == [path for path, _ in copy.left_out]


def test_a_captured_folder_is_never_a_link(root: Path) -> None:
    (root / "checkpoints").mkdir()
    (root / "checkpoints" / "old.pt").write_text("x")
    (root / ".gitignore").write_text("checkpoints/\n")
    copy = copy_of(root, capture=["checkpoints"])
    assert not (copy.root / "checkpoints").is_symlink()
    assert [] == list((copy.root / "checkpoints").iterdir())


def test_what_a_run_makes_and_changes_is_noticed(root: Path) -> None:
    (root / "config.json").write_text("{}")
    (root / "gone.txt").write_text("x")
    copy = copy_of(root)
    (copy.root / "config.json").write_text("{ }")
    (copy.root / "gone.txt").unlink()
    (copy.root / "outputs" / "model").write_text("x")
    (copy.root / "cache").mkdir()
    (copy.root / "cache" / "new.bin").write_text("x")
    (copy.root / "__pycache__").mkdir()
    (copy.root / "__pycache__" / "m.pyc").write_text("x")
    (copy.root / "checkpoints").mkdir()
    (copy.root / "checkpoints" / "c").write_text("x")
    (copy.root / "link").symlink_to("config.json")
    assert ["cache/new.bin", "config.json", "link"] == changed_files(copy, apart_from=["checkpoints"])


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 200
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.dictionaries(NAMES, st.one_of(st.binary(max_size=30), NAMES), max_size=8))
def test_any_tree_is_copied_as_it_is(tmp_path_factory: pytest.TempPathFactory, names: dict[str, bytes | str]) -> None:
    root = tmp_path_factory.mktemp("tree") / "proj"
    root.mkdir()
    for name, content in names.items():
        if isinstance(content, bytes):
            (root / name).write_bytes(content)
        else:
            (root / name).mkdir()
            (root / name / content).write_bytes(b"inside")
    plan = look_through(root)
    copy = make_copy(plan, root.parent / "copy")
    for path in plan.files:
        assert (root / path).read_bytes() == (copy.root / path).read_bytes()
    reached = {path.rstrip("/").split("/")[0] for path in [*plan.files, *plan.folders, *plan.reachable]}
    never = {".git", ".hg", ".svn", ".runfolio", "__pycache__", "outputs"}
    assert set(names) - never == reached
    assert [] == changed_files(copy)
