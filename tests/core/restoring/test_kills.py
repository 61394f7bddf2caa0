"""A restore that is killed anywhere is finished by the next call, and undone by the one after: nothing is half done."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from runfolio.restoring import recover

if TYPE_CHECKING:
    from tests.core.restoring.conftest import Project

    from runfolio.testing.trees import Tree

pytestmark = [
    pytest.mark.not_in_memory("other processes use the store"),
    pytest.mark.clouds_on_request("starts processes"),
]

CHILD: Final = """
import os, signal, sys
import runfolio as rf
from runfolio.config import resolve

root, store, run_id, left, undo = sys.argv[1:]
left = int(left)

def hook(event, arguments):
    # Whatever changes the file system in the project: a kill before the n-th of them.
    global left
    if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.chmod", "os.utime") or (
        event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    ):
        if str(arguments[0]).startswith(root):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

history = rf.open_history(settings=resolve({"store": store, "project": "proj"}, start=root))
run = history.run(run_id)
run.record
sys.addaudithook(hook)
history.undo_restore() if undo == "undo" else run.restore()
"""
THEN: Final[Tree] = {
    "a": ("file", b"then"), "b/c": ("exec", b"c"), "b/d": ("link", b"c"), "e": ("folder", b""), "same": ("file", b"s"),
    "f/g/h": ("file", b"h"),
}  # fmt: skip
NOW: Final[Tree] = {
    "a/x": ("file", b"now"), "b": ("file", b"now"), "e/y": ("file", b"y"), "same": ("file", b"s"),
    "f": ("link", b"same"), "z": ("folder", b""),
}  # fmt: skip


def killed(project: Project, run_id: str, left: int, what: str) -> bool:
    """Restore in a process that is killed before its n-th change. False when it came to its end."""
    words = [sys.executable, "-c", CHILD, str(project.root.resolve()), project.store, run_id, str(left), what]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode == -signal.SIGKILL:
        return True
    assert done.returncode == 0, done.stderr
    return False


@pytest.mark.slow
@pytest.mark.parametrize("what", ["restore", "undo"])
def test_a_kill_at_any_change_is_finished_by_the_next_call(project: Project, what: str) -> None:
    project.become(THEN)
    run = project.run()
    finished = prepared = 0
    for left in range(1, 200, 9):
        project.become(NOW)
        if what == "undo":
            run.restore()
        before, after = (THEN, NOW) if what == "undo" else (NOW, THEN)
        if not killed(project, run.id, left, what):
            assert project.tree() == after
            break
        if recover(project.history()):
            finished += 1
            assert project.tree() == after, left
            project.history().undo_restore()
            assert project.tree() == before, left
        else:
            prepared += 1
            assert project.tree() in (before, after), left
    else:
        pytest.fail("it never came to its end")
    assert finished >= 1
    assert prepared >= 1


def test_what_was_edited_after_the_kill_is_left_and_named(project: Project) -> None:
    project.become(THEN)
    run = project.run()
    for left in range(20, 60, 2):
        project.become(NOW)
        assert killed(project, run.id, left, "restore")
        if (project.root / "a").is_file():
            (project.root / "a").write_text("edited after the kill")
            reports = recover(project.history())
            assert [report.changed_meanwhile for report in reports] == [["a"]]
            assert (project.root / "a").read_text() == "edited after the kill"
            assert str((project.root / "b" / "d").readlink()) == "c"
            return
        recover(project.history())
    pytest.fail("no kill between the first file and the end")
