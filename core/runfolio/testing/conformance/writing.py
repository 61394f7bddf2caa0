"""Rules of `put`, `delete`, `put_file` and `get_file`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runfolio.errors import NotFoundError, StorageError
from runfolio.testing.conformance.stores import KEYS, LONG_KEYS, StoreRules

if TYPE_CHECKING:
    from runfolio.backend import Backend


class WriteConformance(StoreRules):
    """put, delete and whole files."""

    @pytest.mark.parametrize("key", KEYS)
    @pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 300], ids=["empty", "byte", "76800 bytes"])
    def test_round_trip(self, backend: Backend, key: str, data: bytes) -> None:
        """What was put is what is stored and what get returns, whatever the key and the bytes, also none."""
        backend.put(key, data)
        assert self.raw_get(backend, key) == data
        assert backend.get(key) == data
        assert backend.stat(key).size == len(data)
        assert [info.key for info in backend.list()] == [key]

    def test_long_keys(self, backend: Backend) -> None:
        """Keys of nearly 900 bytes are told apart, listed in order, read and deleted, each alone."""
        for at, key in enumerate(reversed(LONG_KEYS)):
            backend.put(key, bytes([at]))
        assert [info.key for info in backend.list()] == [*LONG_KEYS]
        assert [info.key for info in backend.list("long/", start_after=LONG_KEYS[1], limit=1)] == [LONG_KEYS[2]]
        backend.delete([LONG_KEYS[0]])
        with pytest.raises(NotFoundError):
            backend.get(LONG_KEYS[0])
        assert [backend.get(key) for key in LONG_KEYS[1:]] == [bytes([at]) for at in (2, 1, 0)]

    def test_written_by_others(self, backend: Backend) -> None:
        """What others put into the store is read and listed like one's own."""
        self.raw_put(backend, "a/other", b"theirs")
        assert backend.get("a/other") == b"theirs"
        assert [(info.key, info.size) for info in backend.list("a/")] == [("a/other", 6)]

    def test_put_replaces(self, backend: Backend) -> None:
        """Put replaces an object, also by a shorter one."""
        self.raw_put(backend, "k", b"long contents")
        backend.put("k", b"s")
        assert self.raw_get(backend, "k") == b"s"
        assert backend.get("k") == b"s"

    def test_stored_bytes_are_a_copy(self, backend: Backend) -> None:
        """What the caller does with a buffer after put has returned does not reach the store."""
        buffer = bytearray(b"before")
        backend.put("k", bytes(buffer))
        buffer[:] = b"after!"
        assert backend.get("k") == b"before"

    def test_delete(self, backend: Backend) -> None:
        """Delete removes the named objects and no others; absent ones, folders among them, are no error."""
        for key in ("a/b", "a/bc", "a/b0/c", "d"):
            backend.put(key, b"x")
        backend.delete(["a/b", "none", "none/either", "a/b0", "a", "a/b"])
        assert [info.key for info in backend.list()] == ["a/b0/c", "a/bc", "d"]
        with pytest.raises(NotFoundError):
            backend.get("a/b")
        backend.delete([])
        backend.delete(iter(["d"]))
        assert [info.key for info in backend.list()] == ["a/b0/c", "a/bc"]

    def test_delete_many(self, backend: Backend) -> None:
        """More keys than a cloud takes in one request can be deleted at once."""
        keys = [f"m/{at:04d}" for at in range(1203)]
        for key in keys:
            backend.put(key, b"")
        backend.delete(keys[:-1])
        assert [info.key for info in backend.list("m/")] == keys[-1:]

    @pytest.mark.parametrize("size", [0, 10, 20_000_001], ids=["empty", "10 bytes", "20 MB"])
    def test_files(self, backend: Backend, size: int, tmp_path_factory: pytest.TempPathFactory) -> None:
        """put_file and get_file move whole files, also empty ones, replace what is there, and tell their progress."""
        folder = tmp_path_factory.mktemp("files")
        source, target = folder / "source", folder / "target"
        source.write_bytes((b"\x07" * 999 + b"\x08") * (size // 1000) + b"\x09" * (size % 1000))
        target.write_bytes(b"something longer that must go" * 3)
        backend.put("a/file", b"what was there before")
        sent: list[int] = []
        got: list[int] = []
        backend.put_file("a/file", source, sent.append)
        backend.get_file("a/file", target, got.append)
        assert target.read_bytes() == source.read_bytes() == self.raw_get(backend, "a/file")
        assert (sum(sent), sum(got)) == (size, size)

    def test_copy_from(self, backend: Backend) -> None:
        """A copy on the server's side is the object, replaces what is there, and a missing source is an error.

        Where the backend answers that it cannot, nothing is written.
        """
        for data in (b"", b"contents" * 1000):
            backend.put("a/from", data)
            backend.put("b/to", b"before")
            copied = backend.copy_from(backend, "a/from", "b/to")
            assert backend.get("b/to") == (data if copied else b"before")
        if copied:
            with pytest.raises(NotFoundError):
                backend.copy_from(backend, "a/none", "b/to")
            assert backend.get("b/to") == data

    def test_absent_files(self, backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> None:
        """get_file of a missing key is NotFoundError. A local file that is not there is an error and stores nothing."""
        folder = tmp_path_factory.mktemp("none")
        with pytest.raises(NotFoundError):
            backend.get_file("a/none", folder / "other")
        with pytest.raises((StorageError, FileNotFoundError)):
            backend.put_file("k", folder / "absent")
        assert [*backend.list()] == []
