"""A stored snapshot is not trusted: nothing that leads out of the project passes, nor what is without end."""

from __future__ import annotations

import hashlib
from typing import Final

import pytest

from runfolio.errors import FormatError, InvalidKeyError
from runfolio.names import validate_source_path
from runfolio.snapshot import objects
from runfolio.snapshot.objects import BLOB_TYPE, COMMIT_TYPE, TREE_TYPE, Entry, build, commit_bytes, object_id, walk

BLOB: Final = object_id(BLOB_TYPE, b"x")


class Objects:
    """Objects in memory."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def add(self, kind: int, data: bytes) -> str:
        sha = object_id(kind, data)
        self.held[sha] = data
        return sha

    def tree(self, *entries: tuple[bytes, bytes, str]) -> str:
        rows = [mode + b" " + name + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries]
        return self.add(TREE_TYPE, b"".join(rows))

    def commit(self, tree: str, empty: tuple[str, ...] = ()) -> str:
        return self.add(COMMIT_TYPE, commit_bytes(tree, empty))

    def walk(self, commit: str) -> list[Entry]:
        return walk(commit, lambda sha, _: self.held[sha], lambda _: 1)


@pytest.mark.parametrize(
    "name",
    [b"..", b".", b"", b".git", b".GIT", b"git~1", b".git.", b".git ", b".g\xe2\x80\x8cit", b".git:x", b"a/b", b"../x",
     b".runfolio", b"outputs", b"__pycache__", b".hg", b"x\\.git\\y"],
)  # fmt: skip
def test_hostile_names_are_refused(name: bytes) -> None:
    held = Objects()
    with pytest.raises(FormatError):
        held.walk(held.commit(held.tree((b"100644", name, BLOB))))


@pytest.mark.parametrize("path", ["..", "../x", "/etc/x", ".git", "a/../b"])
def test_hostile_empty_folders_are_refused(path: str) -> None:
    held = Objects()
    with pytest.raises(FormatError):
        held.walk(held.commit(held.tree(), (path,)))


def test_hostile_names_below_are_refused() -> None:
    held = Objects()
    inner = held.tree((b"100644", b"config", BLOB))
    with pytest.raises(FormatError):
        held.walk(held.commit(held.tree((b"40000", b".git", inner))))


def test_a_link_and_a_folder_of_one_name_are_refused() -> None:
    """Written one after the other, the file would go through the link."""
    held = Objects()
    inner = held.tree((b"100644", b"passwd", BLOB))
    with pytest.raises(FormatError, match="twice"):
        held.walk(held.commit(held.tree((b"120000", b"a", BLOB), (b"40000", b"a", inner))))


def test_an_empty_folder_on_a_file_is_refused() -> None:
    held = Objects()
    tree = held.tree((b"100644", b"a", BLOB))
    with pytest.raises(FormatError):
        held.walk(held.commit(tree, ("a/b",)))


@pytest.mark.parametrize("mode", [b"104755", b"100600", b"060000", b"777"])
def test_strange_modes_are_refused(mode: bytes) -> None:
    """No device, no set-user-id bit."""
    held = Objects()
    with pytest.raises(FormatError):
        held.walk(held.commit(held.tree((mode, b"a", BLOB))))


def test_folders_without_end_are_refused() -> None:
    held = Objects()
    tree = held.tree((b"100644", b"a", BLOB))
    for _ in range(300):
        tree = held.tree((b"40000", b"d", tree))
    with pytest.raises(FormatError, match="folders in one another"):
        held.walk(held.commit(tree))


def test_a_tree_that_multiplies_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten levels of ten times the same folder: ten billion files in a kilobyte."""
    monkeypatch.setattr(objects, "MOST_ENTRIES", 10_000)
    held = Objects()
    tree = held.tree((b"100644", b"a", BLOB))
    for _ in range(10):
        tree = held.tree(*[(b"40000", b"%d" % number, tree) for number in range(10)])
    with pytest.raises(FormatError, match="entries"):
        held.walk(held.commit(tree))


@pytest.mark.parametrize("data", [b"", b"tree x\n\n", b"blob", b"tree " + b"a" * 39 + b"\n\nx"])
def test_what_is_no_commit_is_refused(data: bytes) -> None:
    held = Objects()
    with pytest.raises(FormatError, match="names no tree"):
        held.walk(held.add(COMMIT_TYPE, data))


@pytest.mark.parametrize("data", [b"100644 a", b"100644 a\0short", b"x a\0" + b"1" * 20])
def test_damaged_trees_are_refused(data: bytes) -> None:
    held = Objects()
    with pytest.raises(FormatError):
        held.walk(held.commit(held.add(TREE_TYPE, data)))


def test_what_is_built_is_walked() -> None:
    entries = [
        Entry("a", 0o100644, 1, BLOB),
        Entry("b/c", 0o100755, 1, BLOB),
        Entry("b/l", 0o120000, 1, BLOB),
        Entry("e/f", 0o040000, 0, objects.EMPTY_TREE),
        Entry("lib", 0o160000, 0, hashlib.sha1(b"x", usedforsecurity=False).hexdigest()),
    ]
    built = build(entries)
    held = Objects()
    held.held = {sha: data for sha, (_, data) in built.objects.items()}
    assert held.walk(built.commit) == entries


@pytest.mark.parametrize(
    "path", ["a", "a:b", "trailing.", "con", "x\udcff", "a\nb", "Outputs/x", "sub/outputs", "é" * 300]
)
def test_names_that_a_project_may_have_on_this_system(path: str) -> None:
    assert validate_source_path(path) == path


def test_names_are_limited() -> None:
    with pytest.raises(InvalidKeyError):
        validate_source_path("a/" * 3000 + "b")
