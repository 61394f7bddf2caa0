"""What a snapshot holds, and that its objects are Git's."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from runfolio.errors import ConfigurationError
from runfolio.snapshot.objects import FOLDER, REPOSITORY, commit_bytes
from runfolio.snapshot.packing import open_pack
from runfolio.testing.trees import TREES, Tree, write_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.core.snapshot.conftest import Workshop

    Git = Callable[..., str]
    Make = Callable[[Path], Workshop]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_hashes_are_those_of_git(
    tmp_path_factory: pytest.TempPathFactory, make_project: Make, git: Git, tree: Tree
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    shop = make_project(folder)
    write_tree(shop.root, tree)
    snapshot = shop.take()
    subprocess.run(["git", "init", "-q", "."], cwd=shop.root, check=True)
    shop.git("config", "core.autocrlf", "false")
    shop.git("add", "-A", "--force")
    assert snapshot.tree == shop.git("write-tree")
    empty = [entry.path for entry in snapshot.entries if entry.mode == FOLDER]
    assert snapshot.commit == shop.git(
        "hash-object", "-t", "commit", "--stdin", input=commit_bytes(snapshot.tree, empty)
    )
    assert snapshot.pack is not None
    shop.git("index-pack", "--strict", "-o", str(folder / "own.idx"), str(snapshot.pack))
    assert (folder / "own.idx").read_bytes() == snapshot.pack.with_suffix(".idx").read_bytes()
    shop.git("verify-pack", str(snapshot.pack.with_suffix(".idx")))
    if not empty:
        name = ["-c", "user.name=Runfolio", "-c", "user.email=snapshot@runfolio.invalid"]
        parts = {"NAME": "Runfolio", "EMAIL": "snapshot@runfolio.invalid", "DATE": "@0 +0000"}
        who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in parts.items()}
        assert snapshot.commit == git(
            shop.root, *name, "commit-tree", "-m", "Snapshot of a project", snapshot.tree, env={**os.environ, **who}
        )


def test_the_same_files_are_the_same_commit_in_another_folder(
    workshop: Workshop, make_project: Make, tmp_path: Path
) -> None:
    workshop.write("a/b.py")
    other = make_project(tmp_path / "elsewhere")
    other.write("a/b.py")
    assert workshop.take().commit == other.take().commit
    (other.root / "empty").mkdir()
    assert workshop.take().commit != other.take().commit


def test_an_edit_of_equal_size_within_one_tick_is_seen(workshop: Workshop) -> None:
    path = workshop.write("train.py", "rate = 1\n")
    first = workshop.take()
    state = path.stat()
    path.write_bytes(b"rate = 2\n")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert workshop.take().commit != first.commit


def test_even_the_change_time_may_stand_still(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system with coarse time stamps: nothing but the contents tells the two apart."""
    path = workshop.write("train.py", "rate = 1\n")
    frozen = path.stat()
    monkeypatch.setattr("runfolio.snapshot.known._stamp", lambda _: (frozen.st_size, 0, 0, frozen.st_ino))
    first = workshop.take()
    path.write_bytes(b"rate = 2\n")
    assert workshop.take().commit != first.commit


def test_files_that_did_not_change_are_not_read_again(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workshop.write("old.py")
    long_ago = time.time_ns() - 10**12
    monkeypatch.setattr(time, "time_ns", lambda: long_ago + 2 * 10**12)
    first = workshop.take()
    workshop.known.holds([*first.homes, *open_pack(first.pack or path).places], "aa", time.time())
    path.chmod(0)  # for root that is no obstacle: whatever is opened now is noticed below
    path.chmod(0o644)
    workshop.take()  # the change time is new, and the file is read once more

    def refuse(*_: object, **__: object) -> int:
        raise AssertionError("a file was opened")

    monkeypatch.setattr("runfolio.snapshot.taking._opened", refuse)
    second = workshop.take()
    assert second.commit == first.commit
    assert second.unchanged


def test_only_what_is_new_is_packed(workshop: Workshop) -> None:
    for number in range(20):
        workshop.write(f"pkg/m{number}.py", f"x = {number}\n")
    first = workshop.take()
    assert first.pack is not None
    workshop.known.holds(open_pack(first.pack).places, "aa", time.time())
    assert workshop.take().pack is None
    workshop.write("pkg/m7.py", "x = -7\n")
    second = workshop.take()
    assert second.pack is not None
    # The file, the two folders above it, and the commit.
    assert len(open_pack(second.pack).places) == 4
    assert second.packs == ["aa"]


def test_a_snapshot_over_too_many_packs_is_made_whole_again(workshop: Workshop) -> None:
    for number in range(30):
        workshop.write(f"m{number}.py", f"x = {number}\n")
    first = workshop.take()
    for number, sha in enumerate(open_pack(first.pack or workshop.root).places):
        workshop.known.holds([sha], f"pack{number}", time.time())
    again = workshop.take()
    assert again.homes == {}
    assert again.pack is not None
    assert open_pack(again.pack).places.keys() == open_pack(first.pack or workshop.root).places.keys()


def test_large_files_are_stored_when_git_tracks_them(workshop: Workshop) -> None:
    workshop.git("init", "-q")
    for name in ("tracked.bin", "untracked.bin"):
        workshop.write(name, os.urandom(1000) * 20)
    workshop.write("small.txt")
    workshop.git("add", "tracked.bin")
    snapshot = workshop.take(largest_untracked=10_000)
    assert [entry.path for entry in snapshot.entries] == ["small.txt", "tracked.bin"]
    assert [path for path, _ in snapshot.left_out] == snapshot.too_large == ["untracked.bin"]


def test_files_over_eight_megabytes_are_packed_in_pieces(workshop: Workshop, git: Git) -> None:
    content = os.urandom(1024) * 9 * 1024
    workshop.write("large.bin", content)
    snapshot = workshop.take()
    assert snapshot.pack is not None
    pack = open_pack(snapshot.pack)
    assert pack.read(snapshot.entries[0].sha) == content
    assert snapshot.entries[0].sha == git(workshop.root, "hash-object", "large.bin")


def test_what_git_lfs_has_pulled_is_left_out_when_large(workshop: Workshop) -> None:
    """Git holds a pointer of it, and the pointer itself is a file like any other."""
    workshop.git("init", "-q")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 30000\n"
    for name in ("pulled.bin", "pointer.bin"):
        workshop.write(name, pointer)
    workshop.git("add", ".")
    workshop.write("pulled.bin", b"x" * 30_000)
    snapshot = workshop.take(largest_untracked=10_000)
    assert [entry.path for entry in snapshot.entries] == ["pointer.bin"]
    assert snapshot.too_large == ["pulled.bin"]


def test_the_total_is_limited_and_the_largest_are_named(workshop: Workshop) -> None:
    for size in (10, 30_000, 20_000, 5):
        workshop.write(f"data{size}", b"x" * size)
    with pytest.raises(ConfigurationError, match=r"data30000 .*data20000 .*runfolioignore"):
        workshop.take(largest=40_000)


def test_mode_git_takes_what_git_tracks(workshop: Workshop) -> None:
    workshop.git("init", "-q")
    for name in ("tracked.py", "new.py"):
        workshop.write(name)
    (workshop.root / "link").symlink_to("tracked.py")
    workshop.git("add", "tracked.py")
    workshop.write("tracked.py", "edited = True\n")
    snapshot = workshop.take(mode="git")
    assert [entry.path for entry in snapshot.entries] == ["tracked.py"]
    assert snapshot.entries[0].sha == workshop.git("hash-object", "tracked.py")


def test_submodules_are_recorded_as_git_records_them(workshop: Workshop, git: Git, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "lib")
    (tmp_path / "lib" / "m.py").write_text("x = 1\n")
    git(tmp_path / "lib", "add", ".")
    git(tmp_path / "lib", "commit", "-qm", "one")
    workshop.git("init", "-q")
    workshop.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(tmp_path / "lib"), "lib")
    workshop.write("train.py")
    snapshot = workshop.take()
    assert [(entry.path, entry.mode) for entry in snapshot.entries if entry.mode == REPOSITORY] == [("lib", REPOSITORY)]
    assert "lib/m.py" not in [entry.path for entry in snapshot.entries]
    workshop.git("add", "-A")
    assert snapshot.tree == workshop.git("write-tree")
    assert [path for path, _ in snapshot.left_out] == ["lib"]


def test_a_repository_without_a_commit_is_a_folder(workshop: Workshop, git: Git) -> None:
    (workshop.root / "inner").mkdir()
    git(workshop.root / "inner", "init", "-q")
    workshop.write("inner/m.py")
    assert [entry.path for entry in workshop.take().entries] == ["inner/m.py"]


def test_line_endings_stay_as_they_are(workshop: Workshop) -> None:
    workshop.git("init", "-q")
    workshop.write(".gitattributes", "* text=auto\n")
    workshop.write("dos.txt", b"a\r\nb\r\n")
    snapshot = workshop.take()
    assert snapshot.pack is not None
    entry = next(entry for entry in snapshot.entries if entry.path == "dos.txt")
    assert open_pack(snapshot.pack).read(entry.sha) == b"a\r\nb\r\n"


@pytest.mark.parametrize(
    "path",
    [".env", "conf/.env.local", "server.key", "a/cert.PEM", "id_rsa", ".ssh/id_ed25519", ".netrc", "prod.env",
     "service-account-prod.json", ".git-credentials", "x.p12", "secrets.toml"],
)  # fmt: skip
def test_files_with_secrets_are_left_out_by_name(workshop: Workshop, path: str) -> None:
    workshop.write(path, "TOPSECRET=1\n")
    workshop.write("train.py")
    snapshot = workshop.take()
    assert [entry.path for entry in snapshot.entries if entry.mode != FOLDER] == ["train.py"]
    assert [left for left, _ in snapshot.left_out] == [path]


@pytest.mark.parametrize("path", [".env.example", "env.py", "keys.py", "id_rsa.pub", "monkey.txt", "dot.envelope"])
def test_others_are_not(workshop: Workshop, path: str) -> None:
    workshop.write(path)
    assert [entry.path for entry in workshop.take().entries] == [path]


def test_private_keys_are_known_by_their_contents(workshop: Workshop) -> None:
    workshop.write("deploy", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n")
    workshop.write("deploy_large", b"-----BEGIN RSA PRIVATE KEY-----\n" + b"x" * 9_000_000)
    workshop.write("test_keys.py", "TEXT = '-----BEGIN RSA PRIVATE KEY-----'\n")
    assert [entry.path for entry in workshop.take().entries] == ["test_keys.py"]


def test_notebooks_with_secrets_in_them_are_left_out(workshop: Workshop) -> None:
    workshop.write("leaks.ipynb", '{"cells": ["token"]}')
    workshop.write("fine.ipynb", '{"cells": []}')
    snapshot = workshop.take(is_secret=lambda data: b"token" in data)
    assert [entry.path for entry in snapshot.entries] == ["fine.ipynb"]


def test_names_that_no_snapshot_may_hold_are_left_out(workshop: Workshop) -> None:
    for path in (".GIT/hooks/post-checkout", "git~1/x", ".g\u200cit/config", "sub/.Git "):
        workshop.write(path)
    snapshot = workshop.take()
    assert [entry.path for entry in snapshot.entries if entry.mode != FOLDER] == []
    assert len(snapshot.left_out) == 4


def test_nothing_of_the_repository_is_touched(workshop: Workshop) -> None:
    workshop.git("init", "-q")
    for name in ("staged.py", "committed.py"):
        workshop.write(name)
    workshop.git("add", ".")
    workshop.git("commit", "-qm", "one")
    workshop.write("staged.py", "y\n")
    workshop.git("stash")
    workshop.write("staged.py", "z\n")
    workshop.git("add", "staged.py")
    workshop.write("committed.py", "w\n")

    def state() -> dict[str, bytes]:
        return {
            str(path.relative_to(workshop.root)): path.read_bytes()
            for path in (workshop.root / ".git").rglob("*")
            if path.is_file()
        }

    before = state()
    workshop.take()
    workshop.take(mode="git")
    assert state() == before
