"""What of a run's folder is stored, and under which path."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from runfolio_plugins.launch.capture import plan_capture, states_of_outputs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    (folder / "outputs").mkdir(parents=True)
    return folder


def targets(plan: object) -> list[str]:
    return [target for _, target in plan.files]  # type: ignore[attr-defined]  # a CapturePlan


def test_nested_empty_and_oddly_named_files(root: Path) -> None:
    outputs = root / "outputs"
    (outputs / "a" / "b").mkdir(parents=True)
    (outputs / "a" / "b" / "deep.txt").write_text("x")
    (outputs / "empty").touch()
    (outputs / "what?.txt").write_text("x")
    (outputs / os.fsdecode(b"\xff.bin")).write_bytes(b"x")
    plan = plan_capture(root)
    assert ["outputs/a/b/deep.txt", "outputs/empty", "outputs/what%3F.txt", "outputs/%FF.bin"] == targets(plan)
    assert {
        "outputs/what?.txt": "outputs/what%3F.txt",
        os.fsdecode(b"outputs/\xff.bin"): "outputs/%FF.bin",
    } == plan.renamed
    assert [] == plan.skipped


def test_names_that_differ_by_case_are_told_apart(root: Path) -> None:
    for name in ("Model.pt", "model.pt", "MODEL.pt"):
        (root / "outputs" / name).write_text(name)
    plan = plan_capture(root)
    assert 3 == len({target.casefold() for target in targets(plan)})


def test_what_is_no_file_is_named(root: Path) -> None:
    outputs = root / "outputs"
    os.mkfifo(outputs / "pipe")
    (outputs / "null").symlink_to("/dev/null")
    (outputs / "out").symlink_to(root.parent)
    (outputs / "nowhere").symlink_to("absent")
    os.chdir(outputs)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("sock")
        plan = plan_capture(root)
    assert [] == plan.files
    reasons = dict(plan.skipped)
    assert "a named pipe" == reasons["outputs/pipe"]
    assert "a socket" == reasons["outputs/sock"]
    assert "leads out" in reasons["outputs/out"]
    assert "leads out" in reasons["outputs/null"]
    assert "leads nowhere" in reasons["outputs/nowhere"]


def test_links_inside_are_stored_as_what_they_lead_to(root: Path) -> None:
    (root / "best").mkdir()
    (root / "best" / "m").write_text("x")
    (root / "outputs" / "real.txt").write_text("x")
    (root / "outputs" / "latest.txt").symlink_to("real.txt")
    (root / "outputs" / "best").symlink_to("../best")
    (root / "outputs" / "loop").symlink_to(".")
    plan = plan_capture(root)
    assert ["outputs/best/m", "outputs/latest.txt", "outputs/real.txt"] == targets(plan)
    assert ["outputs/loop"] == [path for path, _ in plan.skipped]


@pytest.mark.parametrize("instead", ["nothing", "file", "link out", "link in"])
def test_the_folder_itself_may_be_replaced(root: Path, instead: str) -> None:
    (root / "outputs").rmdir()
    if instead == "file":
        (root / "outputs").write_text("x")
    elif instead == "link out":
        (root / "outputs").symlink_to(root.parent)
    elif instead == "link in":
        (root / "elsewhere").mkdir()
        (root / "elsewhere" / "a").write_text("x")
        (root / "outputs").symlink_to("elsewhere")
    plan = plan_capture(root)
    assert (["outputs/a"] if instead == "link in" else []) == targets(plan)
    assert (["outputs"] if instead in ("file", "link out") else []) == [path for path, _ in plan.skipped]


def test_captured_folders_store_what_is_new_below_outputs(root: Path) -> None:
    (root / "checkpoints").mkdir()
    old = root / "checkpoints" / "old"
    old.write_text("x")
    (root / "checkpoints" / "new").write_text("x")
    (root / "checkpoints" / "both").write_text("captured")
    (root / "outputs" / "checkpoints").mkdir()
    (root / "outputs" / "checkpoints" / "both").write_text("own")
    baseline = {"checkpoints/old": (old.stat().st_size, old.stat().st_mtime_ns)}
    plan = plan_capture(root, folders=["checkpoints", "absent"], baseline=baseline)
    found = {target: source.read_text() for source, target in plan.files}
    assert {
        "outputs/checkpoints/both": "own",
        "outputs/checkpoints/new": "x",
        "outputs/~captured/checkpoints/both": "captured",
    } == found


def test_only_what_changed_since_is_planned_again(root: Path) -> None:
    (root / "outputs" / "same").write_text("x")
    (root / "outputs" / "more").write_text("x")
    known = states_of_outputs(root)
    (root / "outputs" / "more").write_text("xx")
    (root / "outputs" / "new").write_text("x")
    assert ["outputs/more", "outputs/new"] == targets(plan_capture(root, known=known))
