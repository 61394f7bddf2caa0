"""The local backend beyond the kit: what the system answers, links, leftovers, and how little a listing reads."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runfolio.errors import (
    AlreadyExistsError,
    ConfigurationError,
    InvalidKeyError,
    NotFoundError,
    PermissionDeniedError,
    ReadOnlyError,
    RunfolioError,
    StorageError,
    TransientStorageError,
)
from runfolio.store.wrapping import WrappedBackend
from runfolio_backends import local_files
from runfolio_backends.local import LocalBackend
from runfolio_backends.local_errors import translate_errors
from runfolio_backends.memory import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from runfolio.backend import Backend


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "store")


@pytest.mark.parametrize(
    ("code", "operation", "expected", "retryable"),
    [
        (errno.ENOENT, "get", NotFoundError, False),
        (errno.ENOTDIR, "stat", NotFoundError, False),
        (errno.EISDIR, "get", NotFoundError, False),
        (errno.ENOENT, "put", StorageError, False),
        (errno.ENOTDIR, "put", StorageError, False),
        (errno.ENAMETOOLONG, "put", StorageError, False),
        (errno.ENOSPC, "put", StorageError, False),
        (errno.EDQUOT, "create", StorageError, False),
        (errno.EROFS, "put", ReadOnlyError, False),
        (errno.EACCES, "get", PermissionDeniedError, False),
        (errno.EPERM, "delete", PermissionDeniedError, False),
        (errno.ELOOP, "get", InvalidKeyError, False),
        (errno.EIO, "get", TransientStorageError, True),
        (errno.ESTALE, "list", TransientStorageError, True),
        (errno.EMFILE, "put", TransientStorageError, True),
        (errno.ETIMEDOUT, "put", TransientStorageError, True),
        (errno.EINTR, "get", TransientStorageError, True),
        (errno.ENODEV, "put", StorageError, False),
    ],
    ids=lambda value: (
        errno.errorcode.get(value, "") if isinstance(value, int) and not isinstance(value, bool) else None
    ),
)
def test_error_numbers(
    tmp_path: Path, code: int, operation: str, expected: type[RunfolioError], retryable: bool
) -> None:
    with pytest.raises(expected) as caught, translate_errors(operation, "a/b", str(tmp_path)):
        raise OSError(code, os.strerror(code))
    assert type(caught.value) is expected
    assert (caught.value.backend, caught.value.key, caught.value.operation) == ("local", "a/b", operation)
    assert isinstance(caught.value.__cause__, OSError)
    assert getattr(caught.value, "retryable", False) is retryable


def test_every_error_number_becomes_ours(tmp_path: Path) -> None:
    for code in errno.errorcode:
        for operation in ("get", "put", "create", "list", "stat", "delete"):
            with pytest.raises(RunfolioError), translate_errors(operation, "k", str(tmp_path)):
                raise OSError(code, os.strerror(code))


@pytest.mark.parametrize("operation", ["put", "create", "put_file"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_failed_write_leaves_nothing(
    backend: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, code: int
) -> None:
    backend.put("a/old", b"old")
    (tmp_path / "source").write_bytes(b"x" * 100)

    def fail(*args: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", fail)
    monkeypatch.setattr(os, "link", fail)
    with pytest.raises((StorageError, ReadOnlyError)):
        _write(backend, operation, "a/new", tmp_path / "source")
    monkeypatch.undo()
    assert _names(backend.root / "a") == ["old"]
    assert [info.key for info in backend.list()] == ["a/old"]


def _names(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


def _write(backend: Backend, operation: str, key: str, source: Path) -> None:
    if operation == "put_file":
        backend.put_file(key, source)
    elif operation == "put":
        backend.put(key, b"new")
    else:
        backend.create(key, b"new")


def test_full_disk(tmp_path: Path) -> None:
    """/dev/full answers ENOSPC as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with (
        pytest.raises(StorageError) as caught,
        translate_errors("put", "k", str(tmp_path)),
        Path("/dev/full").open("wb", buffering=0) as out,
    ):
        out.write(b"x")
    assert not caught.value.retryable


AS_NOBODY = textwrap.dedent(
    """
    import os, sys
    from runfolio_backends.local import LocalBackend
    from runfolio.errors import RunfolioError
    backend = LocalBackend(sys.argv[1])
    list(backend.list())  # loads whatever is loaded on use, while the interpreter's own files can be read
    if os.getuid() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
    def name(call):
        try:
            call()
        except RunfolioError as error:
            return type(error).__name__
        return "fine"
    print(name(lambda: backend.put("a/new", b"x")), name(lambda: backend.create("b/new", b"x")),
          name(lambda: backend.delete(["a/open"])), name(lambda: backend.get("a/open")),
          name(lambda: backend.get("a/secret")), name(lambda: list(backend.list())))
    """
)


def test_read_only_folder() -> None:
    """A user who may only read can read, and is told that the place is read-only."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        backend = LocalBackend(root)
        backend.put("a/open", b"x")
        backend.put("a/secret", b"x")
        (root / "a" / "secret").chmod(0o000)
        (root / "a").chmod(0o555)
        root.chmod(0o555)
        done = subprocess.run([sys.executable, "-c", AS_NOBODY, folder], capture_output=True, text=True, check=False)
        root.chmod(0o755)
        (root / "a").chmod(0o755)
    assert done.returncode == 0, done.stderr
    denied = ["ReadOnlyError"] * 3
    assert done.stdout.split() == [*denied, "fine", "PermissionDeniedError", "fine"]


def test_links_are_not_followed(backend: LocalBackend, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"secret")
    backend.put("a/b", b"x")
    (backend.root / "out").symlink_to(outside)
    (backend.root / "a" / "link").symlink_to(outside / "file")
    (backend.root / "a" / "loop").symlink_to(backend.root)
    assert [info.key for info in backend.list()] == ["a/b"]
    assert [*backend.list("out/")] == []
    for key in ("out/file", "a/link", "a/loop/a/b"):
        with pytest.raises((InvalidKeyError, NotFoundError)):
            backend.get(key)
        with pytest.raises((InvalidKeyError, NotFoundError)):
            backend.stat(key)
        with pytest.raises((InvalidKeyError, NotFoundError)):
            backend.get_file(key, tmp_path / "got")
    for key in ("out/new", "out/deep/new", "a/loop/new"):
        for operation in ("put", "create"):
            with pytest.raises(InvalidKeyError):
                _write(backend, operation, key, tmp_path)
    with pytest.raises(InvalidKeyError):
        backend.delete(["out/file"])
    backend.put("a/link", b"mine")  # replaces the link, never its target
    assert (outside / "file").read_bytes() == b"secret"
    assert backend.get("a/link") == b"mine"
    assert _names(outside) == ["file"]


def test_a_linked_root_is_the_users_choice(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    backend = LocalBackend(tmp_path / "link")
    backend.put("a/b", b"x")
    assert [info.key for info in backend.list()] == ["a/b"]
    assert (tmp_path / "real/a/b").read_bytes() == b"x"


@pytest.mark.parametrize(
    "key", ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.", "", "a/.rf~0123456789abcdef~"]
)
def test_keys_stay_inside(backend: LocalBackend, key: str) -> None:
    with pytest.raises(InvalidKeyError):
        backend.put(key, b"x")
    with pytest.raises(InvalidKeyError):
        backend.get(key)


def test_leftovers(backend: LocalBackend) -> None:
    """Temporary files are no objects; old ones are swept, young ones may be in use."""
    backend.put("a/b", b"x")
    old, young = (backend.root / "a" / f".rf~{letter * 16}~" for letter in "0a")
    for leftover in (old, young):
        leftover.write_bytes(b"half")
    long_ago = time.time() - 100_000
    os.utime(old, (long_ago, long_ago))
    assert [info.key for info in backend.list()] == ["a/b"]
    assert backend.sweep() == 1
    assert (old.exists(), young.exists()) == (False, True)
    assert backend.sweep(older_than=-10) == 1


def test_empty_folders_go(backend: LocalBackend) -> None:
    backend.put("a/b/c/d", b"x")
    backend.put("a/e", b"x")
    backend.delete(["a/b/c/d"])
    assert sorted(_names(backend.root / "a")) == ["e"]
    backend.delete(["a/e"])
    assert _names(backend.root) == []
    assert backend.root.is_dir()


def test_a_vanishing_folder_does_not_matter(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process prunes the folder between its making and the temporary file in it."""
    real = os.makedirs
    removed: list[str] = []

    def makedirs(name: str, **options: bool) -> None:
        real(name, **options)
        if len(removed) < 5:
            removed.append(name)
            Path(name).rmdir()

    monkeypatch.setattr(os, "makedirs", makedirs)
    backend.put("a/b", b"x")
    assert len(removed) == 5
    assert backend.get("a/b") == b"x"


def test_a_short_listing_reads_little(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first keys of a big folder cost the folder's names, and no details; other folders stay closed."""
    for folder in ("index", "zoo/a", "zoo/b"):
        (backend.root / folder).mkdir(parents=True)
        for at in range(3000):
            (backend.root / folder / f"{at:05d}").touch()
    opened: list[str] = []
    stats: list[str] = []
    real = os.scandir

    class Entry:
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self._entry, self.name, self.path = entry, entry.name, entry.path
            self.is_dir, self.is_file = entry.is_dir, entry.is_file

        def stat(self, *, follow_symlinks: bool) -> os.stat_result:
            stats.append(self.name)
            return self._entry.stat(follow_symlinks=follow_symlinks)

    class Scan:
        def __init__(self, path: str) -> None:
            opened.append(Path(path).name)
            self._scan = real(path)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *args: object) -> None:
            self._scan.close()

        def __iter__(self) -> Iterator[Entry]:
            return map(Entry, self._scan)

    monkeypatch.setattr(os, "scandir", Scan)
    assert [info.key for info in backend.list("index/", limit=2)] == ["index/00000", "index/00001"]
    assert (opened, stats) == (["index"], ["00000", "00001"])
    opened.clear()
    stats.clear()
    assert [info.key for info in backend.list(start_after="zoo/a/02999", limit=1)] == ["zoo/b/00000"]
    assert "index" not in opened
    assert stats == ["00000"]


def test_a_listing_survives_a_deletion(backend: LocalBackend) -> None:
    for key in ("a/1", "a/2", "a/3"):
        backend.put(key, b"x")
    listing = backend.list("a/")
    assert next(listing).key == "a/1"
    (backend.root / "a" / "2").unlink()
    assert [info.key for info in listing] == ["a/3"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("file:///srv/my%20store%231", "/srv/my store#1"),
        ("file:/srv/x", "/srv/x"),
        ("local:///srv/x/", "/srv/x"),
        ("file://localhost/srv/x", "/srv/x"),
        ("/srv/a#b c", "/srv/a#b c"),
        (Path("/srv/x"), "/srv/x"),
    ],
)
def test_urls(url: str | Path, expected: str) -> None:
    backend = LocalBackend(url)
    assert backend.root == Path(expected)
    assert LocalBackend(backend.url).root == backend.root
    assert backend.url.startswith("file:///")


@pytest.mark.parametrize("url", ["", "file://host/x", "file:///x?y=1", "file:///x#y", "/a\0b", "file:"])
def test_bad_urls(url: str) -> None:
    with pytest.raises(ConfigurationError):
        LocalBackend(url)


def test_relative_paths_are_fixed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    backend = LocalBackend("store")
    monkeypatch.chdir("/")
    assert backend.root == tmp_path / "store"
    assert not backend.root.exists()  # constructors do no I/O


def test_without_any_exclusive_creation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused with what to do about it, unless the user knows that there is one writer."""

    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(local_files, "rename_exclusively", lambda *args: False)
    with pytest.raises(StorageError, match="single_writer") as caught:
        LocalBackend(tmp_path).create("k", b"x")
    assert not caught.value.retryable
    assert _names(tmp_path) == []
    alone = LocalBackend(tmp_path, single_writer=True)
    assert not alone.capabilities.conditional_create
    alone.create("k", b"x")
    with pytest.raises(AlreadyExistsError):
        alone.create("k", b"y")
    assert alone.get("k") == b"x"


def test_a_file_that_shrinks_or_grows_while_it_is_copied(backend: LocalBackend, tmp_path: Path) -> None:
    """What was there at the beginning is copied; nothing is waited for."""
    source = tmp_path / "growing"
    source.write_bytes(b"a" * 1000)
    with source.open("ab") as out:

        def grow(_: int) -> None:
            out.write(b"b" * 10)
            out.flush()

        backend.put_file("k", source, grow)
    assert backend.get("k") == b"a" * 1000


def test_copies_without_help_of_the_kernel(
    backend: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_files, "_clone", lambda *args: False)
    for fault in (None, OSError(errno.EXDEV, "no"), 0):

        def copy_file_range(*args: object, fault: object = fault) -> int:
            if isinstance(fault, OSError):
                raise fault
            return 0

        if fault is None:
            monkeypatch.delattr(os, "copy_file_range", raising=False)
        else:
            monkeypatch.setattr(os, "copy_file_range", copy_file_range, raising=False)
        source = tmp_path / "source"
        source.write_bytes(os.urandom(9_000_000))
        moved: list[int] = []
        backend.put_file("k", source, moved.append)
        assert backend.get("k") == source.read_bytes()
        assert sum(moved) == 9_000_000


def test_copies_from_another_folder(backend: LocalBackend, tmp_path: Path) -> None:
    """Also through wrappers of either side; a link in the source is no object."""
    other = LocalBackend(tmp_path / "other")
    other.put("a/from", b"x" * 100_000)
    assert WrappedBackend(backend).copy_from(WrappedBackend(other), "a/from", "b/to")
    assert backend.get("b/to") == b"x" * 100_000
    (other.root / "a" / "link").symlink_to(other.root / "a" / "from")
    with pytest.raises(InvalidKeyError):
        backend.copy_from(other, "a/link", "b/to")


def test_copies_from_nothing_but_folders(backend: LocalBackend) -> None:
    memory = MemoryBackend("memory://source-of-a-copy")
    memory.put("k", b"x")
    assert not backend.copy_from(memory, "k", "k")
    assert not memory.copy_from(backend, "k", "k")
    assert [*backend.list()] == []
