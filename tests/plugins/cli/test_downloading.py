"""`download`: verified, resumed, never outside of its folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from click.testing import Result

from runfolio import layout

if TYPE_CHECKING:
    from runfolio.backend import Backend

Invoke = Callable[..., Result]
ALL = ["logs/driver_log.txt", "outputs/model.pkl", "outputs/plots/a.png", "outputs/plots/b/c.png"]


class Filled(Protocol):
    """A store with runs; see conftest.py."""

    url: str
    ids: list[str]
    other: str
    at: list[str]


def files(folder: Path) -> list[str]:
    """Return the relative paths of all files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_everything_goes_into_a_folder_named_like_the_run(invoke: Invoke, filled: Filled) -> None:
    result = invoke("download", "#3", *filled.at)
    folder = Path(filled.ids[2])
    assert files(folder) == ALL
    assert (folder / "outputs/model.pkl").read_bytes() == b"\0\x80" * 100 + b"\2"
    assert str(folder.absolute() / "outputs/plots/b/c.png") in result.stdout
    assert result.stderr == f"4 downloaded in {folder.absolute()}\n"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["outputs/model.pkl"], ["outputs/model.pkl"]),
        (["model.pkl"], ["outputs/model.pkl"]),
        (["driver_log", "./outputs/plots/a.png"], ["logs/driver_log.txt", "outputs/plots/a.png"]),
        (["outputs/plots"], ["outputs/plots/a.png", "outputs/plots/b/c.png"]),
        (["plots/"], ["outputs/plots/a.png", "outputs/plots/b/c.png"]),
    ],
)
def test_some_files(invoke: Invoke, filled: Filled, names: list[str], expected: list[str]) -> None:
    options = [word for name in names for word in ("--artifact", name)]
    found = json.loads(invoke("download", "-r", "#3", "-d", "here", *options, "-o", "json", *filled.at).stdout)
    assert files(Path("here")) == found["downloaded"] == expected
    assert found["directory"] == str(Path("here").absolute())


def test_a_file_that_is_not_there(invoke: Invoke, filled: Filled) -> None:
    result = invoke("download", "#3", "--artifact", "outputs/none", "-d", "here", *filled.at, code=1)
    assert "'outputs/none'" in result.stderr
    assert "outputs/model.pkl" in result.stderr
    assert not Path("here").exists()


def test_the_second_call_does_nothing_and_the_first_can_be_continued(invoke: Invoke, filled: Filled) -> None:
    invoke("download", "#3", "-d", "here", *filled.at)
    model = Path("here/outputs/model.pkl")
    whole = model.read_bytes()
    model.unlink()
    Path("here/outputs/model.pkl.runfolio-partial").write_bytes(whole[:50])
    found = json.loads(invoke("download", "#3", "-d", "here", "-o", "json", *filled.at).stdout)
    assert found["downloaded"] == ["outputs/model.pkl"]
    assert len(found["skipped"]) == 3
    assert model.read_bytes() == whole
    assert files(Path("here")) == ALL


def test_what_is_there_is_replaced_only_when_told(invoke: Invoke, filled: Filled) -> None:
    invoke("download", "#3", "-d", "here", *filled.at)
    Path("here/outputs/model.pkl").write_text("mine", encoding="utf-8")
    result = invoke("download", "#3", "-d", "here", *filled.at, code=1)
    assert "1 not downloaded" in result.stderr
    assert "exists with other contents" in result.stdout
    assert Path("here/outputs/model.pkl").read_text(encoding="utf-8") == "mine"
    invoke("download", "#3", "-d", "here", "--overwrite", *filled.at)
    assert Path("here/outputs/model.pkl").read_bytes() == b"\0\x80" * 100 + b"\2"


def test_a_changed_object_is_not_handed_out(invoke: Invoke, own: Filled, objects: Backend) -> None:
    stored = layout.artifact(own.ids[2], "outputs/model.pkl")
    objects.put(stored, b"x" * objects.stat(stored).size)
    result = invoke("download", "#3", "-d", "here", *own.at, code=1)
    assert "SHA-256" in result.stdout
    assert "3 downloaded, 1 not downloaded" in result.stderr
    assert files(Path("here")) == [path for path in ALL if "model" not in path]


def test_nothing_is_written_through_a_link(invoke: Invoke, filled: Filled) -> None:
    Path("elsewhere").mkdir()
    Path("here").mkdir()
    Path("here/outputs").symlink_to(Path("elsewhere").absolute())
    result = invoke("download", "#3", "-d", "here", *filled.at, code=1)
    assert "3 not downloaded" in result.stderr
    assert files(Path("elsewhere")) == []


def test_a_folder_that_cannot_be_made_is_an_error(invoke: Invoke, filled: Filled) -> None:
    Path("here").write_text("a file", encoding="utf-8")
    assert invoke("download", "#3", "-d", "here", *filled.at, code=1).stderr.startswith("Error: ")


def test_a_run_without_files(invoke: Invoke, filled: Filled) -> None:
    result = invoke("download", "other one#1", *filled.at)
    assert result.stdout == ""
    assert result.stderr == f"Note: the run {filled.other} has no files\n"
